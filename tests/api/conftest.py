"""The app on a real database, and chargers in the states that tests start from."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from time import monotonic, sleep
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, String, cast, func, insert, make_url, select, true, update

from api.app import create_app
from api.resources import Resources
from shared.database.engine import Sessions
from shared.models import Charger, ChargerLink, Command, MaintenanceRun
from shared.queues import QUEUE_OF, Queue
from shared.settings import Settings
from shared.startup.environment import load_settings
from shared.vocabulary import CommandStatus, ProvisioningStatus
from tests.api.watching import Watch, Watching
from tests.conftest import Token, environment
from tests.links import TASK, line, read_lines

NEW_CHARGER = {
    "identity": "CP-TEST-001",
    "brand_slug": "wallbox",
    "model_slug": "wallbox-pulsar-plus",
    "connector_type": "Type2",
    "ws_url": "ws://csms.test/ocpp",
}


InBackground = Callable[..., Future[Any]]


@pytest.fixture(scope="session")
def app(engine: Engine, redis_url: str) -> Iterator[Flask]:
    """One app for all tests: between requests it keeps only connections and verified tokens."""
    with pytest.MonkeyPatch.context() as patch:
        url = engine.url.render_as_string(hide_password=False)
        for name, value in environment(url, f"{redis_url.rpartition('/')[0]}/9").items():
            patch.setenv(name, value)
        settings = load_settings()
    app = create_app(replace(settings, database_pool_size=4))
    yield app
    resources: Resources = app.extensions["chargehand"]
    resources.publisher.close()
    resources.pools.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@dataclass
class Fleet:
    """What clients of organizations do, and the rows that workers would write."""

    client: FlaskClient
    sessions: Sessions
    token: Token

    def headers(self, organization: str = "acme", **claims: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(organization=organization, **claims)}"}

    def request(
        self, method: str, path: str, *, organization: str = "acme", headers: Any = (), **kwargs: Any
    ) -> Any:
        """Send it as a user of the organization. Returns werkzeug's TestResponse, untyped."""
        return self.client.open(
            path, method=method, headers=self.headers(organization) | dict(headers), **kwargs
        )

    def get(self, path: str, **kwargs: Any) -> Any:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> Any:
        return self.request("POST", path, **kwargs)

    def put(self, path: str, **kwargs: Any) -> Any:
        return self.request("PUT", path, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> Any:
        return self.request("DELETE", path, **kwargs)

    def create(self, organization: str = "acme", **fields: Any) -> str:
        """Create a charger as a client does. Returns its id."""
        answer = self.post("/ocpp/chargers", organization=organization, json=NEW_CHARGER | fields)
        assert answer.status_code == 202, answer.text
        charger_id: str = answer.json["charger_id"]
        return charger_id

    def ready(self, organization: str = "acme", **fields: Any) -> str:
        """A charger that was provisioned, runs, and was observed to run."""
        charger_id = self.create(organization, **fields)
        self.settle(charger_id, running_count=1, provisioning_status=ProvisioningStatus.READY)
        return charger_id

    def multiply(self, charger_id: str, count: int, *, prefix: str = "MORE") -> None:
        """Copy the charger `count` times, with other ids and identities."""
        kept = [column for column in Charger.__table__.c if column.server_onupdate is None]
        for first in range(1, count + 1, 2000):  # a statement may take 10 s
            last = min(first + 1999, count)
            numbers = func.generate_series(first, last).table_valued("value").render_derived("numbers")
            number = cast(numbers.c.value, String)
            new = {
                "id": f"dep-{prefix.lower()}-" + func.lpad(number, 8, "0"),
                "identity": f"{prefix}-" + number,
            }
            copies = (
                select(*(new.get(column.name, column) for column in kept))
                .join_from(Charger, numbers, true())
                .where(Charger.id == charger_id)
            )
            of_copies = (
                select(
                    new["id"], *(column for column in ChargerLink.__table__.c if column.name != "charger_id")
                )
                .join_from(ChargerLink, numbers, true())
                .where(ChargerLink.charger_id == charger_id)
            )
            with self.sessions.begin() as session:
                session.execute(insert(Charger).from_select([column.name for column in kept], copies))
                session.execute(insert(ChargerLink).from_select([*ChargerLink.__table__.c.keys()], of_copies))

    def settle(self, charger_id: str, **observed: Any) -> None:
        """Write what workers write when ECS has reached the desired state."""
        with self.sessions.begin() as session:
            session.execute(
                update(Charger)
                .where(Charger.id == charger_id)
                .values(
                    {
                        "observed_generation": Charger.generation,
                        "settled_generation": Charger.generation,
                        "publish_at": None,
                        "observe_at": None,
                        "observed_at": func.now(),
                        "service_status": "ACTIVE",
                    }
                    | observed
                )
            )

    def link(self, charger_id: str, state: str, task: str = TASK, **other: Any) -> None:
        """Read a line of its task's log."""
        read_lines(self.sessions, line(charger_id, state, task=task, **other))

    def finish(
        self, charger_id: str, status: CommandStatus = CommandStatus.SUCCEEDED, error: Any = None
    ) -> None:
        """Write what workers write when the newest command is final, and with it a provisioning."""
        with self.sessions.begin() as session:
            charger = session.get_one(Charger, charger_id, with_for_update=True)
            charger.observed_generation = charger.settled_generation = charger.generation
            charger.publish_at = None
            if charger.provisioning_status != ProvisioningStatus.READY:
                failed = status == CommandStatus.FAILED
                charger.provisioning_status = (
                    ProvisioningStatus.FAILED if failed else ProvisioningStatus.READY
                )
                charger.error = error
            command = session.get_one(Command, charger.newest_command_id)
            command.status, command.error, command.finished_at = status, error, func.now()

    def row(self, charger_id: str) -> Charger:
        with self.sessions() as session:
            return session.get_one(Charger, charger_id)

    def commands(self, charger_id: str) -> list[Command]:
        with self.sessions() as session:
            return list(
                session.query(Command).where(Command.charger_id == charger_id).order_by(Command.generation)
            )


@pytest.fixture
def fleet(client: FlaskClient, sessions: Sessions, token: Token) -> Fleet:
    return Fleet(client, sessions, token)


@pytest.fixture
def resources(app: Flask) -> Resources:
    found: Resources = app.extensions["chargehand"]
    return found


@pytest.fixture
def begin(app: Flask, fleet: Fleet, resources: Resources) -> Iterator[InBackground]:
    """Sends a request in a thread, and returns once it waits."""
    with ThreadPoolExecutor(40) as pool:

        def begin(method: str, path: str, **kwargs: Any) -> Future[Any]:
            before = resources.watcher.waiting
            headers = fleet.headers() | kwargs.pop("headers", {})
            request = pool.submit(
                lambda: app.test_client().open(path, method=method, headers=headers, **kwargs)
            )
            deadline = monotonic() + 5
            while resources.watcher.waiting == before:
                assert not request.done(), request.result().text
                assert monotonic() < deadline, "it does not wait"
                sleep(0.005)
            return request

        yield begin


@pytest.fixture
def watch(fleet: Fleet) -> Iterator[Watch]:
    with ExitStack() as stack:

        def watch(charger_id: str, last_id: int | None = None) -> Watching:
            headers = {} if last_id is None else {"Last-Event-ID": str(last_id)}
            answer = fleet.get(f"/ocpp/chargers/{charger_id}/events", headers=headers)
            assert answer.status_code == 200, answer.text
            watching = Watching(answer)
            stack.callback(watching.close)
            return watching

        yield watch


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def client_of(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings)
    yield app.test_client()
    resources: Resources = app.extensions["chargehand"]
    resources.pools.dispose()


@pytest.fixture
def without_database(settings: Settings) -> Iterator[FlaskClient]:
    url = make_url(settings.database_url).set(host="127.0.0.1", port=closed_port())
    yield from client_of(replace(settings, database_url=url.render_as_string(hide_password=False)))


def note_runs(sessions: Sessions, *, seconds_ago: int = 0) -> None:
    """Every maintenance task succeeded then, and failed once before."""
    with sessions.begin() as session:
        at = func.now() - timedelta(seconds=seconds_ago)
        for task, queue in QUEUE_OF.items():
            if queue is Queue.MAINTENANCE:
                session.merge(
                    MaintenanceRun(
                        task=task, finished_at=at, succeeded_at=at, duration_s=0.25, failures=1, error="Once"
                    )
                )
