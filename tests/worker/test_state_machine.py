"""Any course of events ends at the last wish, and passes nothing on the way that must never be.

Hypothesis makes up what clients, workers, the broker, ECS and strangers do, and when; the functions, the
database and its rows are the real ones. The broker may deliver any message at any time, any number of times,
or never: so a delivery is a task that begins, for any charger. It may be stopped at any of its ECS calls, and
killed there, while everything else goes on.
"""

import contextlib
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from unittest.mock import patch
from uuid import UUID

import pytest
import structlog
from celery import Celery
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from shared.broker.app import make_celery
from shared.fleet.errors import ChargerNotFound, InvalidCharger, NotReady
from shared.fleet.receipts import CommandReceipt
from shared.models import Charger, Command, FleetSpec, RemovedCharger
from shared.vocabulary import FINAL, OPEN, CommandStatus, EventType
from tests.worker.conftest import World
from tests.worker.fake_ecs import FakeService
from tests.worker.stepping import Fate, SteppedEcs, SteppedTask
from worker.ecs.client import EcsRejected, EcsUnavailable
from worker.maintenance.leftovers import CERTAIN_AFTER, remove_leftovers, remove_orphans
from worker.maintenance.rollout import roll_out
from worker.maintenance.sweep import sweep

IDENTITIES = ("CP-1", "CP-2")
URLS = ("ws://csms.test/ocpp", "ws://other.test/ocpp")
WISHES = ("start", "stop", "stop", "restart", "restart", *URLS)
MISFORTUNES = (
    "deadlines pass",
    "ecs goes away or comes back",
    "settings change",
    "process crashes",
    "stranger changes the count",
    "stranger changes the definition",
    "stranger removes the service",
)
ROUNDS_UNTIL_QUIET = 12
STEPS = 50
#: Minutes go into a shorter course of events that fails; who only asks whether one does is spared them.
PHASES = [Phase.generate, Phase.shrink][: 1 + (os.environ.get("STATE_MACHINE_SHRINK") != "0")]
FAR = timedelta(hours=1)
NO_BROKER = make_celery("memory://", publisher=True)  # what would be sent to it is taken before
RANK = {CommandStatus.QUEUED: 0, CommandStatus.APPLIED: 1} | dict.fromkeys(FINAL, 2)
FATES = st.sampled_from([Fate.GOES_ON] * 2 + list(Fate)[1:])
WORKERS = st.sampled_from([1, 2, 0])
ANY = st.integers(0, 11)  #: picks one of however many there are


@dataclass(frozen=True)
class Wish:
    """A command that was accepted, and what ECS must come to have for it to succeed."""

    command_id: UUID
    generation: int
    event_type: str
    desired_count: int
    url: str
    at: int  #: the sight at the time
    task: str | None  #: the task that lived when it was accepted

    def granted(self, sight: "Sight") -> bool:
        """Whether ECS had at that time what was asked for."""
        if self.desired_count == 0:
            return sight.desired_count == 0 and sight.tasks == ()
        others = self.event_type != EventType.RESET_CHARGER or sight.tasks != (self.task,)
        return sight.desired_count == 1 and sight.running == 1 and sight.url == self.url and others


@dataclass(frozen=True)
class Sight:
    """A charger's service as ECS had it at some time."""

    desired_count: int
    tasks: tuple[str, ...]  #: that live
    running: int
    url: str | None  #: which the newest live task was told


@dataclass
class Life:
    """A charger as its clients remember it."""

    charger_id: str
    identity: str
    wishes: list[Wish] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)
    statuses: dict[UUID, CommandStatus] = field(default_factory=dict)
    observed_generation: int = 0
    settled_generation: int = 0
    deleted: bool = False
    came_back: bool = False  #: its row, after it was gone
    gone: bool = False

    @property
    def newest(self) -> Wish:
        return self.wishes[-1]


