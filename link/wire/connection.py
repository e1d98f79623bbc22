"""A connection of the link, with the bounds that the WebSocket library does not have."""

from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.http11 import Request

from link.wire.closing import CloseCode
from shared.auth.control_tokens import ControlClaims

#: A process answers our pings and needs few of its own. Each is answered by the library, past the limit on frames.
MAX_PINGS = 100  # between two frames with data

CLOSED_WITHIN_S = 2.0


class ControlConnection(ServerConnection):
    """Has the claims of its token, once the upgrade was allowed."""

    claims: ControlClaims
    _pings = 0

    def process_event(self, event: Any) -> None:
        if isinstance(event, Request) or not isinstance(event, Frame):
            super().process_event(event)
            return
        self._pings = self._pings + 1 if event.opcode is Opcode.PING else 0
        if self._pings <= MAX_PINGS:
            super().process_event(event)
        elif self._pings == MAX_PINGS + 1:
            self.protocol.fail(CloseCode.TOO_MUCH, "too many pings")
            self.send_data()
            self.loop.call_later(CLOSED_WITHIN_S, self.transport.abort)
