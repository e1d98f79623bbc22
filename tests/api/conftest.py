"""The app on a real database, and chargers in the states that tests start from."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from time import monotonic, sleep
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, func, make_url

from api.app import create_app
from api.resources import Resources
from shared.database.engine import Sessions
from shared.models import MaintenanceRun
from shared.queues import QUEUE_OF, Queue
from shared.settings import Settings
from shared.startup.environment import load_settings
from tests.support.environment import Token, environment
from tests.support.fleet import Fleet
from tests.support.watching import Watch, Watching

InBackground = Callable[..., Future[Any]]


@pytest.fixture(scope="session")
def app(engine: Engine, redis_url: str) -> Iterator[Flask]:
    """One app for all tests: between requests it keeps only connections and verified tokens."""
    with pytest.MonkeyPatch.context() as patch:
        url = engine.url.render_as_string(hide_password=False)
        for name, value in environment(url, f"{redis_url.rpartition('/')[0]}/9").items():
            patch.setenv(name, value)
        settings = load_settings()
    control = replace(settings.control, url="ws://link.test/control")
    app = create_app(replace(settings, database_pool_size=4, control=control))
    yield app
    resources: Resources = app.extensions["chargehand"]
    resources.publisher.close()
    resources.pools.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


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
