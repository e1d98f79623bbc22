"""A process of the control link, and scripted processes of chargers that talk to it."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import func, insert, make_url, select, update
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from embedded.ports import HOST, answers, free_port
from embedded.process import Program
from link.process import Link
from link.server import SUBPROTOCOL, listening
from shared.database.engine import Sessions
from shared.fleet import chargers
from shared.fleet.control import CONNECTED
from shared.models import Action, Charger, ChargerMemory, ChargerReport
from shared.sealing import Sealer
from shared.settings import Settings
from tests.support.environment import ENCRYPTION_KEY
from tests.support.proxy import TcpProxy
from tests.support.stack import PYTHON
from tests.support.waiting import wait_until

CONTROL_SECRET = "a-secret-of-the-control-link-under-test-0123456789"
ANSWER_S = 10.0


def control_url(port: int) -> str:
    return f"ws://{HOST}:{port}/control"


def with_control(settings: Settings, port: int, **changes: Any) -> Settings:
    """The settings of a link that listens on the port."""
    control = replace(
        settings.control,
        url=control_url(port),
        secrets=(CONTROL_SECRET,),
        bind=f"{HOST}:{port}",
        **changes,
    )
    return replace(settings, control=control)


def control_environment(port: int) -> dict[str, str]:
    """The same as variables."""
    return {
        "CONTROL_URL": control_url(port),
        "CONTROL_SECRET": CONTROL_SECRET,
        "LINK_BIND": f"{HOST}:{port}",
    }


def link_program(environment: dict[str, str], port: int) -> Program:
    """A link as a process of its own."""
    return Program(
        name=f"link-{port}",
        argv=(PYTHON, "-m", "link"),
        is_ready=answers(f"http://{HOST}:{port}/health"),
        env={**environment, **control_environment(port)},
    )


@contextmanager
def running_link(settings: Settings, **changes: Any) -> Iterator[Link]:
    """A link in a thread of this process, ready. Its address is `link.url`'s."""
    settings = with_control(settings, free_port(), **changes)
    ready, stop = threading.Event(), asyncio.Event()
    served: list[tuple[Link, asyncio.AbstractEventLoop]] = []

    async def serve() -> None:
        link = Link(settings)
        await link.start()
        host, _, port = settings.control.bind.rpartition(":")
        async with listening(link, host, int(port)):
            served.append((link, asyncio.get_running_loop()))
            ready.set()
            await stop.wait()
        await link.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="link", daemon=True)
    thread.start()
    assert ready.wait(20), "the link has not started"
    [(link, loop)] = served
    try:
        yield link
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        assert not thread.is_alive(), "the link has not stopped"


@contextmanager
def cut_off_link(settings: Settings) -> Iterator[tuple[Link, TcpProxy]]:
    """A link, and the proxy through which it reaches its database."""
    address = make_url(settings.database_url)
    proxy = TcpProxy(address.port or 5432)
    url = address.set(port=proxy.port, host=HOST).render_as_string(hide_password=False)
    try:
        with running_link(replace(settings, database_url=url)) as link:
            yield link, proxy
    finally:
        proxy.close()


