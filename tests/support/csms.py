"""A CSMS on the `ocpp` library, for tests: it validates what chargers send, records it, and answers."""

import asyncio
import json
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import ocpp.messages  # type: ignore[import-untyped]
import ocpp.v16  # type: ignore[import-untyped]
import ocpp.v201  # type: ignore[import-untyped]
from ocpp.charge_point import ChargePoint  # type: ignore[import-untyped]
from ocpp.routing import on  # type: ignore[import-untyped]
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tests.support.waiting import wait_until_async

#: The library's calls, for tests that send a request to a charger.
call16: Any = ocpp.v16.call
call201: Any = ocpp.v201.call

Payload = dict[str, Any]
Answer = Payload | Callable[[Payload], Payload | Awaitable[Payload]]

logging.getLogger("ocpp").disabled = True
logging.getLogger("websockets").disabled = True
ocpp.messages.ASYNC_VALIDATION = False  # no thread per frame

NOW = "2030-01-01T12:00:00.000Z"

BOOT_ACCEPTED: Payload = {"current_time": NOW, "interval": 300, "status": "Accepted"}


def boot_answers(*statuses: str, interval_s: int) -> Callable[[Payload], Payload]:
    """Answers each BootNotification with the next of these statuses."""
    left = iter(statuses)
    return lambda _: {"current_time": NOW, "interval": interval_s, "status": next(left)}


ANSWERS: dict[str, dict[str, Payload]] = {
    "ocpp1.6": {
        "Authorize": {"id_tag_info": {"status": "Accepted"}},
        "BootNotification": BOOT_ACCEPTED,
        "DataTransfer": {"status": "Accepted"},
        "DiagnosticsStatusNotification": {},
        "FirmwareStatusNotification": {},
        "Heartbeat": {"current_time": NOW},
        "LogStatusNotification": {},
        "MeterValues": {},
        "SecurityEventNotification": {},
        "SignedFirmwareStatusNotification": {},
        "StartTransaction": {"transaction_id": 4711, "id_tag_info": {"status": "Accepted"}},
        "StatusNotification": {},
        "StopTransaction": {},
    },
    "ocpp2.0.1": {
        "Authorize": {"id_token_info": {"status": "Accepted"}},
        "BootNotification": BOOT_ACCEPTED,
        "DataTransfer": {"status": "Accepted"},
        "FirmwareStatusNotification": {},
        "Heartbeat": {"current_time": NOW},
        "LogStatusNotification": {},
        "MeterValues": {},
        "NotifyCustomerInformation": {},
        "NotifyEvent": {},
        "NotifyReport": {},
        "ReportChargingProfiles": {},
        "ReservationStatusUpdate": {},
        "SecurityEventNotification": {},
        "StatusNotification": {},
        "TransactionEvent": {},
    },
}


@dataclass(slots=True)
class Received:
    action: str
    payload: Payload  #: as the library hands it over: snake_case


@dataclass
class Link:
    """One connection of one charger."""

    identity: str
    socket: ServerConnection
    speaker: ChargePoint
    calls: list[Received] = field(default_factory=list)  #: of the charger
    frames: list[str] = field(default_factory=list)  #: everything that the charger sent, as text
    _seen: list[Received] = field(default_factory=list)

    async def call(self, request: object) -> Any:
        """Sends one of the library's `call` messages; returns its `call_result`, raises its OCPPError."""
        async with asyncio.timeout(10):
            return await self.speaker.call(request, suppress=False)

    def all(self, action: str) -> list[Payload]:
        return [call.payload for call in self.calls if call.action == action]

    async def next(
        self, action: str, condition: Callable[[Payload], bool] = lambda _: True, *, within_s: float = 10.0
    ) -> Payload:
        """The first such call that this method has not returned yet."""
        await wait_until_async(lambda: any(self._fitting(action, condition)), within_s=within_s)
        found = next(self._fitting(action, condition))
        self._seen.append(found)
        return found.payload

    def _fitting(self, action: str, condition: Callable[[Payload], bool]) -> Iterator[Received]:
        for call in self.calls:
            unseen = not any(call is seen for seen in self._seen)
            if unseen and call.action == action and condition(call.payload):
                yield call


