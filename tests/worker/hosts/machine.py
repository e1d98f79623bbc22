"""The state machine of shared chargers: what clients, workers, hosts, links and time do, in any order and any number of times.

The functions and the rows are the real ones, those of the control link too. See processes.py for what a host does, and what
may be on its way. A task of ECS that has not stopped lives, whatever its network does: so two processes of one host never do.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Engine, func, select, update

from shared.fleet import hosts
from shared.fleet.errors import ChargerNotFound, InvalidCharger, NotReady
from shared.fleet.observed import observed_state
from shared.fleet.receipts import CommandReceipt
from shared.models import Charger, ControlLink, ControlSession, Host, HostCharger
from shared.vocabulary import Placement
from tests.conftest import delete_rows
from tests.support.fake_ecs import FakeEcs
from tests.support.fake_host import hosts_of
from tests.support.world import HOSTING, World
from tests.worker.hosts.processes import Line, Links, Process
from worker.maintenance.keep_hosts import keep_hosts
from worker.observe.observe import observe

#: Identities of two organizations; the first has more than a host takes.
IDENTITIES = {"acme": ("CP-1", "CP-2", "CP-3", "CP-4"), "other": ("CP-1",)}
PLACES = [(organization, identity) for organization, some in IDENTITIES.items() for identity in some]
ANY = st.integers(0, 11)  #: the index of a charger, process or line, modulo their number
SCENES = (
    "a charger has crashed and runs again, which nobody knows",
    "a host is cut off for longer than the lease",
    "a host drains",
    "a task ends",
)
REQUESTS = ("create", "start", "stop", "restart", "restart", "delete")
WORK = (
    "workers work",
    "a message comes late, or again",
    "tasks start and stop",
    "and their processes connect",
)
WAYS = ("to the hosts", "to the rows", "to the hosts and to the rows")
ALL = 100  # more than there is
BEFALLS = ("connects", "is cut off", "is cut off", "stands still", "goes on", "is killed", "is stopped")
ROUNDS_UNTIL_QUIET = 4
PASSES = (
    5,
    20,
    90,
    90,
)  # seconds: within the lease, after it, and after a task that has stopped counts as ended


class SharedChargers(RuleBasedStateMachine):
    """Some identities, and everything that can happen to their chargers and hosts."""

    scenes: Sequence[str] = ()  #: of SCENES, with which a course of events begins

    def __init__(self, world: World, engine: Engine) -> None:
        super().__init__()
        delete_rows(engine)
        world.ecs = FakeEcs()
        self.world = world
        self.links = Links(world.sessions)
        self.processes: list[Process] = []
        self.chargers: dict[str, tuple[str, str]] = {}  #: organization and identity by id
        self.desired: dict[str, int] = {}  #: by the newest request; of those that were not deleted
        self.seen: dict[tuple[str, str], int] = {}
        self.sound = True

    # Clients.

    @initialize(which=ANY)
    def begin(self, which: int) -> None:
        """With chargers that run on two hosts, and with what makes later steps dangerous."""
        for number in range(len(IDENTITIES["acme"])):
            self._create(number)
        for _ in range(3):
            self._everything()
        for scene in self.scenes:
            self._set(scene, which)
            self.nothing_is_wrong()
        self.work(which, WORK[-1])  # what was decided reaches the hosts, and nothing comes back
        self.work(which, WORK[0])
        self.exchange(which, WAYS[0], ALL, again=False)

    def _set(self, scene: str, which: int) -> None:
        match scene:
            case "a charger has crashed and runs again, which nobody knows":
                self.charger_crashes(which, is_said=True, starts_again=True)
            case "a host is cut off for longer than the lease":
                self.befall(which, "is cut off", is_noticed=True)
                self.time_passes(PASSES[-1], is_seen=True)
            case "a task ends":
                self.befall(which, "is stopped", is_noticed=False)
            case "a host drains" if self.processes:
                ids = [host.id for host in hosts_of(self.world.sessions)]
                self.drain(ids.index(self._process(which).host_id), at_once=True)

    @rule(which=ANY, what=st.sampled_from(REQUESTS), at_once=st.booleans())
    def request(self, which: int, what: str, at_once: bool) -> None:
        """A worker may get its message at once."""
        if what == "create":
            self._create(which)
            return
        charger_id = self._charger(which)
        function: Callable[[str, str], CommandReceipt] = getattr(self.world, what)
        try:
            function(charger_id, self.chargers[charger_id][0])
        except ChargerNotFound:
            assert charger_id not in self.desired
        except NotReady:
            return
        if what == "delete":
            self.desired.pop(charger_id, None)
        elif charger_id in self.desired:
            self.desired[charger_id] = int(what != "stop")
        if at_once:
            self._message(charger_id)

    @rule(which=ANY, at_once=st.sampled_from([True, True, False]))
    def drain(self, which: int, at_once: bool) -> None:
        """The moves of its chargers begin at once, or later."""
        found = hosts_of(self.world.sessions)
        if found:
            host = found[which % len(found)]
            with self.world.sessions.begin() as session:
                hosts.drain_host(session, organization_id=host.organization_id, host_id=host.id)
            if at_once:
                self._keep()
                self._deliver()

    # Workers and ECS.

    @rule(which=ANY, what=st.sampled_from(WORK))
    def work(self, which: int, what: str) -> None:
        match what:
            case "workers work":
                self._deliver()
                self._observe()
            case "a message comes late, or again":
                self._message(self._charger(which))
            case "tasks start and stop":
                self._keep()
                self._settle()
            case _:
                self._keep()
                self._settle()
                self._connect_all()

    # Hosts.

    @precondition(lambda self: self.links.lines)
    @rule(
        which=ANY, way=st.sampled_from(WAYS), portion=st.sampled_from([1, 2, ALL, ALL]), again=st.booleans()
    )
    def exchange(self, which: int, way: str, portion: int, again: bool) -> None:
        """Processes take some of what they were sent, and the rows get some of what they said, be it in a session that has ended."""
        if self.links.is_up:
            self.links.poll()
        for line in self.links.lines if portion == ALL else [self._line(which)]:
            if "to the hosts" in way:
                self._take(line, portion)
            if "to the rows" in way:
                self.links.write(line, portion, again=again)

    @precondition(lambda self: self.processes)
    @rule(which=ANY, is_said=st.booleans(), starts_again=st.booleans())
    def charger_crashes(self, which: int, is_said: bool, starts_again: bool) -> None:
        process = self._process(which)
        if process.running and not process.stands:
            process.crash(sorted(process.running)[which % len(process.running)])
            if is_said and process.line is not None:
                self.links.write(process.line, ALL)
            if starts_again:
                process.start_crashed()

    @precondition(lambda self: self.processes)
    @rule(which=ANY, what=st.sampled_from(BEFALLS), is_noticed=st.booleans())
    def befall(self, which: int, what: str, is_noticed: bool) -> None:
        """Something happens to a process. One whose task ends in order lives for a while yet."""
        process = self._process(which)
        match what:
            case "connects":
                self.links.connect(process)
            case "is cut off":
                self.links.break_line(process)
            case "stands still":
                process.stands = True
            case "goes on":
                process.stands = False
                process.start_crashed()
            case "is killed":
                self.world.ecs.crash(process.host_id)
            case _:
                self.world.ecs.begin_to_stop(process.host_id)
        self._follow_tasks()
        if is_noticed:
            self.links.notice()

    # The link, and time.

    @rule(what=st.sampled_from(["notices", "checks", "is killed", "ends", "starts", "starts"]))
    def link(self, what: str) -> None:
        match what:
            case "notices":
                self.links.notice()
            case "checks":
                self.links.check()
            case "starts":
                self.links.start()
            case _:
                self.links.end(in_order=what == "ends")

    @rule(seconds=st.sampled_from(PASSES), is_seen=st.booleans())
    def time_passes(self, seconds: int, is_seen: bool) -> None:
        """Whoever lives and is connected says so meanwhile, and workers may look at ECS."""
        ago = timedelta(seconds=seconds)
        columns: list[Any] = [
            *(ControlSession.connected_at, ControlSession.disconnected_at, ControlLink.seen_at),
            *(Host.reported_at, Host.observed_at, Host.empty_since, Charger.observe_at),
        ]
        with self.world.sessions.begin() as session:
            for column in columns:
                session.execute(update(column.class_).values({column.key: column - ago}))
        self.links.beat()
        for process in self.processes:
            self.links.report(process)
        if is_seen:
            self._keep()

    # What must hold at any time.

    @invariant()
    def nothing_is_wrong(self) -> None:
        self.sound = False
        running = Counter(
            self.chargers[charger_id] for process in self.processes for charger_id in process.running
        )
        assert max(running.values(), default=0) <= 1, f"two sessions: {running}"
        with self.world.sessions() as session:
            placed = {row.charger_id: row for row in session.scalars(select(HostCharger))}
            chargers = {row.id: row for row in session.scalars(select(Charger))}
            opened = {row.id: row for row in session.scalars(select(Host))}
        counts = Counter(row.host_id for row in placed.values())
        for host in opened.values():
            assert host.chargers == counts[host.id] <= host.capacity == HOSTING.capacity
        for charger in chargers.values():
            row = placed.get(charger.id)
            assert charger.host_id == (row.host_id if row else None)
            assert row is None or opened[row.host_id].organization_id == charger.organization_id
        for row in placed.values():
            key = row.charger_id, row.host_id
            assert row.seen_generation <= row.generation
            assert self.seen.get(key, 0) <= row.seen_generation
        self.seen = {(row.charger_id, row.host_id): row.seen_generation for row in placed.values()}
        self.sound = True

    # The end: no more faults and requests, and the broker delivers what the sweep publishes.

    def teardown(self) -> None:
        if not self.sound:
            return
        for process in self.processes:
            process.stands = False
        for seconds in (0, PASSES[-1], 0, PASSES[-1], *[0] * ROUNDS_UNTIL_QUIET):
            self.time_passes(seconds, is_seen=True)
            self._everything()
            self.nothing_is_wrong()
        self._check_end()

    def _check_end(self) -> None:
        running = {charger_id for process in self.processes for charger_id in process.running}
        expected = set()
        for charger_id in self.chargers:
            if charger_id not in self.desired:
                assert self.world.gone(charger_id), "a deleted charger is still there"
                continue
            charger = self.world.charger(charger_id)
            desired = self.desired[charger_id]
            assert charger.desired_count == desired
            assert str(observed_state(charger)) == ("running" if desired else "stopped")
            expected |= {charger_id} if desired else set()
        assert running == expected
        assert self.world.open_commands() == 0
        assert not any(host.draining_at for host in hosts_of(self.world.sessions))

    # Helpers.

    def _create(self, which: int) -> None:
        organization, identity = place = PLACES[which % len(PLACES)]
        try:
            charger_id = self.world.create(identity, Placement.SHARED, organization)
        except InvalidCharger:
            return  # there is such a charger
        if charger_id not in self.chargers:
            self.chargers[charger_id] = place
            self.desired[charger_id] = 1

    def _everything(self) -> None:
        """All do their part."""
        self.links.start()
        self._keep()
        self._settle()
        self._connect_all()
        self._deliver()
        self.links.poll()
        self.links.check()
        for line in self.links.lines:
            self._take(line, len(line.to_host))
            self.links.write(line, len(line.to_rows))
        for process in self.processes:
            process.start_crashed()
            self.links.report(process)
        self._observe()

    def _keep(self) -> None:
        with self.world.sessions.begin() as session:
            session.execute(update(Host).values(converge_at=func.now()))
        keep_hosts(self.world.sessions, self.world.ecs, self.world.timing, self.world.ecs.spec)

    def _settle(self) -> None:
        self.world.ecs.settle()
        self._follow_tasks()

    def _observe(self) -> None:
        observe(self.world.sessions, self.world.ecs, self.world.timing)

    def _deliver(self) -> None:
        """What the sweep publishes, now or when its delay is over."""
        with self.world.sessions() as session:
            due = session.scalars(
                select(Charger.id).where(Charger.publish_at.is_not(None)).order_by(Charger.id)
            ).all()
        for charger_id in due:
            self._message(charger_id)

    def _message(self, charger_id: str) -> None:
        self.world.wait_is_over(charger_id)
        self.world.converge(charger_id)

    def _connect_all(self) -> None:
        self.links.notice()
        for process in self.processes:
            if process.line is None or not (process.line.is_open and process.line.is_held):
                self.links.connect(process)

    def _take(self, line: Line, at_most: int) -> None:
        for process in self.processes:
            if process.line is line and line.is_open and not process.stands:
                some = line.to_host[:at_most]
                del line.to_host[:at_most]
                for entry in some:
                    process.take(entry)

    def _follow_tasks(self) -> None:
        """A process for each task that runs, and none of any other."""
        live = {
            task.arn: host_id
            for host_id, service in self.world.ecs.services.items()
            for task in service.live
            if task.status != "PENDING"
        }
        for process in self.processes:
            if process.task not in live:
                self.links.break_line(process)
        self.processes = [process for process in self.processes if process.task in live]
        known = {process.task for process in self.processes}
        self.processes += [Process(host_id, task) for task, host_id in live.items() if task not in known]

    def _charger(self, which: int) -> str:
        found = list(self.desired) or list(self.chargers)
        return found[which % len(found)] if which < 8 else list(self.chargers)[which % len(self.chargers)]

    def _process(self, which: int) -> Process:
        return self.processes[which % len(self.processes)]

    def _line(self, which: int) -> Line:
        """Usually a new one."""
        return self.links.lines[-1 - which % len(self.links.lines)]
