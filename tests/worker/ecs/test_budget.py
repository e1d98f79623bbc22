"""All workers together stay below Amazon's rate quotas, and a caller that waits knows for how long."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import redis
import structlog

from embedded.ports import free_port
from embedded.redis import running_redis
from shared.settings import BudgetSettings
from tests.worker.ecs.budgets import take
from worker.ecs import budget as budget_module
from worker.ecs import turns
from worker.ecs.budget import Budget
from worker.ecs.turns import Priority

pytestmark = pytest.mark.usefixtures("no_sleep")


def test_a_burst_passes_and_then_everybody_has_a_turn_of_their_own(budget_settings: BudgetSettings) -> None:
    budget = Budget(budget_settings)

    delays = [take(budget, f"dep-{number}") for number in range(9)]

    assert delays[:5] == [0] * 5
    for number, delay in enumerate(delays[5:], start=1):
        assert delay == pytest.approx(number / 20, abs=0.04)


def test_a_caller_that_comes_back_at_its_time_is_served(budget_settings: BudgetSettings) -> None:
    budget = Budget(budget_settings)
    for number in range(5):
        take(budget, f"dep-{number}")

    delay = take(budget, "dep-5")
    time.sleep(delay)

    assert take(budget, "dep-5") == 0


def test_the_caller_that_waits_longest_goes_first(budget_settings: BudgetSettings) -> None:
    budget = Budget(budget_settings)
    for number in range(5):
        take(budget, f"dep-{number}")
    waiting = [f"dep-{number}" for number in range(5, 10)]
    for charger_id in waiting:
        take(budget, charger_id)

    time.sleep(0.06)  # one turn
    served = [charger_id for charger_id in ["dep-new", *reversed(waiting)] if take(budget, charger_id) == 0]

    assert served == ["dep-5"]


def test_two_workers_share_one_budget(budget_settings: BudgetSettings) -> None:
    one, other = Budget(budget_settings), Budget(budget_settings)

    with ThreadPoolExecutor(8) as pool:
        delays = list(pool.map(lambda number: take((one, other)[number % 2], f"dep-{number}"), range(16)))

    assert 5 <= delays.count(0) <= 7  # a token or two come in the meantime


def test_the_operations_of_a_group_share_its_bucket_and_other_groups_do_not(
    budget_settings: BudgetSettings,
) -> None:
    budget = Budget(budget_settings)
    for number, operation in enumerate(["CreateService", "DeleteService", "UpdateService"] * 2):
        take(budget, f"dep-{number}", operation)

    assert take(budget, "dep-6", "CreateService") > 0
    assert take(budget, "dep-6", "StopTask") == 0
    assert take(budget, "dep-6", "SomethingWithoutQuota") == 0


def test_observing_leaves_a_reserve_and_is_not_queued(budget_settings: BudgetSettings) -> None:
    budget = Budget(budget_settings)

    observed = [take(budget, "") for _ in range(8)]
    commanded = [take(budget, f"dep-{number}") for number in range(3)]

    assert observed.count(0) == 4
    assert commanded[0] == 0
    assert commanded[2] < 0.2  # the observer's tries did not lengthen the queue


def test_commands_go_before_removals(budget_settings: BudgetSettings) -> None:
    budget = Budget(budget_settings)

    removals = [
        take(budget, f"dep-old-{number}", organization=organization, priority=Priority.REMOVAL)
        for number in range(20)
        for organization in ("org", "other")
    ]
    starts = [take(budget, f"dep-{number}") for number in range(6)]

    assert removals.count(0) == 4  # they leave a fifth of the burst
    assert starts[0] == 0
    assert max(starts) < 0.8 < removals[-1]


def test_a_thousand_creates_of_one_organization_delay_a_create_of_another_by_two_turns(
    budget_settings: BudgetSettings,
) -> None:
    budget = Budget(budget_settings)

    crowd = [
        take(budget, f"dep-{number}", "CreateService", organization="loud", priority=Priority.PROVISIONING)
        for number in range(1000)
    ]
    other = take(budget, "dep-other", "CreateService", organization="quiet", priority=Priority.PROVISIONING)

    assert crowd[-1] > 40
    assert other < 4 / 20  # one turn of the crowd, its own, and the reserve of one


def test_a_short_wait_is_slept_through(
    budget_settings: BudgetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MAX_SLEEP_S", 0.5)
    budget = Budget(budget_settings)
    began = time.monotonic()

    delays = [take(budget, f"dep-{number}") for number in range(10)]

    assert delays == [0] * 10
    assert time.monotonic() - began >= 0.2


def test_a_caller_that_does_not_come_back_holds_nobody_up_for_long(
    budget_settings: BudgetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "ABANDONED_AFTER_S", 0.1)
    budget = Budget(budget_settings)
    for number in range(5 + 10):
        take(budget, f"dep-{number}")  # ten of them wait, and are deleted then
    began = time.monotonic()

    while (delay := take(budget, "dep-new")) > 0:
        time.sleep(min(delay, 0.05))

    assert time.monotonic() - began < 1.5


def test_a_crowd_gets_through_at_the_rate_and_in_order(budget_settings: BudgetSettings) -> None:
    """60 chargers that each come back when they are expected."""
    budget = Budget(replace(budget_settings, quotas={"service_changes": "50/10"}))
    began = time.monotonic()
    expected = [(0.0, number) for number in range(60)]
    served: list[int] = []
    tries = 0

    while expected:
        at, number = expected.pop(0)
        time.sleep(max(0.0, began + at - time.monotonic()))
        tries += 1
        delay = take(budget, f"dep-{number}")
        if delay:
            expected = sorted([*expected, (time.monotonic() - began + delay, number)])
        else:
            served.append(number)

    assert 0.9 <= time.monotonic() - began <= 3
    assert tries <= 4 * 60
    assert sum(abs(rank - number) for rank, number in enumerate(served)) / 60 < 3


# Without Redis.


def test_a_worker_without_redis_uses_its_own_bucket(budget_settings: BudgetSettings) -> None:
    budget = Budget(replace(budget_settings, redis_url=""))

    delays = [take(budget, f"dep-{number}") for number in range(8)]

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
            workers[0]._shared._worker = "another process"
            for budget in workers:
                take(budget, "dep-1", "UpdateService")
            take(workers[0], "dep-2")  # by now both know of each other
        alone = [take(workers[0], f"dep-{number}") for number in range(8)]

    assert alone.count(0) in {5, 6}  # half of the burst of ten
    assert [line["event"] for line in lines] == ["budget.redis.away"]


def test_when_redis_becomes_a_replica_each_worker_takes_its_share(
    budget_settings: BudgetSettings, tmp_path: Path
) -> None:
    with running_redis(tmp_path) as own_url, redis.Redis.from_url(own_url) as client:
        budget = Budget(replace(budget_settings, redis_url=own_url))
        client.replicaof("127.0.0.1", 1)

        with structlog.testing.capture_logs() as lines:
            take(budget, "dep-1")

    assert [line["event"] for line in lines] == ["budget.redis.away"]


def test_a_frozen_redis_costs_a_moment_and_is_left_alone_for_a_while(
    budget_settings: BudgetSettings, tmp_path: Path
) -> None:
    with running_redis(tmp_path) as own_url:
        budget = Budget(replace(budget_settings, redis_url=own_url))
        with redis.Redis.from_url(own_url) as client:
            pid = int(client.info()["process_id"])
        take(budget, "dep-1")
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            first = take(budget, "dep-2")
            after_first = time.monotonic()
            for number in range(3):
                take(budget, f"dep-{number}")
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
        take(away, "dep-1")
        away._shared = Budget(budget_settings)._shared  # the server at that address is up now
        away._shared_again_at = 0
        take(away, "dep-2")

    assert [line["event"] for line in lines] == ["budget.redis.away", "budget.redis.back"]
