"""One client's connection, which ends when the client keeps it waiting."""

import asyncio
from http import HTTPStatus

from uvicorn.protocols.http.h11_impl import H11Protocol

#: Open at once; a client that hangs has one of them until its time is up.
MAX_CONNECTIONS = 64

#: Seconds that a client has to send a whole request, and to take its answer.
CLIENT_S = 20.0

#: Seconds from the whole request to the end of the answer; the vendor's client waits 60.
ANSWER_S = 65.0

FULL = HTTPStatus.SERVICE_UNAVAILABLE
REFUSAL = (
    f"HTTP/1.1 {FULL.value} {FULL.phrase}\r\ncontent-length: 0\r\nretry-after: 5\r\nconnection: close\r\n\r\n"
).encode()


class Connection(H11Protocol):
    _deadline: asyncio.TimerHandle | None = None
    _answers = False  #: whether the charger works at a whole request

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._restart_deadline()
        if len(self.connections) > MAX_CONNECTIONS:
            transport.write(REFUSAL)
            transport.close()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._has_request and not self._answers:
            self._restart_deadline()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._restart_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    @property
    def _has_request(self) -> bool:
        """A whole one that is not answered yet."""
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    def _restart_deadline(self) -> None:
        """Also while the connection closes: a client that takes nothing would keep it open."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._answers = self._has_request
        limit_s = ANSWER_S if self._answers else CLIENT_S
        self._deadline = self.loop.call_later(limit_s, self.transport.abort)
