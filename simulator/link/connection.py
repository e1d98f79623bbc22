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

#: A CSMS that takes nothing of what was sent for so long is gone; as long as a pong may take.
SEND_TIMEOUT_S = 20.0


class Connection(ClientConnection):
    """Ends where websockets would wait without limit for a CSMS that has gone but keeps its TCP connection.

    Also gives up a CSMS that floods it with pings, which are answered before anybody reads a frame (close code 1008).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pings = Pace(PINGS_AT_ONCE, PINGS_PER_S)
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.max_size = READ_BYTES  # type: ignore[attr-defined]
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.protocol.close_expected() and self._end is None:
            # After its close frame the CSMS closes the TCP connection (RFC 6455, 7.1.1).
            self._end = self.loop.call_later(self.close_timeout or 0, self.transport.abort)
            # This is no WebSocket server. With TLS a second close would make the abort a no-op.
            if self.protocol.handshake_exc is not None and not self.transport.is_closing():
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)

    async def drain(self) -> None:
        """Raises TimeoutError, which ends the connection, when the CSMS does not read."""
        if not self.paused and not self.transport.is_closing():
            return  # nothing waits to be sent
        async with asyncio.timeout_at(self.close_deadline or self.loop.time() + SEND_TIMEOUT_S):
            await super().drain()

    def process_event(self, event: Event) -> None:
        super().process_event(event)
        if not isinstance(event, Frame) or event.opcode not in (Opcode.PING, Opcode.PONG):
            return
        if self._pings.take() > 0 and self.protocol.state is State.OPEN:
            self.protocol.fail(CloseCode.POLICY_VIOLATION, "too many pings")
            self.send_data()
            self.transport.close()
