"""A control link for tests of the charger's end: it welcomes every process, records its frames, and sends what a test wants."""

import json
import ssl
from collections.abc import Callable
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tests.support.waiting import wait_until_async

Frame = dict[str, Any]

#: The first token of the charger, and what a session gets.
FIRST_TOKEN = "first-token-of-dep-1"
SESSION_TOKEN = "session-token-of-dep-1"

CHARGER = "dep-1"


class ControlSession:
    """One connection of a process."""

    def __init__(self, socket: ServerConnection, hello: Frame, token: str) -> None:
        self.socket = socket
        self.hello = hello
        self.token = token
        self.frames: list[Frame] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def act(self, action_id: int, name: str, charger: str = CHARGER, **event: Any) -> None:
        """Sends one action."""
        action = {"charger": charger, "id": action_id, "name": name, "event": event, "expires_in_s": 30}
        await self.send("actions", actions=[action])

    def all(self, kind: str) -> list[Frame]:
        """The entries of all frames of this type, in order."""
        return [each for frame in self.frames if frame["type"] == kind for each in frame[kind]]

    def results(self, action_id: int) -> list[str]:
        return [each["status"] for each in self.all("results") if each["id"] == action_id]

    async def result(self, action_id: int) -> Frame:
        """The first final one."""

        def final() -> list[Frame]:
            results = [each for each in self.all("results") if each["id"] == action_id]
            return [each for each in results if each["status"] != "received"]

        await wait_until_async(final)
        return final()[0]

    def state(self, charger: str = CHARGER) -> Frame:
        """What all reports together say: a key that is absent in one means that it is unchanged."""
        merged: Frame = {}
        for each in self.all("states"):
            if each["charger"] == charger:
                merged |= each
        return merged

    async def reported(self, condition: Callable[[Frame], Any]) -> Frame:
        """The state as soon as it fulfils the condition."""

        def fits() -> bool:
            state = self.state()
            return bool(state) and bool(condition(state))

        await wait_until_async(fits)
        return self.state()


class ScriptedLink:
    """`memory` and `spec` go into the welcome. `refusal`, a status, is the answer to every handshake."""

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.sessions: list[ControlSession] = []
        self.memory: Frame | None = None
        self.spec: Frame | None = None
        self.refusal: int | None = None
        self.close_code: int | None = None  #: of the hello's answer
        self.ends_sessions = False  #: each right after its welcome
        self.bad_tokens: set[str] = set()
        self.attempts: list[str] = []  #: the tokens that were shown
        self.port = port
        self._tls = tls
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"{'wss' if self._tls else 'ws'}://127.0.0.1:{self.port}/control"

    @property
    def environment(self) -> dict[str, str]:
        """Of a charger that shall call here."""
        return {
            "charger_id": CHARGER,
            "charger_control_url": self.url,
            "charger_control_token": FIRST_TOKEN,
        }

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self.port,
            subprotocols=[Subprotocol("chargehand.control.v1")],
            process_request=self._admit,
            ssl=self._tls,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def session(self, number: int = 1) -> ControlSession:
        """The first, second, ... that said hello."""
        await wait_until_async(lambda: len(self.sessions) >= number)
        return self.sessions[number - 1]

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.attempts.append(token)
        refusal = 401 if token in self.bad_tokens else self.refusal
        return None if refusal is None else connection.respond(refusal, "refused by the test\n")

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        token = socket.request.headers["Authorization"].removeprefix("Bearer ")
        try:
            hello = json.loads(await socket.recv())
            if self.close_code is not None:
                await socket.close(self.close_code, "refused by the test")
                return
            session = ControlSession(socket, hello, token)
            await session.send(
                "welcome",
                session="s",
                token=SESSION_TOKEN,
                token_expires_in_s=3600,
                chargers=self._welcomed(hello),
            )
            self.sessions.append(session)
            if self.ends_sessions:
                await socket.close(1012, "ended by the test")
            while True:
                session.frames.append(json.loads(await socket.recv()))
        except ConnectionClosed:
            pass

    def _welcomed(self, hello: Frame) -> list[Frame]:
        return [
            {
                "charger": each["charger"],
                "spec": self.spec,
                "memory": None if each["has_memory"] else self.memory,
            }
            for each in hello["chargers"]
        ]
