"""Any order of jobs, portions, clients' commands, pauses and workers that die: no item is lost, and the newest request wins."""

from collections import Counter
from dataclasses import dataclass, field

import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, func, select, update

from shared.fleet.errors import JobEnded
from shared.fleet.jobs.accept import JobReceipt
from shared.models import Charger, Command, Job, JobItem
from shared.vocabulary import OPEN_ITEM, CommandStatus, ItemResult, JobAction, JobStatus
from tests.support.world import World
from tests.worker.jobs.jobs import QUOTAS, Jobs, several
from worker.jobs.run import next_due, step

NUMBER = 3
RUNS, STEPS = 15, 25
PLACES = st.integers(0, NUMBER - 1)
SUFFIXES = st.sampled_from("abcde")  # so few that jobs compete for identities
LIFECYCLE = st.sampled_from([JobAction.START, JobAction.STOP, JobAction.RESTART])
DESIRED = {JobAction.START: 1, JobAction.STOP: 0, JobAction.RESTART: 1}


@dataclass
class Requested:
    """What was requested of one charger: each request with its job, oldest first."""

    requests: list[tuple[int, JobReceipt | None]] = field(default_factory=list)  # desired count, job


class JobMachine(RuleBasedStateMachine):
    """Clients and workers of some chargers."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.jobs = Jobs(self.world)
        self.ids = several(self.world, NUMBER)
        self.accepted: list[JobReceipt] = []
        self.of: dict[str, Requested] = {charger_id: Requested([(1, None)]) for charger_id in self.ids}

    @rule(action=LIFECYCLE, places=st.sets(PLACES, min_size=1), ramp=st.booleans())
    def accept(self, action: JobAction, places: set[int], ramp: bool) -> None:
        ids = [self.ids[place] for place in sorted(places)]
        job = self.jobs.accept(action, ids, rate_per_second=0.01 if ramp else None)
        self.accepted.append(job)
        for charger_id in ids:
            self.of[charger_id].requests.append((DESIRED[action], job))

    @rule(suffixes=st.lists(SUFFIXES, min_size=1, max_size=4))
    def create(self, suffixes: list[str]) -> None:
        self.accepted.append(self.jobs.create(*suffixes))

    @rule(action=LIFECYCLE, place=PLACES)
    def request_single(self, action: JobAction, place: int) -> None:
        charger_id = self.ids[place]
        call = {
            JobAction.START: self.world.start,
            JobAction.STOP: self.world.stop,
            JobAction.RESTART: self.world.restart,
        }[action]
        call(charger_id)
        self.of[charger_id].requests.append((DESIRED[action], None))

    @rule()
    def run(self) -> None:
        self.jobs.run()

    @rule()
    def a_worker_dies_in_a_step(self) -> None:
        self.jobs.make_due()
        with self.world.sessions() as session:
            due = next_due(session)
            if due is not None:
                step(session, due, QUOTAS)
                session.flush()
            session.rollback()  # what PostgreSQL does when the worker's connection ends

    @rule()
    def time_passes_for_ramps(self) -> None:
        with self.world.sessions.begin() as session:
            session.execute(
                update(Job).values(ramp_from=Job.ramp_from - func.make_interval(0, 0, 0, 0, 0, 2))
            )

    @rule(status=st.sampled_from([CommandStatus.SUCCEEDED, CommandStatus.FAILED]))
    def commands_end(self, status: CommandStatus) -> None:
        with self.world.sessions.begin() as session:  # older commands of a charger are superseded first
            newest = select(Charger.newest_command_id)
            session.execute(
                update(Command)
                .where(Command.status.in_(["queued", "applied"]), Command.id.not_in(newest))
                .values(status=CommandStatus.SUPERSEDED, finished_at=func.now())
            )
        self.jobs.finish(status)

    @precondition(lambda self: self.accepted)
    @rule(
        data=st.data(),
        status=st.sampled_from([JobStatus.PAUSED, JobStatus.RUNNING, JobStatus.CANCELLED]),
    )
    def change(self, data: st.DataObject, status: JobStatus) -> None:
        job = data.draw(st.sampled_from(self.accepted))
        try:
            self.jobs.change(job, status)
        except JobEnded:
            return

    @invariant()
    def counts_are_those_of_the_items(self) -> None:
        for job in self.accepted:
            row = self.jobs.read(job)
            found = Counter(self.jobs.results(job))
            assert {result: getattr(row, result) for result in ItemResult} == {
                result: found[result] for result in ItemResult
            }

    @invariant()
    def no_item_has_two_commands(self) -> None:
        with self.world.sessions() as session:
            doubled = session.execute(
                select(Command.job_id, Command.charger_id)
                .where(Command.job_id.is_not(None))
                .group_by(Command.job_id, Command.charger_id)
                .having(func.count() > 1)
            ).all()
        assert doubled == []

    @invariant()
    def a_charger_is_created_once_and_by_the_item_that_says_so(self) -> None:
        created = select(JobItem.charger_id).where(
            JobItem.identity.like("NEW-%"), JobItem.result.in_(["requested", "succeeded", "superseded"])
        )
        with self.world.sessions() as session:
            of_items = sorted(session.scalars(created))
            ids = sorted(session.scalars(select(Charger.id).where(Charger.identity.like("NEW-%"))))
        assert of_items == ids

    def teardown(self) -> None:
        """All jobs are resumed and continued: each item becomes final, and each charger is as last requested."""
        for job in self.accepted:
            if self.jobs.read(job).status == JobStatus.PAUSED:
                self.jobs.change(job, JobStatus.RUNNING)
        with self.world.sessions.begin() as session:
            session.execute(update(Job).values(rate_per_second=None))
        for _ in range(4):
            self.jobs.run()
            self.commands_end(CommandStatus.SUCCEEDED)
        self.jobs.run()
        for job in self.accepted:
            assert not set(self.jobs.results(job)) & set(OPEN_ITEM)
            assert self.jobs.read(job).finished_at is not None
        for charger_id in self.ids:
            assert self.world.charger(charger_id).desired_count == self._last_desired(charger_id)
        with self.world.sessions.begin() as session:
            for table in (JobItem, Job, Command, Charger):
                session.execute(delete(table))

    def _last_desired(self, charger_id: str) -> int:
        """Of the newest request that was not cancelled before its turn."""
        for desired, job in reversed(self.of[charger_id].requests):
            if job is None:
                return desired
            item = next(item for item in self.jobs.items(job) if item.charger_id == charger_id)
            if item.result != ItemResult.CANCELLED:
                return desired
        raise AssertionError("the charger was created")


def test_any_order_ends_at_the_newest_request_and_loses_no_item(world: World) -> None:
    """The same courses every time, so that a failure is the fault of the change under test."""

    class Machine(JobMachine):
        pass

    Machine.world = world
    with structlog.testing.capture_logs():  # thousands of lines
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=RUNS,
                stateful_step_count=STEPS,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
