"""All workers together stay below Amazon's rate quotas, and who waits knows for how long."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import redis
import structlog

from embedded.ports import free_port
from embedded.redis import running_redis
from shared.settings import BudgetSettings, SettingsError
from shared.startup.environment import load_settings
from tests.worker.conftest import World
from tests.worker.embedded import Embedded, client_at
from worker.ecs import budget as budget_module
from worker.ecs import turns
from worker.ecs.budget import GROUP_OF, QUOTAS, Budget, BudgetSpent, on_behalf_of
from worker.ecs.client import EcsClient, ServiceView
from worker.ecs.turns import Priority
from worker.observe.observe import observe

QUICK = {"service_changes": "20/5"}  # 20 calls per second after 5


@pytest.fixture
def budget_settings(redis_url: str) -> Iterator[BudgetSettings]:
    """Full buckets, and nobody waits."""
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter("chargehand:ecs:*"):
            client.delete(key)
    yield BudgetSettings(redis_url=redis_url, share=1, quotas=QUICK)


def ask(
    budget: Budget,
    who: str,
    operation: str = "UpdateService",
    *,
    organization: str = "org",
    priority: Priority = Priority.LIFECYCLE,
) -> float:
    """How long it must wait; 0 when it was its turn."""
    try:
        with on_behalf_of(who, organization, priority):
            budget.take(operation)
    except BudgetSpent as spent:
        return spent.delay_s
    return 0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sleeps for a turn, except where a test says so."""
    monkeypatch.setattr(turns, "PATIENCE_S", 0.0)


def test_a_burst_passes_and_then_everybody_has_a_turn_of_their_own(budget_settings: BudgetSettings) -> None:
    budget = Budget(budget_settings)

    delays = [ask(budget, f"dep-{number}") for number in range(9)]

    assert delays[:5] == [0] * 5
    for number, delay in enumerate(delays[5:], start=1):
        assert delay == pytest.approx(number / 20, abs=0.04)


def test_who_comes_back_at_its_time_is_served(budget_settings: BudgetSettings) -> None:
    budget = Budget(budget_settings)
    for number in range(5):
        ask(budget, f"dep-{number}")

    delay = ask(budget, "dep-5")
    time.sleep(delay)

    assert ask(budget, "dep-5") == 0


def test_who_waits_longest_goes_first(budget_settings: BudgetSettings) -> None:
    budget = Budget(budget_settings)
    for number in range(5):
        ask(budget, f"dep-{number}")
    waiting = [f"dep-{number}" for number in range(5, 10)]
    for who in waiting:
        ask(budget, who)

    time.sleep(0.06)  # one turn
    served = [who for who in ["dep-new", *reversed(waiting)] if ask(budget, who) == 0]

    assert served == ["dep-5"]


def test_two_workers_share_one_budget(budget_settings: BudgetSettings) -> None:
    one, other = Budget(budget_settings), Budget(budget_settings)

    with ThreadPoolExecutor(8) as pool:
        delays = list(pool.map(lambda number: ask((one, other)[number % 2], f"dep-{number}"), range(16)))

    assert 5 <= delays.count(0) <= 7  # a token or two come in the meantime


def test_the_operations_of_a_group_share_its_bucket_and_other_groups_do_not(
    budget_settings: BudgetSettings,
) -> None:
    budget = Budget(budget_settings)
    for number, operation in enumerate(["CreateService", "DeleteService", "UpdateService"] * 2):
        ask(budget, f"dep-{number}", operation)

    assert ask(budget, "dep-6", "CreateService") > 0
    assert ask(budget, "dep-6", "StopTask") == 0
    assert ask(budget, "dep-6", "SomethingWithoutQuota") == 0


def test_observing_leaves_a_reserve_and_has_no_place_in_the_queue(budget_settings: BudgetSettings) -> None:
    budget = Budget(budget_settings)

    observed = [ask(budget, "") for _ in range(8)]
    commanded = [ask(budget, f"dep-{number}") for number in range(3)]

    assert observed.count(0) == 4
    assert commanded[0] == 0
    assert commanded[2] < 0.2  # the observer's tries did not lengthen the queue


def test_commands_go_before_removals(budget_settings: BudgetSettings) -> None:
    budget = Budget(budget_settings)

    removals = [
        ask(budget, f"dep-old-{number}", organization=organization, priority=Priority.REMOVAL)
        for number in range(20)
        for organization in ("org", "other")
    ]
    starts = [ask(budget, f"dep-{number}") for number in range(3)]

    assert removals.count(0) == 4  # they leave a fifth of the burst
    assert starts[0] == 0
    assert starts[2] < 0.35 < removals[-1]


def test_a_thousand_creates_of_one_organization_delay_a_create_of_another_by_two_turns(
    budget_settings: BudgetSettings,
) -> None:
    budget = Budget(budget_settings)

    crowd = [
        ask(budget, f"dep-{number}", "CreateService", organization="loud", priority=Priority.PROVISIONING)
        for number in range(1000)
    ]
    other = ask(budget, "dep-other", "CreateService", organization="quiet", priority=Priority.PROVISIONING)

    assert crowd[-1] > 40
    assert other < 4 / 20  # one turn of the crowd, its own, and the reserve of one