class Fleet(RuleBasedStateMachine):
    """Two identities, and all that can happen to their chargers."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.ecs = SteppedEcs(world.sessions)
        world.ecs = self.ecs
        self.lives: list[Life] = []
        self.tasks: list[SteppedTask] = []
        self.deadlines_passed = False
        self.lasting: set[str] = set()  #: tasks that ran while time passed
        self.sound = True

    # Clients.

    @initialize(what=st.sampled_from([*WISHES, ""]), workers=WORKERS)
    def begin(self, what: str, workers: int) -> None:
        """Mostly with a charger that is up and told something."""
        self._create(IDENTITIES[0])
        if what:
            self._work(self.lives[0].charger_id)
            self.nothing_is_wrong()
            self.wish(0, what, workers)

    @rule(what=st.sampled_from(["create"] * 4 + ["delete"]), which=ANY)
    def come_or_go(self, what: str, which: int) -> None:
        if what == "create":
            self._create(IDENTITIES[which % len(IDENTITIES)])
            return
        life = self._ask(which, self.world.delete, 0)
        if life is not None:
            life.deleted = True

    def _create(self, identity: str) -> None:
        known = {life.charger_id for life in self.lives}
        try:
            charger_id = self.world.create(identity)
        except InvalidCharger:
            assert any(life.identity == identity and not life.deleted for life in self.lives)
            return
        if charger_id in known:
            return  # the answer to a repeat
        life = Life(charger_id, identity)
        self.lives.append(life)
        charger = self.world.charger(charger_id)
        life.wishes.append(
            Wish(charger.newest_command_id, 1, EventType.CREATE_CHARGER, 1, charger.ws_url, 0, None)
        )

    @rule(which=ANY, what=st.sampled_from(WISHES), workers=WORKERS)
    def wish(self, which: int, what: str, workers: int) -> None:
        """Its first message may come at once, to one worker or to two."""
        match what:
            case "start":
                self._ask(which, self.world.start, 1)
            case "stop":
                self._ask(which, self.world.stop, 0)
            case "restart":
                self._ask(which, self.world.restart, 1)
            case url:
                self._ask(which, partial(self.world.update, ws_url=url), None, url=url)
        self._deliver(self._pick(which), workers)

    def _ask(
        self,
        which: int,
        ask: Callable[[str], CommandReceipt],
        desired_count: int | None,
        *,
        url: str | None = None,
    ) -> Life | None:
        life = self._pick(which)
        try:
            accepted = ask(life.charger_id)
        except ChargerNotFound:
            assert life.deleted
            return None
        except NotReady:
            return None
        assert not life.deleted
        before = life.newest
        if accepted.repeated:
            assert accepted.command_id == before.command_id
            return None
        assert accepted.command_id is not None
        assert accepted.generation == before.generation + 1
        service = self.ecs.services.get(life.charger_id)
        life.wishes.append(
            Wish(
                accepted.command_id,
                accepted.generation,
                accepted.event_type,
                before.desired_count if desired_count is None else desired_count,
                url or before.url,
                max(0, len(life.sights) - 1),
                service.live[0].arn if service and service.live else None,
            )
        )
        return life

    # Workers.

    @rule(which=ANY, workers=WORKERS)
    def deliver(self, which: int, workers: int) -> None:
        self._deliver(self._pick(which, leaving=True), workers)

    @rule(which=ANY)
    def all_goes_well(self, which: int) -> None:
        self._work(self._pick(which, leaving=True).charger_id)

    @rule(at_once=st.booleans())
    def observe(self, at_once: bool) -> None:
        task = self._begin(self._observe)
        if at_once:
            self._finish(task)

    @precondition(lambda self: self.tasks)
    @rule(which=ANY, halts=st.integers(0, 6), fate=FATES)
    def step(self, which: int, halts: int, fate: Fate) -> None:
        """Some halts go by; the next one meets its fate."""
        task = self.tasks[which % len(self.tasks)]
        for each in [Fate.GOES_ON] * halts + [fate]:
            if not task.ended:
                self._resume(task, each)

    @precondition(lambda self: self.tasks)
    @rule(which=ANY)
    def finish(self, which: int) -> None:
        self._finish(self.tasks[which % len(self.tasks)])

    # Time, ECS and strangers.

    @rule(
        what=st.sampled_from(
            [
                "timers fire",
                "ecs gets there",
                "the sweep publishes",
                "the broker is away",
                "the rollout goes on",
                "leftovers are removed",
            ]
        )
    )
    def time_passes(self, what: str) -> None:
        match what:
            case "timers fire":
                self._fire_timers()
            case "ecs gets there":
                self._settle()
            case "the sweep publishes":
                self._sweep()  # and the messages may be delivered one day
            case "the rollout goes on":
                self._roll_out()
            case "leftovers are removed":
                self._begin(self._remove_leftovers)
            case _:
                self._sweep(broker_away=True)

    @precondition(lambda self: self.ecs.ghosts)
    @rule(which=ANY)
    def late_call_takes_effect(self, which: int) -> None:
        self.ecs.ghosts.pop(which % len(self.ecs.ghosts))()
        self._look()

    @rule(which=ANY, what=st.sampled_from(MISFORTUNES))
    def misfortune(self, which: int, what: str) -> None:
        life = self._pick(which)
        service = self._active(life)
        match what:
            case "deadlines pass":
                self.deadlines_passed = True
                self.world.asked_long_ago(life.charger_id)
            case "ecs goes away or comes back":
                self.ecs.away = not self.ecs.away
            case "settings change":
                self.ecs.spec = "spec-2" if self.ecs.spec == "spec-1" else "spec-1"
            case "process crashes" if service is not None:
                self.ecs.crash(life.charger_id)
            case "stranger changes the count" if service is not None:
                service.desired_count = 1 - service.desired_count
            case "stranger changes the definition" if service is not None:
                service.task_definition_arn = "arn:task-definition/other:1"
            case "stranger removes the service" if service is not None:
                service.status = "INACTIVE"
                for task in service.live:
                    task.status = "STOPPED"
        self._look()

    # What must hold at any time.

    @invariant()
    def nothing_is_wrong(self) -> None:
        self.sound = False
        with self.world.sessions.begin() as session:
            chargers = {charger.id: charger for charger in session.scalars(select(Charger))}
            commands = {
                command_id: CommandStatus(status)
                for command_id, status in session.execute(select(Command.id, Command.status))
            }
            self._hold_timers(session)
        for life in self.lives:
            charger = chargers.get(life.charger_id)
            if charger is None:
                assert life.deleted, "the row of a charger is gone that nobody deleted"
                life.gone = True
            elif life.gone or life.came_back:
                # A call of long ago had made its service anew: so it is removed once more.
                assert charger.deleted_at is not None, "a forgotten charger came back to life"
                life.gone, life.came_back = False, True
            else:
                self._check_row(life, charger)
                self._check_commands(life, charger, commands)
            self._check_restarts(life)
        self.sound = True

    def _check_row(self, life: Life, charger: Charger) -> None:
        newest = life.newest
        failed = charger.provisioning_status == "FAILED"
        assert charger.newest_command_id == newest.command_id
        assert charger.generation == newest.generation
        assert charger.desired_count == (0 if failed else newest.desired_count)
        assert (charger.deleted_at is not None) == life.deleted
        assert life.observed_generation <= charger.observed_generation <= charger.generation
        assert life.settled_generation <= charger.settled_generation <= charger.generation
        assert charger.settled_generation <= charger.observed_generation
        life.observed_generation = charger.observed_generation
        life.settled_generation = charger.settled_generation

    def _check_commands(self, life: Life, charger: Charger, commands: dict[UUID, CommandStatus]) -> None:
        for wish in life.wishes:
            status = commands[wish.command_id]
            before = life.statuses.get(wish.command_id, CommandStatus.QUEUED)
            if status == before:
                continue
            assert RANK[status] > RANK[before], f"{before} became {status}"
            newest = wish is life.newest
            assert newest != (status == CommandStatus.SUPERSEDED), f"{status}, newest: {newest}"
            if status == CommandStatus.SUCCEEDED:
                granted = [sight for sight in life.sights[wish.at :] if wish.granted(sight)]
                assert granted, f"ECS never had {wish}"
                lasting = any(self.lasting.intersection(sight.tasks) for sight in granted)
                assert lasting or not wish.desired_count, f"no task went on running for {wish}"
            if status == CommandStatus.FAILED:
                assert self.ecs.refused or self.deadlines_passed
            life.statuses[wish.command_id] = status
        open_newest = commands[life.newest.command_id] in OPEN
        assert open_newest == (charger.settled_generation < charger.generation)

    def _check_restarts(self, life: Life) -> None:
        for wish in life.wishes:
            stopped = self.ecs.stopped_for[life.charger_id, wish.generation]
            assert len(stopped) <= 1, f"the restart of generation {wish.generation} stopped {stopped}"
        service = self.ecs.services.get(life.charger_id)
        assert service is None or len(service.live) <= 1

    def _hold_timers(self, session: Session) -> None:
        """Time passes when a rule says so, not while the test runs."""
        for timer in (Charger.publish_at, Charger.not_before):
            session.execute(update(Charger).where(timer > func.now()).values({timer: func.now() + FAR}))

    # The end: no more faults and no more wishes, and the broker brings only what the sweep publishes now.

    def teardown(self) -> None:
        try:
            if self.sound and self.lives:
                self._quiesce()
        finally:
            for task in self.tasks:
                task.resume(Fate.KILLED)
            with self.world.sessions.begin() as session:
                session.execute(delete(Charger))
                session.execute(delete(FleetSpec))
                session.execute(delete(RemovedCharger))

    def _quiesce(self) -> None:
        self.ecs.away = False
        while self.tasks:
            self._finish(self.tasks[0])
            self.nothing_is_wrong()  # a row may go and come back: one task removes it, and the next one finds it gone
        while self.ecs.ghosts:
            self.ecs.ghosts.pop(0)()
        for _ in range(ROUNDS_UNTIL_QUIET):
            self._fire_timers()
            self._roll_out()
            for charger_id in self._sweep():
                self._run(partial(self.world.converge, charger_id))
            self._settle()
            self._run(self._observe)
            self._settle()
            self.nothing_is_wrong()
        with self.world.sessions.begin() as session:
            session.execute(
                update(RemovedCharger).values(removed_at=RemovedCharger.removed_at - CERTAIN_AFTER)
            )
        for _ in range(2):
            self._run(self._remove_leftovers)
            self._settle()
        for life in self.lives:
            self._check_end(life)

    def _check_end(self, life: Life) -> None:
        service = self._active(life)
        if life.deleted:
            assert life.gone, "a deleted charger is still there"
            assert service is None, "the service of a deleted charger is still there"
            assert life.charger_id not in self.ecs.definitions, "its task definition is still there"
            return
        charger = self.world.charger(life.charger_id)
        wish = life.newest
        assert all(life.statuses[each.command_id] in FINAL for each in life.wishes)
        assert charger.observed_generation == charger.settled_generation == charger.generation
        if charger.provisioning_status == "FAILED":
            assert service is None or service.live == []
            return
        assert charger.provisioning_status == "READY"
        assert service is not None
        assert replace(wish, event_type="any").granted(self._sight(service))
        assert (charger.running_count, charger.pending_count) == (wish.desired_count, 0)
        assert charger.drifted_at is None
        assert charger.reason is None
        assert (charger.spec_hash, charger.rollout_hash) == (self.ecs.spec, None)
        assert [arn for arn, _ in self.ecs.definitions[charger.id]] == [charger.task_definition_arn]
        assert self.ecs.specs[charger.task_definition_arn or ""] == self.ecs.spec

    # Helpers.

    def _begin(self, work: Callable[[], object]) -> SteppedTask:
        self.sound = False
        task = SteppedTask(work)
        if not task.ended:
            self.tasks.append(task)
        self._look()
        self.sound = True
        return task

    def _resume(self, task: SteppedTask, fate: Fate = Fate.GOES_ON) -> None:
        self.sound = False
        try:
            task.resume(fate)
        finally:
            if task.ended:
                self.tasks.remove(task)
        self._look()
        self.sound = True

    def _finish(self, task: SteppedTask) -> None:
        while not task.ended:
            self._resume(task)

    def _deliver(self, life: Life, workers: int) -> None:
        for _ in range(workers):
            self._begin(partial(self.world.converge, life.charger_id))

    def _work(self, charger_id: str) -> None:
        """A message arrives, ECS does its part, and the observer looks twice."""
        self._run(partial(self.world.converge, charger_id))
        self._settle()
        self._run(self._observe)
        self._tasks_run_for_a_while()
        self._run(self._observe)

    def _run(self, work: Callable[[], object]) -> None:
        self._finish(self._begin(work))

    def _observe(self) -> None:
        with contextlib.suppress(EcsUnavailable, EcsRejected):  # as worker.tasks does: the rows get older
            self.world.look()

    def _roll_out(self) -> None:
        """All workers have had the settings for long, and nobody has any others."""
        roll_out(self.world.sessions, self.ecs.spec, 0)
        hour = timedelta(hours=1)
        others = FleetSpec.hash != self.ecs.spec
        with self.world.sessions.begin() as session:
            session.execute(update(FleetSpec).where(others).values(seen_at=func.now() - hour))
            session.execute(
                update(FleetSpec).values(since=FleetSpec.since - hour, paced_at=FleetSpec.paced_at - hour)
            )
        roll_out(self.world.sessions, self.ecs.spec, 6000)

    def _remove_leftovers(self) -> None:
        with contextlib.suppress(EcsUnavailable, EcsRejected):
            remove_leftovers(self.world.sessions, self.ecs)
            remove_orphans(self.world.sessions, self.ecs)

    def _tasks_run_for_a_while(self) -> None:
        self.world.a_while_passes()
        tasks = [task for service in self.ecs.services.values() for task in service.tasks]
        self.lasting.update(task.arn for task in tasks if task.status == "RUNNING")

    def _fire_timers(self) -> None:
        self._tasks_run_for_a_while()
        with self.world.sessions.begin() as session:
            session.execute(update(Charger).values(not_before=None))
            session.execute(
                update(Charger).where(Charger.publish_at.is_not(None)).values(publish_at=func.now())
            )

    def _settle(self) -> None:
        self.ecs.settle()
        self._look()

    def _sweep(self, *, broker_away: bool = False) -> list[str]:
        """The chargers that it published, in the order of their making."""
        published: list[str] = []

        def send(_celery: Celery, messages: list[tuple[str, dict[str, str]]], *, max_waiting: int) -> None:
            if broker_away:
                raise OSError("the broker is away")
            published.extend(message["charger_id"] for _, message in messages)

        with patch("worker.maintenance.sweep.send", send):
            sweep(self.world.sessions, NO_BROKER)
        return sorted(published)

    def _pick(self, which: int, *, leaving: bool = False) -> Life:
        """Mostly the same one, and mostly one that its clients still see."""
        others = [life for life in self.lives if not (life.gone if leaving else life.deleted)]
        return others[which // 8 % len(others)] if others and which else self.lives[0]

    def _active(self, life: Life) -> FakeService | None:
        service = self.ecs.services.get(life.charger_id)
        return service if service is not None and service.status == "ACTIVE" else None

    def _look(self) -> None:
        """Remember what ECS has."""
        for life in self.lives:
            service = self._active(life)
            if service is None:
                continue
            sight = self._sight(service)
            if life.sights[-1:] != [sight]:
                life.sights.append(sight)

    def _sight(self, service: FakeService) -> Sight:
        live = service.live
        definition = live[-1].task_definition_arn if live else ""
        return Sight(
            service.desired_count,
            tuple(task.arn for task in live),
            sum(task.status == "RUNNING" for task in live),
            self.ecs.environments.get(definition, {}).get("CHARGER_WS_URL"),
        )


def live(world: World, lives: int, *, derandomize: bool = False, seed_of_all: int = 0) -> None:
    """Let fleets live, each with a course of events of its own."""

    class FleetOfTheWorld(Fleet):
        def __init__(self) -> None:
            super().__init__(world)

    with structlog.testing.capture_logs():  # thousands of lines that nobody reads
        run_state_machine_as_test(
            FleetOfTheWorld if derandomize else seed(seed_of_all)(FleetOfTheWorld),
            settings=settings(
                max_examples=lives,
                stateful_step_count=STEPS,
                derandomize=derandomize,
                database=None,
                deadline=None,
                phases=PHASES,
                suppress_health_check=list(HealthCheck),
            ),
        )


def test_any_course_of_events_ends_at_the_last_wish(world: World) -> None:
    """The same courses every time, so that whatever breaks one is to blame."""
    live(world, 30, derandomize=True)


@pytest.mark.slow
def test_hundreds_of_courses_of_events_end_at_the_last_wish(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Others each time: STATE_MACHINE_SEED repeats one, STATE_MACHINE_RUNS says how many."""
    number = int(os.environ.get("STATE_MACHINE_SEED") or random.SystemRandom().randrange(1, 2**32))
    runs = int(os.environ.get("STATE_MACHINE_RUNS") or 300)
    with capsys.disabled():
        print(f"\nSTATE_MACHINE_SEED={number}, {runs} runs")
    live(world, runs, derandomize=False, seed_of_all=number)
