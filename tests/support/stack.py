"""The whole product as processes: embedded ECS, API under its server, control link, worker and beat. And a CSMS that remembers."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import httpx
import orjson
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from embedded.csms import CHARGERS
from embedded.ports import HOST, answers, free_port
from embedded.process import Program, running
from tests.support.environment import environment
from tests.support.http import PLAIN_HTTP
from tests.support.waiting import wait_until

PYTHON = sys.executable


@dataclass
class Stack:
    """Where the parts of a running product are."""

    api_url: str
    ecs_url: str
    database_url: str
    redis_url: str
    environment: dict[str, str]
    folder: Path

    def set_faults(self, *rules: dict[str, Any]) -> None:
        """Make the embedded ECS misbehave; no rules make it behave again."""
        httpx.put(
            f"{self.ecs_url}/_chargehand/faults", json=list(rules), auth=self.ecs_owner, **PLAIN_HTTP
        ).raise_for_status()

    @property
    def ecs_owner(self) -> tuple[str, str]:
        """User name and password of the routes under /_chargehand."""
        return ecs_owner(self.environment)


def ecs_owner(environment: Mapping[str, str]) -> tuple[str, str]:
    return environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]


@contextmanager
def running_stack(folder: Path, database_url: str, redis_url: str, **settings: str) -> Iterator[Stack]:
    """Everything but the database and the broker, ready. `settings` are more environment variables."""
    api_port, ecs_port, link_port = free_port(), free_port(), free_port()
    ecs_url = f"http://{HOST}:{ecs_port}"
    variables = {
        **environment(database_url, redis_url),
        "CHARGEHAND_ENV": "embedded",
        "AWS_ENDPOINT_URL": ecs_url,
        "BIND": f"{HOST}:{api_port}",
        "LINK_BIND": f"{HOST}:{link_port}",
        "CONTROL_URL": f"ws://{HOST}:{link_port}/control",
        "PATH": "/usr/bin:/bin",
        **settings,
    }
    stack = Stack(f"http://{HOST}:{api_port}", ecs_url, database_url, redis_url, variables, folder)
    with ExitStack() as parts:
        for program in (
            ecs_program(stack, ecs_port),
            api_program(stack),
            link_program(stack),
            worker_program(stack),
            beat_program(stack),
        ):
            parts.enter_context(running(program, folder / "logs" / f"{program.name}.log", within_s=40))
        yield stack


def ecs_program(stack: Stack, port: int) -> Program:
    return Program(
        name="ecs",
        argv=(PYTHON, "-m", "embedded.ecs", "--port", str(port), "--state-dir", str(stack.folder / "ecs")),
        is_ready=answers(f"{stack.ecs_url}/_chargehand/health"),
        env=stack.environment,
        stop_within_s=12,
    )


def api_program(stack: Stack) -> Program:
    return Program(
        name="api",
        argv=(PYTHON, "-m", "gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app"),
        is_ready=answers(f"{stack.api_url}/ready"),
        env=stack.environment,
    )


def link_program(stack: Stack) -> Program:
    health = f"http://{stack.environment['LINK_BIND']}/health"
    return Program(
        name="link",
        argv=(PYTHON, "-m", "link"),
        is_ready=answers(health),
        env=stack.environment,
    )


def worker_program(stack: Stack, name: str = "worker") -> Program:
    options = f"-Q lifecycle,provisioning,maintenance --without-gossip --without-mingle -n {name}@%h"
    return Program(
        name=name,
        argv=(PYTHON, "-m", "celery", "-A", "worker.celery_app", "worker", *options.split()),
        env=stack.environment,
    )


def beat_program(stack: Stack) -> Program:
    return Program(
        name="beat",
        argv=(PYTHON, "-m", "celery", "-A", "worker.celery_app", "beat"),
        env=stack.environment,
    )


class Call(NamedTuple):
    """A request of a charger."""

    identity: str
    action: str
    payload: dict[str, Any]
    at: float  #: when it came, of the monotonic clock


@dataclass
class Session:
    """One connection of a charger, in seconds of the monotonic clock."""

    identity: str
    subprotocol: str | None
    opened_at: float
    booted_at: float | None = None
    closed_at: float | None = None
    actions: list[str] = field(default_factory=list)

    def was_open_since(self, moment: float) -> bool:
        """Whether it was open then, or at any time after it."""
        return self.closed_at is None or self.closed_at >= moment


class RememberingCsms:
    """The embedded CSMS's charge points on a server of ours, which notes every session and every request."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.calls: list[Call] = []
        self._connections: dict[str, ServerConnection] = {}
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self.url = ""

    def __enter__(self) -> "RememberingCsms":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def of(self, identity: str) -> list[Session]:
        return [session for session in self.sessions if session.identity == identity]

    def open_now(self, identity: str) -> list[Session]:
        return [session for session in self.of(identity) if session.closed_at is None]

    def remove_closed(self) -> None:
        """Of sessions that have ended nothing is known any more."""
        self.sessions = [session for session in self.sessions if session.closed_at is None]

    def wait_for_boot(self, identity: str, within_s: float = 5) -> Session:
        """The charger's open session, when its BootNotification has come."""
        wait_until(lambda: any(session.booted_at for session in self.open_now(identity)), within_s)
        return self.open_now(identity)[0]

    def wait_for_end(self, identity: str, within_s: float = 3) -> None:
        wait_until(lambda: not self.open_now(identity), within_s)

    def calls_of(self, identity: str) -> list[Call]:
        """The requests of the charger over all its sessions, the oldest first."""
        return [call for call in self.calls if call.identity == identity]

    def wait_for_call(
        self,
        identity: str,
        action: str,
        matches: Callable[[dict[str, Any]], object] = lambda _: True,
        *,
        after: int = 0,
        within_s: float = 5,
    ) -> Call:
        """The first request of this action whose payload matches, without the charger's first `after` requests."""

        def found() -> list[Call]:
            calls = self.calls_of(identity)[after:]
            return [call for call in calls if call.action == action and matches(call.payload)]

        try:
            return wait_until(found, within_s)[0]
        except AssertionError:
            seen = [(call.action, call.payload) for call in self.calls_of(identity)[after:]]
            raise AssertionError(
                f"{identity} sent no such {action} within {within_s:g} s, but {seen}"
            ) from None

    def call(self, identity: str, action: str, payload: dict[str, Any], within_s: float = 5) -> Any:
        """Send the charger a request. Returns the payload of its answer, or the code of its CALLERROR."""
        requested = asyncio.run_coroutine_threadsafe(self._call(identity, action, payload), self._loop)
        return requested.result(within_s)

    async def _call(self, identity: str, action: str, payload: dict[str, Any]) -> Any:
        call_id = uuid4().hex
        answer = self._answers[call_id] = self._loop.create_future()
        await self._connections[identity].send(orjson.dumps([2, call_id, action, payload]).decode())
        return await answer

    def most_at_once(self, identity: str) -> int:
        """How many sessions of the identity were ever open together."""
        sessions = self.of(identity)
        return max(
            (
                sum(
                    other.opened_at <= session.opened_at
                    and (other.closed_at is None or other.closed_at > session.opened_at)
                    for other in sessions
                )
                for session in sessions
            ),
            default=0,
        )

    async def _serve(self) -> None:
        subprotocols = [name for name in CHARGERS if name]
        async with serve(self._talk, HOST, 0, subprotocols=subprotocols, compression=None) as server:
            self.url = f"ws://{HOST}:{server.sockets[0].getsockname()[1]}/ocpp"
            self._ready.set()
            await self._stop.wait()

    async def _talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        identity = unquote(urlsplit(connection.request.path).path.rsplit("/", 1)[-1])
        session = Session(identity, connection.subprotocol, monotonic())
        self.sessions.append(session)
        self._connections[identity] = connection
        charger = CHARGERS[connection.subprotocol](identity, connection, 30)
        answer = charger.route_message

        async def note(raw: str) -> None:
            frame = orjson.loads(raw)
            if frame[0] == 2:
                session.actions.append(frame[2])
                self.calls.append(Call(identity, frame[2], frame[3], monotonic()))
            elif frame[1] in self._answers:
                self._answers.pop(frame[1]).set_result(frame[2])
                return
            await answer(raw)
            if frame[0] == 2 and frame[2] == "BootNotification":
                session.booted_at = monotonic()

        charger.route_message = note
        try:
            await charger.start()
        except ConnectionClosed:
            session.closed_at = monotonic()