def test_a_short_wait_is_slept_through(
    budget_settings: BudgetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "PATIENCE_S", 0.5)
    budget = Budget(budget_settings)
    began = time.monotonic()

    delays = [ask(budget, f"dep-{number}") for number in range(10)]

    assert delays == [0] * 10
    assert time.monotonic() - began >= 0.2


def test_who_does_not_come_back_holds_nobody_up_for_long(
    budget_settings: BudgetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LOST_AFTER_S", 0.1)
    budget = Budget(budget_settings)
    for number in range(5 + 10):
        ask(budget, f"dep-{number}")  # ten of them wait, and are deleted then
    began = time.monotonic()

    while (delay := ask(budget, "dep-new")) > 0:
        time.sleep(min(delay, 0.05))

    assert time.monotonic() - began < 1.5


def test_a_crowd_gets_through_at_the_rate_and_in_order(budget_settings: BudgetSettings) -> None:
    """60 chargers that each come back when they were told to."""
    budget = Budget(replace(budget_settings, quotas={"service_changes": "50/10"}))
    began = time.monotonic()
    due = [(0.0, number) for number in range(60)]
    served: list[int] = []
    asked = 0

    while due:
        at, number = due.pop(0)
        time.sleep(max(0.0, began + at - time.monotonic()))
        asked += 1
        delay = ask(budget, f"dep-{number}")
        if delay:
            due = sorted([*due, (time.monotonic() - began + delay, number)])
        else:
            served.append(number)

    assert 0.9 <= time.monotonic() - began <= 3
    assert asked <= 4 * 60
    assert sum(abs(place - number) for place, number in enumerate(served)) / 60 < 3


# Without Redis.


def test_a_worker_without_redis_uses_its_own_bucket(budget_settings: BudgetSettings) -> None:
    budget = Budget(replace(budget_settings, redis_url=""))

    delays = [ask(budget, f"dep-{number}") for number in range(8)]

    assert delays[:5] == [0] * 5
    assert 0 < delays[5] < delays[6] < delays[7]


def test_when_redis_goes_away_each_worker_takes_its_share_and_says_so_once(
    budget_settings: BudgetSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_module, "REDIS_AGAIN_AFTER_S", 0.0)
    with structlog.testing.capture_logs() as lines:
        with running_redis(tmp_path) as own_url:
            settings = replace(budget_settings, redis_url=own_url, quotas={"service_changes": "20/10"})
            workers = [Budget(settings) for _ in range(2)]
            assert workers[0]._shared is not None
            workers[0]._shared._me = "another process"
            for budget in workers:
                ask(budget, "dep-1", "UpdateService")
            ask(workers[0], "dep-2")  # by now both know of each other
        alone = [ask(workers[0], f"dep-{number}") for number in range(8)]

    assert alone.count(0) in {5, 6}  # half of the burst of ten
    assert [line["event"] for line in lines] == ["budget.redis.away"]


def test_when_redis_becomes_a_replica_each_worker_takes_its_share(
    budget_settings: BudgetSettings, tmp_path: Path
) -> None:
    with running_redis(tmp_path) as own_url, redis.Redis.from_url(own_url) as client:
        budget = Budget(replace(budget_settings, redis_url=own_url))
        client.replicaof("127.0.0.1", 1)

        with structlog.testing.capture_logs() as lines:
            ask(budget, "dep-1")

    assert [line["event"] for line in lines] == ["budget.redis.away"]


def test_a_frozen_redis_costs_a_moment_and_is_left_alone_for_a_while(
    budget_settings: BudgetSettings, tmp_path: Path
) -> None:
    with running_redis(tmp_path) as own_url:
        budget = Budget(replace(budget_settings, redis_url=own_url))
        with redis.Redis.from_url(own_url) as client:
            pid = int(client.info()["process_id"])
        ask(budget, "dep-1")
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            first = ask(budget, "dep-2")
            after_first = time.monotonic()
            for number in range(3):
                ask(budget, f"dep-{number}")
            after_all = time.monotonic()
        finally:
            os.kill(pid, signal.SIGCONT)

    assert first == 0
    assert after_first - began < 1
    assert after_all - after_first < 0.1


def test_redis_is_used_again_when_it_is_back(
    budget_settings: BudgetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Budget(replace(budget_settings, redis_url=f"redis://127.0.0.1:{free_port()}/0"))
    with structlog.testing.capture_logs() as lines:
        ask(away, "dep-1")
        away._shared = Budget(budget_settings)._shared  # the server at that address is up now
        away._shared_again_at = 0
        ask(away, "dep-2")

    assert [line["event"] for line in lines] == ["budget.redis.away", "budget.redis.back"]


# In the client, and on the row.


def test_every_call_of_the_client_takes_part(embedded: Embedded, budget_settings: BudgetSettings) -> None:
    """Also those to come: an operation without a group would go past the budget."""
    ecs = embedded.ecs
    charger_id = f"dep-{uuid4().hex[:12]}"
    embedded.process.clear_calls()
    arn = ecs.ensure_task_definition(charger_id, {"CHARGER_A": "1"}, {})
    ecs.ensure_task_definition(charger_id, {"CHARGER_A": "1"}, {})
    ensure(ecs, charger_id, arn)
    ensure(ecs, charger_id, arn)
    ecs.last_stopped_task(charger_id)
    task = ecs.current_task(charger_id)
    ecs.describe_tasks(["arn:aws:ecs:us-east-1:123456789012:task/chargehand/0"])
    ecs.stop_task(task or "none", reason="test")
    ecs.delete_service(charger_id)
    ecs.delete_task_definitions(ecs.task_definitions(charger_id))

    made = {call["action"] for call in embedded.process.calls()}

    assert made == set(GROUP_OF)


def test_a_call_beyond_the_budget_is_not_made(embedded: Embedded, budget_settings: BudgetSettings) -> None:
    settings = embedded.ecs._settings
    ecs = client_at(embedded.process.endpoint_url, settings, Budget(budget_settings))
    charger_id = f"dep-{uuid4().hex[:12]}"
    arn = ecs.ensure_task_definition(charger_id, {"CHARGER_A": "1"}, {})
    embedded.process.clear_calls()

    with on_behalf_of(charger_id, "org"), pytest.raises(BudgetSpent, match="rate budget, about 1 s"):
        for _ in range(100):
            ensure(ecs, charger_id, arn)

    made = embedded.process.calls("CreateService", "UpdateService")
    assert 5 <= len(made) <= 20


def test_below_the_budget_ecs_throttles_nobody(embedded: Embedded, budget_settings: BudgetSettings) -> None:
    embedded.process.set_faults({"kind": "quotas"})
    embedded.process.clear_calls()
    settings = replace(budget_settings, share=0.9, quotas={})
    workers = [
        client_at(embedded.process.endpoint_url, embedded.ecs._settings, Budget(settings)) for _ in range(2)
    ]
    charger_id = f"dep-{uuid4().hex[:12]}"
    arn = workers[0].ensure_task_definition(charger_id, {"CHARGER_A": "1"}, {})

    def work(number: int) -> bool:
        try:
            with on_behalf_of(f"{charger_id}-{number}", "org"):
                ensure(workers[number % 2], charger_id, arn)
        except BudgetSpent:
            return False
        return True

    ensure(workers[0], charger_id, arn)
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(work, range(70)))

    assert 40 <= done.count(True) <= 55
    assert not [call for call in embedded.process.calls() if call["faults"]]


def test_a_newer_wish_keeps_its_chargers_place_in_the_queue(budget_settings: BudgetSettings) -> None:
    budget = Budget(budget_settings)
    for number in range(10):
        ask(budget, f"dep-{number}")

    assert ask(budget, "dep-5") < ask(budget, "dep-9")


def test_an_observer_without_budget_stops_and_begins_there_next_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        world.ready(f"CP-{number}")
    timing = replace(world.timing, observe_every_s=60, observe_settled_every_s=60)
    describe = world.ecs.describe_services
    looks: list[int] = []

    def spent_by_the_second(charger_ids: Sequence[str]) -> dict[str, ServiceView | None]:
        looks.append(len(charger_ids))
        if len(looks) == 2:
            raise BudgetSpent(1)
        return describe(charger_ids)

    monkeypatch.setattr(world.ecs, "describe_services", spent_by_the_second)
    for _ in range(3):
        observe(world.sessions, world.ecs, timing)

    assert looks == [10, 2, 2]


@pytest.mark.parametrize("quotas", ["chargers=5/50", "service_changes=fast", "service_changes=5"])
def test_a_wrong_quota_is_one_clear_line(
    budget_settings: BudgetSettings, quotas: str, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECS_QUOTAS", quotas)

    with pytest.raises(SettingsError, match="ECS_QUOTAS"):
        Budget(load_settings().budget)


def test_the_budget_is_on_in_production_and_off_on_a_laptop(
    settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    production = budget_module.quotas(load_settings().budget)
    monkeypatch.setenv("CHARGEHAND_ENV", "embedded")
    embedded = budget_module.quotas(load_settings().budget)

    assert production["service_changes"][:2] == (4.5, 45)
    assert set(production) == set(QUOTAS)
    assert embedded == {}


def test_without_a_redis_every_worker_is_alone(settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().budget.redis_url.startswith("redis://")
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.setenv("BROKER_URL", "amqp://guest:guest@127.0.0.1//")

    assert load_settings().budget.redis_url == ""


def ensure(ecs: EcsClient, charger_id: str, definition: str) -> None:
    ecs.ensure_service(
        charger_id,
        desired_count=1,
        task_definition_arn=definition,
        generation=1,
        tags={},
        exists=True,
    )