class ScriptedProcess:
    """A process that runs chargers and says what a test has it say. The charger of a process has its id."""

    def __init__(
        self, url: str, charger_id: str, token: str, *, boot: str = "boot-1", **options: Any
    ) -> None:
        """Connect. Raises InvalidStatus."""
        self.charger_id = charger_id
        self.boot = boot
        self._open = ExitStack()
        self.socket: ClientConnection = self._open.enter_context(
            connect(
                url,
                subprotocols=[SUBPROTOCOL],
                additional_headers={"Authorization": f"Bearer {token}"} if token else {},
                proxy=None,
                compression=None,
                **options,
            )
        )

    def __enter__(self) -> "ScriptedProcess":
        return self

    def __exit__(self, *_: object) -> None:
        """End as a process that is killed: without a close frame, which could wait behind others."""
        with suppress(OSError):
            self.socket.socket.shutdown(socket.SHUT_RDWR)
        self._open.close()

    def say(self, kind: str, **values: Any) -> None:
        self.socket.send(orjson.dumps({"type": kind, **values}).decode())

    def hello(self, *, has_memory: bool = False, **changes: Any) -> dict[str, Any]:
        """Say hello, and return the welcome. Raises ConnectionClosed."""
        self.send_hello(has_memory=has_memory, **changes)
        return self.hear("welcome")

    def send_hello(self, *, has_memory: bool = False, **changes: Any) -> None:
        charger = {"charger": self.charger_id, "boot": self.boot, "spec": None, "has_memory": has_memory}
        hello = {"process": self.charger_id, "boot": self.boot, "version": "0.1.0", "chargers": [charger]}
        self.say("hello", **(hello | changes))

    def outcome(self) -> str:
        """What the hello was answered with: `welcome`, or the close code."""
        try:
            return str(self.hear("welcome")["type"])
        except ConnectionClosed as closed:
            return str(closed.rcvd.code if closed.rcvd else None)

    def hear(self, kind: str, within_s: float = ANSWER_S) -> dict[str, Any]:
        """The next frame of this type. Raises ConnectionClosed, or TimeoutError."""
        deadline = time.monotonic() + within_s
        while True:
            frame: dict[str, Any] = orjson.loads(self.socket.recv(max(0.0, deadline - time.monotonic())))
            if frame["type"] == kind:
                return frame

    def next_actions(self, count: int = 1, within_s: float = ANSWER_S) -> list[dict[str, Any]]:
        """The next actions, as many as `count`."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            found += self.hear("actions", within_s)["actions"]
        return found

    def apply(self, action_id: int) -> None:
        """Get this action next, and answer that it was applied."""
        assert [action["id"] for action in self.next_actions()] == [action_id]
        self.answer(action_id)

    def answer(self, action_id: int, status: str = "applied", **values: Any) -> None:
        result = {"charger": self.charger_id, "id": action_id, "status": status, **values}
        self.say("results", results=[result])

    def report(self, **values: Any) -> None:
        self.report_of(self.charger_id, **values)

    def report_of(self, charger_id: str, **values: Any) -> None:
        self.say("states", states=[{"charger": charger_id, **values}])

    def close_code(self, within_s: float = ANSWER_S) -> int | None:
        """The code with which the link closes the connection; other frames are skipped."""
        deadline = time.monotonic() + within_s
        try:
            while True:
                self.socket.recv(max(0.0, deadline - time.monotonic()))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


def refusal(url: str, token: str) -> int:
    """The HTTP status with which the upgrade is refused; 101 when it is not."""
    try:
        with ScriptedProcess(url, "nobody", token):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


class ControlRows:
    """The rows of chargers and actions, as the API writes them."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions

    def charger(
        self, identity: str = "CP-1", organization: str = "acme", ws_url: str = "ws://csms.test/ocpp"
    ) -> str:
        """A charger that is up and READY."""
        new = chargers.NewCharger(
            identity=identity,
            brand_slug="wallbox",
            model_slug="wallbox-pulsar-plus",
            connector_type="Type2",
            ws_url=ws_url,
        )
        with self.sessions.begin() as session:
            request = chargers.CreateRequest(new, organization, requested_by="tester", request_id=None)
            sealer = Sealer((ENCRYPTION_KEY,))
            receipt = chargers.create_charger(session, request, max_chargers=1_000_000, sealer=sealer)
            charger_id = receipt.charger_id
            session.execute(
                update(Charger).where(Charger.id == charger_id).values(provisioning_status="READY")
            )
        return charger_id

    def specify(self, charger_id: str, **changes: Any) -> None:
        """Update the charger, as a client does."""
        with self.sessions.begin() as session:
            organization = session.get_one(Charger, charger_id).organization_id
            request = chargers.UpdateRequest(
                charger_id,
                chargers.ChargerChanges(**changes),
                organization,
                requested_by="tester",
                request_id=None,
            )
            chargers.update_charger(session, request, sealer=Sealer((ENCRYPTION_KEY,)))

    def action(self, charger_id: str, name: str = "plug_connector", **values: Any) -> int:
        """A queued action for the charger's present boot. Returns its id."""
        with self.sessions.begin() as session:
            row = {
                "charger_id": charger_id,
                "organization_id": session.get_one(Charger, charger_id).organization_id,
                "name": name,
                "event": {"connector_id": 1},
                "status": "queued",
                "requested_by": "tester",
                "boot_id": session.scalar(
                    select(ChargerReport.boot_id).where(ChargerReport.charger_id == charger_id)
                ),
                "expires_at": in_s(30),
            }
            action_id: int = session.scalars(insert(Action).values(row | values).returning(Action.id)).one()
        return action_id

    def read(self, action_id: int) -> Action:
        with self.sessions() as session:
            return session.get_one(Action, action_id)

    def report(self, charger_id: str) -> ChargerReport:
        with self.sessions() as session:
            return session.get_one(ChargerReport, charger_id)

    def is_connected(self, charger_id: str) -> bool:
        with self.sessions() as session:
            return bool(session.scalar(select(CONNECTED).where(Charger.id == charger_id)))

    def memory(self, charger_id: str) -> dict[str, Any] | None:
        with self.sessions() as session:
            return session.scalar(select(ChargerMemory.memory).where(ChargerMemory.charger_id == charger_id))

    def count(self, status: str) -> int:
        """The actions with the status."""
        with self.sessions() as session:
            return session.scalar(select(func.count()).where(Action.status == status)) or 0

    def wait_for(self, action_id: int, status: str, within_s: float = 10) -> Action:
        """The action, as soon as it has the status."""
        wait_until(lambda: self.read(action_id).status == status, within_s, f"action {action_id} {status}")
        return self.read(action_id)


def in_s(seconds: float) -> Any:
    """A time by the database's clock."""
    return func.now() + timedelta(seconds=seconds)
