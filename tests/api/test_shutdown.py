"""The API stops: it answers the requests in progress, ends waits at once and accepts no new connection."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import httpx
import pytest
from sqlalchemy import Engine, select, text, update

from shared.database.engine import make_engine, transactional
from shared.models import Charger, Command
from tests.support.api_server import running_api, stop_server
from tests.support.environment import Token
from tests.support.fleet import NEW_CHARGER
from tests.support.waiting import wait_until

WAITS = 20


@pytest.fixture
def database(new_database: Callable[[], str]) -> Iterator[Engine]:
    engine = make_engine(new_database())
    yield engine
    engine.dispose()


@pytest.fixture
def server(database: Engine, redis_url: str, tmp_path: Path) -> Iterator[str]:
    url = database.url.render_as_string(hide_password=False)
    with running_api(url, f"{redis_url.rpartition('/')[0]}/7", tmp_path) as running:
        yield running


@pytest.fixture
def http(server: str, token: Token) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {token()}"}
    limits = httpx.Limits(max_keepalive_connections=0)  # a kept connection would be let in
    with httpx.Client(base_url=server, headers=headers, timeout=40, limits=limits) as client:
        yield client


def is_refused(http: httpx.Client) -> bool:
    try:
        http.get("/health")
    except httpx.TransportError:
        return True
    return False


@contextmanager
def held(database: Engine, charger_id: str) -> Iterator[None]:
    """Nobody else can change the charger."""
    with transactional(database).begin() as connection:
        connection.execute(select(Charger.id).where(Charger.id == charger_id).with_for_update())
        yield


def waiting_for_a_lock(database: Engine) -> int:
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with database.connect() as connection:
        count: int = connection.execute(query).scalar_one()
    return count


def test_requests_in_progress_are_answered_and_no_new_connection_is_accepted(
    http: httpx.Client, database: Engine
) -> None:
    charger_id = http.post("/ocpp/chargers", json=NEW_CHARGER).json()["charger_id"]
    with ThreadPoolExecutor(1) as pool:
        with held(database, charger_id):
            request = pool.submit(http.put, f"/ocpp/chargers/{charger_id}", json={"name": "renamed"})
            wait_until(lambda: waiting_for_a_lock(database) == 1)

            stop_server(str(http.base_url))
            wait_until(lambda: is_refused(http))

            assert not request.done()
        answer = request.result(5)

    assert answer.status_code == 200
    assert answer.json()["name"] == "renamed"


def test_waiting_requests_are_answered_at_once_when_the_server_stops(
    http: httpx.Client, database: Engine
) -> None:
    charger_id = http.post("/ocpp/chargers", json=NEW_CHARGER).json()["charger_id"]
    with database.begin() as connection:
        connection.execute(update(Charger).values(provisioning_status="READY"))
    command_id = http.post(f"/ocpp/chargers/{charger_id}/stop-charger").json()["command_id"]
    stop = f"/ocpp/chargers/{charger_id}/stop-charger?wait=30"
    command = f"/ocpp/chargers/{charger_id}/commands/{command_id}?wait=30"
    with ThreadPoolExecutor(2 * WAITS) as pool:
        stops: list[Future[httpx.Response]] = [pool.submit(http.post, stop) for _ in range(WAITS)]
        commands: list[Future[httpx.Response]] = [pool.submit(http.get, command) for _ in range(WAITS)]
        wait_until(lambda: requests_under_way(http) == 2 * WAITS)
        started = monotonic()

        stop_server(str(http.base_url))
        answers = [future.result(10) for future in stops], [future.result(10) for future in commands]

    assert monotonic() - started < 5
    assert {answer.status_code for answer in answers[0]} == {202}
    assert {answer.json()["command_id"] for answer in answers[0]} == {command_id}
    assert {answer.json()["status"] for answer in answers[1]} == {"queued"}
    with database.connect() as connection:
        assert len(connection.execute(select(Command.id)).all()) == 2


def test_event_streams_end_when_the_server_stops(http: httpx.Client) -> None:
    charger_id = http.post("/ocpp/chargers", json=NEW_CHARGER).json()["charger_id"]
    with http.stream("GET", f"/ocpp/chargers/{charger_id}/events") as stream:
        lines = stream.iter_lines()
        wait_until(lambda: next(lines) == "event: snapshot")
        http.delete(f"/ocpp/chargers/{charger_id}")
        wait_until(lambda: next(lines) == "event: command")
    charger_id = http.post("/ocpp/chargers", json=NEW_CHARGER).json()["charger_id"]
    with http.stream("GET", f"/ocpp/chargers/{charger_id}/events") as stream:
        started = monotonic()
        stop_server(str(http.base_url))
        stream.read()

    assert monotonic() - started < 5


def requests_under_way(http: httpx.Client) -> int:
    """Those of all processes that wait, by the server's own count."""
    line = next(
        line
        for line in http.get("/metrics").text.splitlines()
        if line.startswith("chargehand_waiting_clients ")
    )
    return int(float(line.rpartition(" ")[2]))