class Csms:
    """Accepts every charger. `answers` may be changed while it runs: a payload, or a function of the call."""

    def __init__(
        self,
        *,
        subprotocols: tuple[str, ...] = ("ocpp2.0.1", "ocpp1.6"),
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        admit: Callable[[Request], tuple[int, str] | None] = lambda _: None,
    ) -> None:
        self.links: list[Link] = []
        self.requests: list[Request] = []
        self.answers: dict[str, Answer] = {}
        #: the payload of an answer as text, unchecked; None: no answer
        self.raw_answers: dict[str, str | None] = {}
        #: the frames to answer a call with by its id, unchecked, in one TCP segment
        self.raw_frames: dict[str, Callable[[str], Sequence[str]]] = {}
        self.port = port
        self._subprotocols = [Subprotocol(name) for name in subprotocols]
        self._tls = tls
        self._admit = admit
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"{'wss' if self._tls else 'ws'}://localhost:{self.port}/ocpp"

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self.port,
            ssl=self._tls,
            subprotocols=self._subprotocols,
            process_request=self._process_request,
            close_timeout=0.5,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Closes every connection (1001) and the port."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def kill(self) -> None:
        """Breaks every connection without a close frame and closes the port, as a killed process would."""
        assert self._server is not None
        self._server.close(close_connections=False)
        for link in self.links:
            link.socket.transport.abort()
        self._server = None

    async def link(self, number: int = 1, *, within_s: float = 10.0) -> Link:
        """The first connection, or the second, ..."""
        await wait_until_async(lambda: len(self.links) >= number, within_s=within_s)
        return self.links[number - 1]

    async def accepted(self, number: int = 1) -> Link:
        """A connection whose charger has booted and reported its statuses."""
        link = await self.link(number)
        await wait_until_async(lambda: link.all("StatusNotification"))
        return link

    def _process_request(self, _: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        refusal = self._admit(request)
        if refusal is None:
            return None
        status, location = refusal
        return Response(status, "Refused", Headers({"Location": location, "Content-Length": "0"}), b"")

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        identity = socket.request.path.rpartition("/")[2]
        version = ocpp.v16 if socket.subprotocol == "ocpp1.6" else ocpp.v201
        link = Link(identity, socket, version.ChargePoint(identity, socket, response_timeout=10))
        link.speaker.route_map = {
            action: self._route(link, version.call_result, action)
            for action in ANSWERS[socket.subprotocol or "ocpp1.6"]
        }
        self.links.append(link)
        with suppress(ConnectionClosed):
            while True:
                text = await socket.recv()
                assert isinstance(text, str)
                link.frames.append(text)
                frame = json.loads(text)
                if frame[0] == 2 and frame[2] in self.raw_frames:
                    send_together(socket, *self.raw_frames[frame[2]](frame[1]))
                elif frame[0] == 2 and frame[2] in self.raw_answers:
                    raw = self.raw_answers[frame[2]]
                    if raw is not None:
                        await socket.send(f'[3,"{frame[1]}",{raw}]')
                else:
                    await link.speaker.route_message(text)

    def _route(self, link: Link, results: Any, action: str) -> dict[str, Any]:
        async def answer(**payload: Any) -> object:
            link.calls.append(Received(action, payload))
            usual = ANSWERS[link.socket.subprotocol or "ocpp1.6"][action]
            configured = self.answers.get(action, usual)
            answer = configured(payload) if callable(configured) else configured
            return getattr(results, action)(**(answer if isinstance(answer, dict) else await answer))

        return {"_on_action": on(action)(answer), "_skip_schema_validation": False}


def send_together(socket: ServerConnection, *texts: str) -> None:
    """Sends frames in one TCP segment, as a CSMS does that writes them in one breath."""
    for text in texts:
        socket.protocol.send_text(text.encode())
    socket.transport.write(b"".join(socket.protocol.data_to_send()))
