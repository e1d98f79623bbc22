"""Any course of events ends at the newest request, and passes no state on the way that must never occur.

Hypothesis invents what happens, and when: see fleet_machine.py for the events and invariants.py for what must hold.
"""

import os
import random

import pytest
import structlog
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.world import World
from tests.worker.reconcile.fleet_machine import Fleet

STEPS = 50
#: Shrinking a course of events that fails takes minutes; STATE_MACHINE_SHRINK=0 leaves it out.
PHASES = [Phase.generate, Phase.shrink][: 1 + (os.environ.get("STATE_MACHINE_SHRINK") != "0")]


def run(world: World, runs: int, *, derandomize: bool = False, with_seed: int = 0) -> None:
    """Run the machine, each time with another course of events."""

    class FleetOfTheWorld(Fleet):
        def __init__(self) -> None:
            super().__init__(world)

    with structlog.testing.capture_logs():  # thousands of lines
        run_state_machine_as_test(
            FleetOfTheWorld if derandomize else seed(with_seed)(FleetOfTheWorld),
            settings=settings(
                max_examples=runs,
                stateful_step_count=STEPS,
                derandomize=derandomize,
                database=None,
                deadline=None,
                phases=PHASES,
                suppress_health_check=list(HealthCheck),
            ),
        )


def test_any_course_of_events_ends_at_the_newest_request(world: World) -> None:
    """The same courses every time, so that a failure is the fault of the change under test."""
    run(world, 30, derandomize=True)


@pytest.mark.slow
def test_hundreds_of_courses_of_events_end_at_the_newest_request(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Others each time: STATE_MACHINE_SEED repeats one, STATE_MACHINE_RUNS says how many."""
    number = int(os.environ.get("STATE_MACHINE_SEED") or random.SystemRandom().randrange(1, 2**32))
    runs = int(os.environ.get("STATE_MACHINE_RUNS") or 300)
    with capsys.disabled():
        print(f"\nSTATE_MACHINE_SEED={number}, {runs} runs")
    run(world, runs, derandomize=False, with_seed=number)
