"""For some seconds after a change ECS answers with the older state. No change is then lost or made twice."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.models import Charger
from shared.vocabulary import CommandStatus
from tests.support.embedded_ecs import Embedded
from tests.support.waiting import wait_until
from tests.support.world import HOSTING, World
from worker.ecs.client import ServiceView
from worker.observe.observe import observe
from worker.reconcile.converge import converge

STALE_S = 0.6
SETTLE_S = 0.8


class StaleWorker:
    """A worker on an embedded ECS whose reads do not show a change for a while."""

    def __init__(self, world: World, embedded: Embedded) -> None:
        self.world, self.embedded = world, embedded
        self.timing = replace(world.timing, settle_s=SETTLE_S)
        embedded.process.set_faults({"kind": "stale", "seconds": STALE_S})
        embedded.process.clear_calls()

    def converge(self, charger_id: str) -> None:
        converge(self.world.sessions, self.embedded.ecs, self.timing, charger_id, HOSTING)

    def until(self, charger_id: str, is_true: Callable[[Charger], bool]) -> None:
        """Observe, and converge when the observer says so, until the condition holds."""

        def observed() -> bool:
            if observe(self.world.sessions, self.embedded.ecs, self.timing):
                self.converge(charger_id)
            return is_true(self.world.charger(charger_id))

        wait_until(observed)

    def settled(self, charger_id: str) -> None:
        self.until(charger_id, lambda charger: charger.settled_generation == charger.generation)

    def ready(self) -> str:
        charger_id = self.world.create()
        self.converge(charger_id)
        self.settled(charger_id)
        return charger_id

    def changes(self) -> list[str]:
        """The calls that change a service or a task, in order."""
        return [
            call["action"]
            for call in self.embedded.process.calls(
                "CreateService", "UpdateService", "DeleteService", "StopTask"
            )
        ]

    def view(self, charger_id: str) -> ServiceView:
        view = self.embedded.ecs.describe_services([charger_id])[charger_id]
        assert view is not None
        return view

    def processes(self, charger_id: str) -> list[object]:
        return [task for task in self.embedded.process.tasks() if task["service"] == charger_id]


@pytest.fixture
def stale(world: World, embedded: Embedded) -> StaleWorker:
    return StaleWorker(world, embedded)


def test_each_change_is_made_once(stale: StaleWorker, world: World) -> None:
    charger_id = stale.ready()
    world.stop(charger_id)
    stale.converge(charger_id)
    stale.settled(charger_id)
    world.start(charger_id)
    stale.converge(charger_id)
    stale.settled(charger_id)
    world.delete(charger_id)
    stale.converge(charger_id)

    def removed() -> bool:
        if observe(world.sessions, stale.embedded.ecs, stale.timing):
            stale.converge(charger_id)
        return world.gone(charger_id)

    wait_until(removed)

    assert stale.changes() == ["CreateService", "UpdateService", "UpdateService", "DeleteService"]


def test_a_stop_right_after_a_start_succeeds_when_nothing_runs(stale: StaleWorker, world: World) -> None:
    """A read that does not show the start yet resembles a stop that is done."""
    charger_id = stale.ready()
    world.stop(charger_id)
    stale.converge(charger_id)
    stale.settled(charger_id)
    stale.embedded.process.set_faults({"kind": "stale", "seconds": 1.5})
    stale.timing = replace(stale.timing, settle_s=2)
    wait_until(lambda: stale.view(charger_id).desired_count == 0)

    world.start(charger_id)
    stale.converge(charger_id)
    wait_until(lambda: stale.processes(charger_id))
    stop = world.stop(charger_id)
    stale.converge(charger_id)
    answered = stale.view(charger_id)
    observe(world.sessions, stale.embedded.ecs, stale.timing)
    at_once = world.status(stop)
    stale.settled(charger_id)

    assert (answered.desired_count, answered.running_count) == (0, 0)
    assert at_once == CommandStatus.APPLIED
    assert world.status(stop) == CommandStatus.SUCCEEDED
    assert stale.processes(charger_id) == []


def test_a_restart_right_after_a_start_ends_the_task_that_runs(stale: StaleWorker, world: World) -> None:
    """ListTasks does not name it yet, but it was seen running."""
    charger_id = stale.ready()
    before = world.charger(charger_id).running_task_arn
    stale.embedded.process.set_faults({"kind": "stale", "seconds": 60})
    restart = world.restart(charger_id)
    stale.converge(charger_id)
    stale.embedded.process.set_faults()

    stale.settled(charger_id)

    assert world.status(restart) == CommandStatus.SUCCEEDED
    assert world.charger(charger_id).running_task_arn != before
    assert stale.changes().count("StopTask") == 1
