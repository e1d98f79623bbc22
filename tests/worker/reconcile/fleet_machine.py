"""The state machine of a fleet: what clients, workers, the broker, ECS and third parties do, in any order.

The functions, the database and its rows are the real ones. The broker may deliver any message at any time, any number of
times, or never: so a delivery is a task that begins, for any charger. A task may be stopped at any of its ECS calls, and
killed there, while everything else continues.
"""

import contextlib
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from unittest.mock import patch

from celery import Celery
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import delete, func, update

from shared.broker.app import make_celery
from shared.fleet.errors import ChargerNotFound, InvalidCharger, NotReady
from shared.fleet.receipts import CommandReceipt
from shared.models import Charger, FleetSpec, RemovedCharger
from shared.vocabulary import EventType
from tests.support.world import World
from tests.worker.reconcile.history import ExpectedCommand, History, active_service
from tests.worker.reconcile.invariants import Invariants
from tests.worker.stepping import Fate, SteppedEcs, SteppedTask
from worker.ecs.client import EcsRejected, EcsUnavailable
from worker.maintenance.leftovers import CHECK_AFTER, remove_leftovers, remove_orphans
from worker.maintenance.rollout import roll_out
from worker.maintenance.sweep import sweep

IDENTITIES = ("CP-1", "CP-2")
URLS = ("ws://csms.test/ocpp", "ws://other.test/ocpp")
REQUESTS = ("start", "stop", "stop", "restart", "restart", *URLS)
DISTURBANCES = (
    "deadlines pass",
    "ecs goes away or comes back",
    "settings change",
    "process crashes",
    "stranger changes the count",
    "stranger changes the definition",
    "stranger removes the service",
)
ROUNDS_UNTIL_QUIET = 12
FAR = timedelta(hours=1)
NO_BROKER = make_celery("memory://", publisher=True)  # what would be sent to it is taken before
FATES = st.sampled_from([Fate.GOES_ON] * 2 + list(Fate)[1:])
WORKERS = st.sampled_from([1, 2, 0])
ANY = st.integers(0, 11)  #: the index of a charger or task, modulo their number


