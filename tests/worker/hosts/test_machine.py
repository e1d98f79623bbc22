"""Whatever happens to hosts, links and workers, a shared charger has one session at most and ends as last requested.

Hypothesis invents what happens, and when: see machine.py for the events and for what must hold.
"""

import os
import random
from itertools import permutations

import pytest
import structlog
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine

from tests.support.world import World
from tests.worker.hosts.machine import SCENES, SharedChargers

STEPS = 20
#: Hypothesis varies what it has tried: a few runs from each of many beginnings find more than many runs from one.
BEGINNINGS: list[tuple[str, ...]] = [(), *permutations(SCENES, 2)]
#: Shrinking a course of events that fails takes minutes; STATE_MACHINE_SHRINK=0 leaves it out.
PHASES = [Phase.generate, Phase.shrink][: 1 + (os.environ.get("STATE_MACHINE_SHRINK") != "0")]


def run(world: World, engine: Engine, runs: int, *, with_seed: int = 0) -> None:
    """Run the machine so many times from each beginning, each time with another course of events."""
    for number, beginning in enumerate(BEGINNINGS):

        class Chargers(SharedChargers):
            scenes = beginning

            def __init__(self) -> None:
                super().__init__(world, engine)

        with structlog.testing.capture_logs():  # thousands of lines
            run_state_machine_as_test(
                seed(with_seed + number)(Chargers),
                settings=settings(
                    max_examples=runs,
                    stateful_step_count=STEPS,
                    database=None,
                    deadline=None,
                    phases=PHASES,
                    suppress_health_check=list(HealthCheck),
                ),
            )


def test_any_course_of_events_leaves_a_charger_on_one_host_and_as_last_requested(
    world: World, engine: Engine
) -> None:
    """The same courses every time, so that a failure is the fault of the change under test."""
    run(world, engine, 2)


@pytest.mark.slow
def test_hundreds_of_courses_of_events_leave_a_charger_on_one_host_and_as_last_requested(
    world: World, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Others each time: STATE_MACHINE_SEED repeats one, STATE_MACHINE_RUNS says how many."""
    number = int(os.environ.get("STATE_MACHINE_SEED") or random.SystemRandom().randrange(1, 2**32))
    runs = int(os.environ.get("STATE_MACHINE_RUNS") or 200)
    with capsys.disabled():
        print(f"\nSTATE_MACHINE_SEED={number}, {runs} runs")
    run(world, engine, runs // len(BEGINNINGS), with_seed=number)
