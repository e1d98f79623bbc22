"""Removals: how fast 10 chargers start with the rate budget on, by themselves and while 50 others are deleted.

Charger processes only sleep, so that two cores have time for what is measured: the way of a start to ECS and back.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import sleep

import httpx
from sqlalchemy import Engine, text

from bench.report import Budget, Report, Table
from embedded.postgres import running_postgres
from embedded.redis import running_redis
from shared.auth.tokens import make_token
from shared.database.engine import make_engine, migrate
from shared.settings import TokenSettings
from tests.conftest import JWT_SECRET
from tests.embedded.waiting import wait_until
from tests.stack import Stack, running_stack

STARTS = 10
REMOVALS = 50
ROUNDS = 3
#: A full bucket before each measurement: of service changes, 45 at 4.5 per second.
REST_S = 11
TIMES = text("""
    SELECT extract(epoch FROM applied_at - created_at) AS reached_s,
        extract(epoch FROM finished_at - created_at) AS finished_s
    FROM commands WHERE id = ANY(CAST(:ids AS uuid[])) AND finished_at IS NOT NULL
""")
OPEN = text("SELECT count(*) FROM commands WHERE finished_at IS NULL")


@contextmanager
def quiet_stack(**settings: str) -> Iterator[tuple[Stack, Engine]]:
    """The whole product with Amazon's quotas as its budget, and charger processes that only sleep."""
    with (
        TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name,
        running_postgres(Path(name) / "postgres") as database_url,
        running_redis(Path(name) / "redis") as redis_url,
    ):
        migrate(database_url)
        defaults = {"ECS_BUDGET_SHARE": "0.9", "ECS_EMBEDDED_TASK_COMMAND": "sleep 3600"}
        with running_stack(Path(name), database_url, redis_url, **{**defaults, **settings}) as stack:
            engine = make_engine(database_url, pool_size=2)
            yield stack, engine
            engine.dispose()


def token_of(organization: str) -> str:
    """A user's."""
    settings = TokenSettings(
        algorithm="HS256", secret=JWT_SECRET, public_key="", jwks_url="", issuer="", audience="", max_age_s=0
    )
    return make_token(settings, subject="bench", organization_id=organization, role="user", ttl_s=86_400)


def client_of(stack: Stack, organization: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token_of(organization)}"}
    return httpx.Client(base_url=stack.api_url, headers=headers, timeout=30, trust_env=False)


def create(client: httpx.Client, identity: str) -> str:
    """The charger's id, as soon as it is on record."""
    body = {
        "identity": identity,
        "brand_slug": "wallbox",
        "model_slug": "wallbox-pulsar-plus",
        "connector_type": "Type2",
        "ws_url": "ws://localhost:9/ocpp",
    }
    answer = client.post("/ocpp/chargers", json=body).raise_for_status()
    return str(answer.json()["charger_id"])


def act(client: httpx.Client, charger_id: str, verb: str) -> str:
    """The command's id."""
    answer = client.post(f"/ocpp/chargers/{charger_id}/{verb}-charger").raise_for_status()
    return str(answer.json()["command_id"])


def wait_until_settled(engine: Engine, within_s: float) -> None:
    """Every command is final."""

    def settled() -> bool:
        with engine.connect() as connection:
            return not connection.scalar(OPEN)

    wait_until(settled, within_s)


def times(engine: Engine, command_ids: Sequence[str], within_s: float = 60) -> list[tuple[float, float]]:
    """Seconds from a command's acceptance until ECS had it, and until it was final. Waits until all are."""
    rows: list[tuple[float, float]] = []

    def all_final() -> bool:
        with engine.connect() as connection:
            rows[:] = [
                (float(row.reached_s), float(row.finished_s))
                for row in connection.execute(TIMES, {"ids": list(command_ids)})
            ]
        return len(rows) == len(command_ids)

    wait_until(all_final, within_s)
    return rows


def measure() -> Report:
    alone: list[tuple[float, float]] = []
    beside: list[tuple[float, float]] = []
    # New task definitions are not what is measured: with Amazon's rate, making the chargers would take minutes.
    with (
        quiet_stack(ECS_QUOTAS="definition_changes=50/500") as (stack, engine),
        client_of(stack, "org") as org,
    ):
        few = [create(org, f"CP-{number}") for number in range(STARTS)]
        for turn in range(ROUNDS):
            many = [create(org, f"OLD-{turn}-{number}") for number in range(REMOVALS)]
            wait_until_settled(engine, 120)
            alone += _starts(org, engine, few, [])
            beside += _starts(org, engine, few, many)
    return _report(alone, beside)


def _starts(
    org: httpx.Client, engine: Engine, few: Sequence[str], many: Sequence[str]
) -> list[tuple[float, float]]:
    for charger_id in few:
        act(org, charger_id, "stop")
    wait_until_settled(engine, 60)
    sleep(REST_S)
    for charger_id in many:
        org.delete(f"/ocpp/chargers/{charger_id}").raise_for_status()
    starts = [act(org, charger_id, "start") for charger_id in few]
    wait_until(lambda: all(finished for _, finished in _finished(engine, starts)), 60)
    return times(engine, starts)


def _finished(engine: Engine, command_ids: Sequence[str]) -> list[tuple[str, bool]]:
    statement = text(
        "SELECT id::text, finished_at IS NOT NULL FROM commands WHERE id = ANY(CAST(:ids AS uuid[]))"
    )
    with engine.connect() as connection:
        return [(row[0], row[1]) for row in connection.execute(statement, {"ids": list(command_ids)})]


def _report(alone: Sequence[tuple[float, float]], beside: Sequence[tuple[float, float]]) -> Report:
    rows = [
        (
            name,
            f"{median(reached for reached, _ in some):.2f}",
            f"{max(reached for reached, _ in some):.2f}",
            f"{median(finished for _, finished in some):.2f}",
            f"{max(finished for _, finished in some):.2f}",
        )
        for name, some in ((f"{STARTS} starts", alone), (f"beside {REMOVALS} removals", beside))
    ]
    slower = median(finished for _, finished in beside) / median(finished for _, finished in alone)
    head = ("s", "at ECS, median", "at ECS, last", "succeeded, median", "succeeded, last")
    return Report(
        tables=[Table(head, rows)],
        budgets=[Budget("starts beside removals, times alone", slower, at_most=1.5)],
    )