class Fleet(RuleBasedStateMachine):
    """Two identities, and everything that can happen to their chargers."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.ecs = SteppedEcs(world.sessions)
        world.ecs = self.ecs
        self.histories: list[History] = []
        self.tasks: list[SteppedTask] = []
        self.checks = Invariants(world, self.ecs)
        self.sound = True

    # Clients.

    @initialize(what=st.sampled_from([*REQUESTS, ""]), workers=WORKERS)
    def begin(self, what: str, workers: int) -> None:
        """Usually with a charger that is READY, and with a request for it."""
        self._create(IDENTITIES[0])
        if what:
            self._work(self.histories[0].charger_id)
            self.nothing_is_wrong()
            self.submit(0, what, workers)

    @rule(what=st.sampled_from(["create"] * 4 + ["delete"]), which=ANY)
    def come_or_go(self, what: str, which: int) -> None:
        if what == "create":
            self._create(IDENTITIES[which % len(IDENTITIES)])
            return
        history = self._request(which, self.world.delete, 0)
        if history is not None:
            history.deleted = True

    def _create(self, identity: str) -> None:
        known = {history.charger_id for history in self.histories}
        try:
            charger_id = self.world.create(identity)
        except InvalidCharger:
            assert any(history.identity == identity and not history.deleted for history in self.histories)
            return
        if charger_id in known:
            return  # the answer to a repeat
        history = History(charger_id, identity)
        self.histories.append(history)
        charger = self.world.charger(charger_id)
        history.commands.append(
            ExpectedCommand(
                charger.newest_command_id, 1, EventType.CREATE_CHARGER, 1, charger.ws_url, 0, None
            )
        )

    @rule(which=ANY, what=st.sampled_from(REQUESTS), workers=WORKERS)
    def submit(self, which: int, what: str, workers: int) -> None:
        """Its message may be delivered at once, to one worker or to two."""
        match what:
            case "start":
                self._request(which, self.world.start, 1)
            case "stop":
                self._request(which, self.world.stop, 0)
            case "restart":
                self._request(which, self.world.restart, 1)
            case url:
                self._request(which, partial(self.world.update, ws_url=url), None, url=url)
        self._deliver(self._pick(which), workers)

    def _request(
        self,
        which: int,
        request: Callable[[str], CommandReceipt],
        desired_count: int | None,
        *,
        url: str | None = None,
    ) -> History | None:
        history = self._pick(which)
        try:
            receipt = request(history.charger_id)
        except ChargerNotFound:
            assert history.deleted
            return None
        except NotReady:
            return None
        assert not history.deleted
        before = history.newest
        if receipt.repeated:
            assert receipt.command_id == before.command_id
            return None
        assert receipt.command_id is not None
        assert receipt.generation == before.generation + 1
        service = self.ecs.services.get(history.charger_id)
        history.commands.append(
            ExpectedCommand(
                receipt.command_id,
                receipt.generation,
                receipt.event_type,
                before.desired_count if desired_count is None else desired_count,
                url or before.url,
                max(0, len(history.snapshots) - 1),
                service.live[0].arn if service and service.live else None,
            )
        )
        return history

    # Workers.

    @rule(which=ANY, workers=WORKERS)
    def deliver(self, which: int, workers: int) -> None:
        self._deliver(self._pick(which, deleted=True), workers)

    @rule(which=ANY)
    def all_goes_well(self, which: int) -> None:
        self._work(self._pick(which, deleted=True).charger_id)

    @rule(at_once=st.booleans())
    def observe(self, at_once: bool) -> None:
        task = self._begin(self._observe)
        if at_once:
            self._finish(task)

    @precondition(lambda self: self.tasks)
    @rule(which=ANY, halts=st.integers(0, 6), fate=FATES)
    def step(self, which: int, halts: int, fate: Fate) -> None:
        """Pass some halts; the next one meets its fate."""
        task = self.tasks[which % len(self.tasks)]
        for each in [Fate.GOES_ON] * halts + [fate]:
            if not task.ended:
                self._resume(task, each)

    @precondition(lambda self: self.tasks)
    @rule(which=ANY)
    def finish(self, which: int) -> None:
        self._finish(self.tasks[which % len(self.tasks)])

    # Time, ECS and third parties.

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
                self._sweep()  # and `deliver` may deliver the messages later
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
        self._take_snapshots()

    @rule(which=ANY, what=st.sampled_from(DISTURBANCES))
    def disturb(self, which: int, what: str) -> None:
        history = self._pick(which)
        service = active_service(self.ecs, history.charger_id)
        match what:
            case "deadlines pass":
                self.checks.deadlines_passed = True
                self.world.hours_pass(history.charger_id)
            case "ecs goes away or comes back":
                self.ecs.away = not self.ecs.away
            case "settings change":
                self.ecs.spec = "spec-2" if self.ecs.spec == "spec-1" else "spec-1"
            case "process crashes" if service is not None:
                self.ecs.crash(history.charger_id)
            case "stranger changes the count" if service is not None:
                service.desired_count = 1 - service.desired_count
            case "stranger changes the definition" if service is not None:
                service.task_definition_arn = "arn:task-definition/other:1"
            case "stranger removes the service" if service is not None:
                service.status = "INACTIVE"
                for task in service.live:
                    task.status = "STOPPED"
        self._take_snapshots()

    # What must hold at any time.

    @invariant()
    def nothing_is_wrong(self) -> None:
        self.sound = False
        self._hold_timers()
        self.checks.check(self.histories)
        self.sound = True

    def _hold_timers(self) -> None:
        """Time passes when a rule says so, not while the test runs."""
        with self.world.sessions.begin() as session:
            for timer in (Charger.publish_at, Charger.not_before):
                session.execute(update(Charger).where(timer > func.now()).values({timer: func.now() + FAR}))

    # The end: no more faults and requests, and the broker delivers only what the sweep publishes now.

    def teardown(self) -> None:
        try:
            if self.sound and self.histories:
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
            self.nothing_is_wrong()  # a row may go and come back: one task removes it, and the next finds it gone
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
            session.execute(update(RemovedCharger).values(removed_at=RemovedCharger.removed_at - CHECK_AFTER))
        for _ in range(2):
            self._run(self._remove_leftovers)
            self._settle()
        for history in self.histories:
            self.checks.check_end(history)

    # Helpers.

    def _begin(self, work: Callable[[], object]) -> SteppedTask:
        self.sound = False
        task = SteppedTask(work)
        if not task.ended:
            self.tasks.append(task)
        self._take_snapshots()
        self.sound = True
        return task

    def _resume(self, task: SteppedTask, fate: Fate = Fate.GOES_ON) -> None:
        self.sound = False
        try:
            task.resume(fate)
        finally:
            if task.ended:
                self.tasks.remove(task)
        self._take_snapshots()
        self.sound = True

    def _finish(self, task: SteppedTask) -> None:
        while not task.ended:
            self._resume(task)

    def _deliver(self, history: History, workers: int) -> None:
        for _ in range(workers):
            self._begin(partial(self.world.converge, history.charger_id))

    def _work(self, charger_id: str) -> None:
        """Deliver a message, let ECS reach the desired count, and observe twice."""
        self._run(partial(self.world.converge, charger_id))
        self._settle()
        self._run(self._observe)
        self._tasks_run_for_a_while()
        self._run(self._observe)

    def _run(self, work: Callable[[], object]) -> None:
        self._finish(self._begin(work))

    def _observe(self) -> None:
        with contextlib.suppress(EcsUnavailable, EcsRejected):  # as worker.tasks does
            self.world.observe_once()

    def _roll_out(self) -> None:
        """Roll out as if all workers had had these settings for long."""
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
        self.checks.lasting.update(task.arn for task in tasks if task.status == "RUNNING")

    def _fire_timers(self) -> None:
        self._tasks_run_for_a_while()
        with self.world.sessions.begin() as session:
            session.execute(update(Charger).values(not_before=None))
            session.execute(
                update(Charger).where(Charger.publish_at.is_not(None)).values(publish_at=func.now())
            )

    def _settle(self) -> None:
        self.ecs.settle()
        self._take_snapshots()

    def _sweep(self, *, broker_away: bool = False) -> list[str]:
        """The chargers that it published, oldest first."""
        published: list[str] = []

        def send(_celery: Celery, messages: list[tuple[str, dict[str, str]]], *, max_waiting: int) -> None:
            if broker_away:
                raise OSError("the broker is away")
            published.extend(message["charger_id"] for _, message in messages)

        with patch("worker.maintenance.sweep.send", send):
            sweep(self.world.sessions, NO_BROKER)
        return sorted(published)

    def _pick(self, which: int, *, deleted: bool = False) -> History:
        """Usually the same one, and usually one that its clients still see."""
        others = [history for history in self.histories if not (history.gone if deleted else history.deleted)]
        return others[which // 8 % len(others)] if others and which else self.histories[0]

    def _take_snapshots(self) -> None:
        for history in self.histories:
            history.see(self.ecs)
