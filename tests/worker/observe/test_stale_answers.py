"""For some seconds ECS answers with what was true before a change. Nothing wrong follows, and nothing is done twice."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.models import Charger
from shared.vocabulary import CommandStatus
from tests.embedded.waiting import wait_until
from tests.worker.conftest import World
from tests.worker.embedded import Embedded
from worker.ecs.client import ServiceView
from worker.observe.observe import observe
from worker.reconcile.converge import converge

STALE_S = 0.6
SETTLE_S = 0.8


class Line:
    """A worker on an embedded ECS whose reads do not show a change for a while."""

    def __init__(self, world: World, embedded: Embedded) -> None:
        self.world, self.embedded = world, embedded
        self.timing = replace(world.timing, settle_s=SETTLE_S)
        embedded.process.set_faults({"kind": "stale", "seconds": STALE_S})
        embedded.process.forget_calls()

    def converge(self, charger_id: str) -> None:
        converge(self.world.sessions, self.embedded.ecs, self.timing, charger_id)

    def until(self, charger_id: str, is_true: Callable[[Charger], bool]) -> None:
        """Observe, and do what the observer has published."""

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
        """The calls that changed something, in order."""
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
def line(world: World, embedded: Embedded) -> Line:
    return Line(world, embedded)


def test_each_change_is_made_once(line: Line, world: World) -> None:
    charger_id = line.ready()
    world.stop(charger_id)
    line.converge(charger_id)
    line.settled(charger_id)
    world.start(charger_id)
    line.converge(charger_id)
    line.settled(charger_id)
    world.delete(charger_id)
    line.converge(charger_id)

    def removed() -> bool:
        if observe(world.sessions, line.embedded.ecs, line.timing):
            line.converge(charger_id)
        return world.gone(charger_id)

    wait_until(removed)

    assert line.changes() == ["CreateService", "UpdateService", "UpdateService", "DeleteService"]


def test_a_stop_right_after_a_start_succeeds_when_nothing_runs(line: Line, world: World) -> None:
    """The read that does not show the start yet looks like a stop that is done."""
    charger_id = line.ready()
    world.stop(charger_id)
    line.converge(charger_id)
    line.settled(charger_id)
    line.embedded.process.set_faults({"kind": "stale", "seconds": 1.5})
    line.timing = replace(line.timing, settle_s=2)
    wait_until(lambda: line.view(charger_id).desired_count == 0)

    world.start(charger_id)
    line.converge(charger_id)
    wait_until(lambda: line.processes(charger_id))
    stop = world.stop(charger_id)
    line.converge(charger_id)
    answered = line.view(charger_id)
    observe(world.sessions, line.embedded.ecs, line.timing)
    at_once = world.status(stop)
    line.settled(charger_id)

    assert (answered.desired_count, answered.running_count) == (0, 0)
    assert at_once == CommandStatus.APPLIED
    assert world.status(stop) == CommandStatus.SUCCEEDED
    assert line.processes(charger_id) == []


def test_a_restart_right_after_a_start_ends_the_task_that_runs(line: Line, world: World) -> None:
    """ListTasks does not name it yet, but it was seen running."""
    charger_id = line.ready()
    before = world.charger(charger_id).running_task_arn
    line.embedded.process.set_faults({"kind": "stale", "seconds": 60})
    restart = world.restart(charger_id)
    line.converge(charger_id)
    line.embedded.process.set_faults()

    line.settled(charger_id)

    assert world.status(restart) == CommandStatus.SUCCEEDED
    assert world.charger(charger_id).running_task_arn != before
    assert line.changes().count("StopTask") == 1
