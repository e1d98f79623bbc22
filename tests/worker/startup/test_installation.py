"""A database knows which ECS runs its chargers, and a worker of another ECS takes none of its commands."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis
from celery.worker import state
from click.testing import CliRunner
from sqlalchemy import Engine, text

from chargehand.cli import main
from embedded.ports import HOST, free_port
from shared.database.engine import Sessions, make_engine
from shared.fleet.installation import Services, move, record, recorded
from shared.settings import Settings
from tests.support.environment import environment
from worker.ecs.client import EcsClient, EcsUnavailable
from worker.startup.checks import stop_if_wrong
from worker.startup.installation import Guard, WrongEcs, is_amazon

AMAZON = "https://ecs.eu-central-1.amazonaws.com"
OURS = Services("aws", "eu-central-1", "111111111111", "chargehand", "")


@pytest.fixture
def sessions(engine: Engine) -> Iterator[Sessions]:
    """Of a database that no worker has seen yet."""
    with engine.connect() as connection:
        connection.execute(text("TRUNCATE installation"))
    yield Sessions(engine)
    with engine.connect() as connection:
        connection.execute(text("TRUNCATE installation"))


@pytest.fixture
def database(sessions: Sessions) -> Engine:
    return sessions.autocommit


class Sts(HTTPServer):
    """Answers GetCallerIdentity, or nothing that is of use while `account` is empty."""

    account = ""

    def __init__(self) -> None:
        super().__init__((HOST, 0), StsHandler)


class StsHandler(BaseHTTPRequestHandler):
    server: Sts

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if self.server.account else 503)
        self.end_headers()
        answer = (
            "<GetCallerIdentityResponse><GetCallerIdentityResult>"
            f"<Account>{self.server.account}</Account>"
            "</GetCallerIdentityResult></GetCallerIdentityResponse>"
        )
        self.wfile.write(answer.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sts]:
    with Sts() as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://{HOST}:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
        yield server
        server.shutdown()
        thread.join()


GuardOf = Callable[..., Guard]


@pytest.fixture
def guard(sessions: Sessions, settings: Settings, sts: Sts) -> GuardOf:
    """A worker's guard. Its ECS is at Amazon's address, and is never called but for the account."""

    def make(*, ecs_says: str = "", endpoint_url: str = AMAZON, **changes: str) -> Guard:
        ecs = SimpleNamespace(endpoint_url=endpoint_url, account=lambda: ecs_says)
        mine = replace(settings.ecs, **{"region": "eu-central-1", **changes})  # type: ignore[arg-type]
        return Guard(sessions, mine, cast(EcsClient, ecs))

    return make


def test_the_first_worker_records_its_ecs_and_the_second_finds_it(
    guard: GuardOf, database: Engine, sts: Sts
) -> None:
    sts.account = "111111111111"

    guard().check_at_start()
    guard().check_at_start()

    assert recorded(database) == OURS


@pytest.mark.parametrize(
    "changes",
    [{"region": "us-east-1"}, {"cluster": "staging"}, {"name_prefix": "b-"}, {"endpoint_url": "http://ecs"}],
)
def test_a_worker_of_another_ecs_is_refused(
    guard: GuardOf, database: Engine, sts: Sts, changes: dict[str, str]
) -> None:
    sts.account = "111111111111"
    guard().check_at_start()

    with pytest.raises(WrongEcs) as refused:
        guard(**changes).check_at_start()

    assert f"run as {OURS}, and this worker would run them as arn:" in str(refused.value)
    assert recorded(database) == OURS


def test_a_worker_of_another_account_is_refused(guard: GuardOf, sts: Sts) -> None:
    sts.account = "111111111111"
    guard().check_at_start()
    sts.account = "222222222222"

    with pytest.raises(WrongEcs, match="would run them as arn:aws:ecs:eu-central-1:222222222222:"):
        guard().check_at_start()


def test_a_worker_starts_without_sts_and_compares_the_account_before_its_first_change(
    guard: GuardOf, database: Engine
) -> None:
    record(database, OURS)
    by_ecs, wrong, unknown = guard(ecs_says=OURS.account), guard(ecs_says="222222222222"), guard()
    for each in (by_ecs, wrong, unknown):
        each.check_at_start()

    by_ecs.check_before_change()
    unknown.check_before_change()
    with pytest.raises(WrongEcs):
        wrong.check_before_change()
    assert recorded(database) == OURS


def test_a_worker_that_finds_its_account_wrong_ends_without_the_change(
    guard: GuardOf, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "should_stop", None)
    record(database, OURS)

    with pytest.raises(EcsUnavailable):
        stop_if_wrong(guard(ecs_says="222222222222"))

    assert state.should_stop == 1


def test_the_account_is_filled_in_by_the_first_worker_that_knows_it(
    guard: GuardOf, database: Engine, sts: Sts
) -> None:
    guard().check_at_start()
    before = recorded(database)
    sts.account = "111111111111"

    guard().check_at_start()

    assert before == replace(OURS, account="")
    assert recorded(database) == OURS


def test_of_workers_that_start_at_once_one_records(database: Engine) -> None:
    candidates = [replace(OURS, account=f"{number:012}") for number in range(8)]

    with ThreadPoolExecutor(8) as pool:
        stored = set(pool.map(lambda mine: record(database, mine), candidates))

    assert len(stored) == 1


def test_an_embedded_ecs_is_known_by_its_name_and_not_by_its_port(guard: GuardOf, database: Engine) -> None:
    guard(endpoint_url="http://127.0.0.1:1", installation="laptop").check_at_start()
    guard(endpoint_url="http://127.0.0.1:2", installation="laptop").check_at_start()

    with pytest.raises(WrongEcs, match='eval "\\$\\(chargehand env\\)"'):
        guard().check_at_start()
    assert str(recorded(database)) == "arn:custom:ecs:eu-central-1:laptop:service/chargehand/*"


@pytest.mark.parametrize(
    ("url", "amazons"),
    [
        (AMAZON, True),
        ("https://vpce-1-2.ecs.eu-central-1.vpce.amazonaws.com", True),
        ("https://ecs.cn-north-1.amazonaws.com.cn", True),
        ("https://ecs.eu-central-1.api.aws", True),
        ("http://127.0.0.1:4566", False),
        ("http://ecs:4566", False),
        ("https://amazonaws.com.example.org", False),
    ],
)
def test_amazons_addresses_differ_from_others(url: str, amazons: bool) -> None:
    assert is_amazon(url) is amazons


@pytest.mark.parametrize(
    "services", [OURS, replace(OURS, account="", name_prefix="b-"), replace(OURS, partition="aws-cn")]
)
def test_what_is_recorded_is_read_back(services: Services) -> None:
    assert Services.parse(str(services)) == services


@pytest.mark.parametrize("nonsense", ["", "chargehand", "arn:aws:ecs:eu-central-1:1:cluster/chargehand"])
def test_the_command_refuses_what_names_no_services(
    database: Engine, settings: Settings, nonsense: str
) -> None:
    record(database, OURS)

    said = CliRunner().invoke(main, ["installation", "--set", nonsense])

    assert said.exit_code == 1
    assert (
        said.stderr
        == f"Error: {nonsense!r} is not of the form arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/*\n"
    )
    assert recorded(database) == OURS


def test_the_command_moves_an_installation_when_that_is_confirmed(
    database: Engine, settings: Settings
) -> None:
    there = "arn:aws:ecs:us-east-1:333333333333:service/chargehand/*"
    record(database, OURS)

    refused = CliRunner().invoke(main, ["installation", "--set", there])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.endswith("Error: --set moves all chargers: without a terminal it needs --yes\n")
    assert recorded(database) == OURS

    moved = CliRunner().invoke(main, ["installation", "--set", there, "--yes", "--json"])
    assert (moved.exit_code, json.loads(moved.stdout)) == (0, {"services": there})
    assert str(recorded(database)) == there


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://nobody@127.0.0.1:1/nothing", "Error: The database is not available ("),
        ("mysql://localhost", "Error: DATABASE_URL must be a postgresql:// URL"),
    ],
)
def test_the_command_without_a_database_is_one_clear_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, url: str, message: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    said = CliRunner().invoke(main, ["installation"])

    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr.startswith(message)
    assert len(said.stderr.splitlines()) == 1


def test_a_worker_of_another_ecs_takes_no_message_and_says_why_in_one_line(
    new_database: Callable[[], str], redis_url: str
) -> None:
    database_url = new_database()
    engine = make_engine(database_url, pool_size=1)
    move(engine, OURS)
    engine.dispose()
    argv = [sys.executable, "-m", "celery", "-A", "worker.celery_app", "worker", "-Q", "lifecycle"]
    own_broker = redis_url.rsplit("/", 1)[0] + "/9"
    variables: dict[str, Any] = environment(database_url, own_broker)
    variables["AWS_ENDPOINT_URL"] = f"http://{HOST}:{free_port()}"
    with redis_of(own_broker) as broker:
        broker.flushdb()  # other tests leave messages there
        broker.lpush("lifecycle", "a message")

        ended = subprocess.run(
            argv, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60, check=False
        )

        assert broker.llen("lifecycle") == 1
    assert ended.returncode == 1
    assert ended.stderr == (
        f"Error: this database's chargers run as {OURS}, and this worker would run them as "
        "arn:custom:ecs:us-east-1:tests:service/chargehand/*. Give this worker the database's AWS_REGION, ECS_CLUSTER, "
        "ECS_NAME_PREFIX and account; or, to move them, stop all workers and run: "
        "chargehand installation --set 'arn:custom:ecs:us-east-1:tests:service/chargehand/*'\n"
    )


@contextmanager
def redis_of(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url) as client:
        yield client
        client.flushdb()
