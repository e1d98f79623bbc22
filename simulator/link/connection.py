"""The WebSocket of a charger that may share its process with others."""

import asyncio
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Event, State

from simulator.link.pace import Pace

#: What is read and parsed before others have their turn; asyncio's own 256 KiB hold some 40,000 pings.
READ_BYTES = 16 * 1024

#: Pings and pongs of the CSMS; real ones send one in 20 to 60 s.
PINGS_AT_ONCE, PINGS_PER_S = 50, 10.0


class Connection(ClientConnection):
    """Gives up a CSMS that floods it with pings, which are answered before anybody reads a frame (close code 1008)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pings = Pace(PINGS_AT_ONCE, PINGS_PER_S)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.max_size = READ_BYTES  # type: ignore[attr-defined]
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """What does not answer as a WebSocket server may never close: nothing more is expected of it."""
        super().data_received(data)
        if self.protocol.handshake_exc is not None:
            self.transport.close()

    def process_event(self, event: Event) -> None:
        super().process_event(event)
        if not isinstance(event, Frame) or event.opcode not in (Opcode.PING, Opcode.PONG):
            return
        if self._pings.take() > 0 and self.protocol.state is State.OPEN:
            self.protocol.fail(CloseCode.POLICY_VIOLATION, "too many pings")
            self.send_data()
            self.transport.close()
