"""What a worker reports of its calls to ECS and its turns at the rate budget."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, make_url

from embedded.ports import HOST, free_port
from shared.database.engine import Sessions, make_engine
from shared.models import Worker
from shared.settings import BudgetSettings, EcsSettings
from tests.support.embedded_ecs import Embedded, client_at
from tests.support.proxy import TcpProxy
from tests.support.waiting import wait_until
from tests.worker.ecs.budgets import take
from tests.worker.ecs.conftest import budget_settings, no_sleep
from worker.ecs.budget import Budget
from worker.ecs.errors import EcsRejected, EcsUnavailable
from worker.reports import reporter
from worker.reports.facts import EcsFacts
from worker.reports.reporter import Reporter

__all__ = ["budget_settings", "no_sleep"]

OFF = BudgetSettings(redis_url="", share=0, quotas={})


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_calls_are_counted_with_their_errors_and_throttles(embedded: Embedded) -> None:
    ecs = client_at(embedded.process.endpoint_url, embedded.ecs._settings)
    nothing = ecs.calls.report()
    ecs.describe_services(["dep-1"])
    embedded.process.set_faults({"kind": "throttle", "action": "DescribeServices"})
    with pytest.raises(EcsUnavailable):
        ecs.describe_services(["dep-1"])

    report = ecs.calls.report()

    assert (nothing["operations"], nothing["success_s"], nothing["failure"]) == ({}, None, None)
    assert report["operations"] == {"DescribeServices": {"calls": 2, "errors": 1, "throttles": 1}}
    assert report["failure"] == "DescribeServices: ThrottlingException"
    assert report["failure_s"] < report["success_s"]


def test_what_ecs_refuses_of_one_charger_is_an_answer_and_no_failure(embedded: Embedded) -> None:
    ecs = client_at(embedded.process.endpoint_url, embedded.ecs._settings)

    with pytest.raises(EcsRejected):
        ecs.ensure_service(
            "dep-1",
            desired_count=1,
            task_definition_arn="arn:aws:ecs:us-east-1:123456789012:task-definition/none:1",
            generation=1,
            tags={},
            exists=False,
        )

    report = ecs.calls.report()
    assert report["operations"]["CreateService"] == {"calls": 1, "errors": 1, "throttles": 0}
    assert report["failure"] is None
    assert report["success_s"] is not None


def test_an_ecs_that_does_not_answer_is_a_failure_without_its_address(ecs_settings: EcsSettings) -> None:
    ecs = client_at(f"http://{HOST}:{free_port()}", ecs_settings)

    with pytest.raises(EcsUnavailable):
        ecs.describe_services(["dep-1"])

    assert ecs.calls.report()["failure"] == "DescribeServices: EndpointConnectionError"


@pytest.mark.usefixtures("no_sleep")
@pytest.mark.parametrize("is_shared", [True, False])
def test_turns_and_waits_are_those_of_the_budget(
    ecs_settings: EcsSettings, budget_settings: BudgetSettings, is_shared: bool
) -> None:
    """5 calls at once and 20 per second: the other 15 wait."""
    clock = Clock()
    own = BudgetSettings(redis_url="", share=1, quotas=budget_settings.quotas)
    budget = Budget(budget_settings if is_shared else own)
    facts = EcsFacts(client_at("http://127.0.0.1:1", ecs_settings, budget), budget, clock)
    waits_s = [take(budget, f"dep-{number}") for number in range(20)]
    clock.now = 10.0

    report = facts.columns()["budget"]

    changes = report["groups"]["service_changes"]
    assert report["shared"] is is_shared
    granted = waits_s.count(0)
    assert 5 <= granted < 20
    assert (changes["turns"], changes["waits"], changes["waiting"]) == (granted, 20 - granted, 20 - granted)
    assert changes["waited_s"] == pytest.approx(sum(waits_s))
    assert changes["used_per_second"] == granted / 10
    assert (changes["per_second"], changes["burst"]) == (20, 5)
    assert changes["tokens"] < 5
    assert report["groups"]["task_reads"]["turns"] == 0
    clock.now = 20.0
    assert facts.columns()["budget"]["groups"]["service_changes"]["used_per_second"] == 0


def test_throttles_are_remembered_for_ten_minutes(
    embedded: Embedded, budget_settings: BudgetSettings
) -> None:
    clock = Clock()
    budget = Budget(budget_settings)
    ecs = client_at(embedded.process.endpoint_url, embedded.ecs._settings, budget)
    facts = EcsFacts(ecs, budget, clock)
    embedded.process.set_faults({"kind": "throttle", "action": "DescribeServices"})
    for _ in range(2):
        with pytest.raises(EcsUnavailable):
            ecs.describe_services(["dep-1"])

    def throttled() -> Any:
        return facts.columns()["budget"]["groups"]["service_reads"]["throttled_10_min"]

    first = throttled()
    clock.now = 599
    later = throttled()
    clock.now = 601

    assert (first, later, throttled()) == (2, 2, 0)


@pytest.fixture
def line(engine: Engine) -> Iterator[TcpProxy]:
    proxy = TcpProxy(make_url(engine.url).port or 0)
    yield proxy
    proxy.close()


@pytest.fixture
def process(engine: Engine, line: TcpProxy, ecs_settings: EcsSettings) -> Iterator[Any]:
    """The resources of a worker that reaches the database through the line."""
    url = engine.url.set(host=HOST, port=line.port).render_as_string(hide_password=False)
    behind_line = make_engine(url, pool_size=2)
    ecs = client_at("http://127.0.0.1:1", ecs_settings)
    yield SimpleNamespace(sessions=Sessions(behind_line), ecs=ecs, budget=Budget(OFF))
    behind_line.dispose()


def test_a_report_outlives_an_outage_of_the_database_with_one_line_in_the_log(
    sessions: Sessions,
    line: TcpProxy,
    process: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(reporter, "REPORT_EVERY_S", 0.05)
    queues = SimpleNamespace(consume_from={"lifecycle": None})
    consumer = SimpleNamespace(
        hostname="worker@host",
        app=SimpleNamespace(amqp=SimpleNamespace(queues=queues)),
        pool=SimpleNamespace(limit=4),
    )

    def row() -> Worker | None:
        with sessions() as session:
            return session.get(Worker, "worker@host")

    reports = Reporter(process, consumer)
    reports.start()
    first = wait_until(row)
    line.cut()
    wait_until(lambda: capfd.readouterr().out.count("report.away") == 1)
    cut = row()
    wait_until(lambda: reports._outage._since is not None)
    line.heal()
    assert first is not None
    assert cut is not None
    back = wait_until(lambda: (found := row()) is not None and found.seen_at > cut.seen_at)
    reports.end()

    assert back
    assert row() is None
    said = capfd.readouterr().out
    assert "report.away" not in said
    assert "report.back" in said
