"""Every call of the client takes part in the budget, and without a turn it is not made."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest

from shared.settings import BudgetSettings, SettingsError
from shared.startup.environment import load_settings
from tests.support.embedded_ecs import Embedded, client_at
from tests.support.world import World
from tests.worker.ecs.budgets import take
from worker.ecs import budget as budget_module
from worker.ecs.budget import GROUP_OF, QUOTAS, Budget, BudgetSpent, on_behalf_of
from worker.ecs.client import EcsClient, ServiceView
from worker.observe.observe import observe

pytestmark = pytest.mark.usefixtures("no_sleep")


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


def test_a_newer_command_keeps_its_chargers_position_in_the_queue(budget_settings: BudgetSettings) -> None:
    budget = Budget(budget_settings)
    for number in range(10):
        take(budget, f"dep-{number}")

    assert take(budget, "dep-5") < take(budget, "dep-9")


def test_an_observer_without_budget_stops_and_begins_there_next_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        world.ready(f"CP-{number}")
    timing = replace(world.timing, observe_every_s=60, observe_settled_every_s=60)
    describe = world.ecs.describe_services
    batches: list[int] = []

    def spent_at_the_second(charger_ids: Sequence[str]) -> dict[str, ServiceView | None]:
        batches.append(len(charger_ids))
        if len(batches) == 2:
            raise BudgetSpent(1)
        return describe(charger_ids)

    monkeypatch.setattr(world.ecs, "describe_services", spent_at_the_second)
    for _ in range(3):
        observe(world.sessions, world.ecs, timing)

    assert batches == [10, 2, 2]


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
