"""The state machine of shared chargers: what clients, workers, hosts, links and time do, in any order and any number of times.

The functions and the rows are the real ones, those of the control link too. See processes.py for what a host does, and what
may be on its way. A task of ECS that has not stopped lives, whatever its network does: so two processes of one host never do.
"""

from collections import Counter
from collections.abc import Callable
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
ROUNDS_UNTIL_QUIET = 8
PASSES = (5, 20, 90)  # seconds: within the lease, after it, and after a task that has stopped counts as ended


class SharedChargers(RuleBasedStateMachine):
    """Some identities, and everything that can happen to their chargers and hosts."""

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

    @initialize(count=st.integers(1, len(PLACES)))
    def begin(self, count: int) -> None:
        """With chargers that run."""
        for which in range(count):
            self.create(which)
        self._everything()

    @rule(which=ANY)
    def create(self, which: int) -> None:
        organization, identity = place = PLACES[which % len(PLACES)]
        try:
            charger_id = self.world.create(identity, Placement.SHARED, organization)
        except InvalidCharger:
            return  # there is such a charger
        if charger_id not in self.chargers:
            self.chargers[charger_id] = place
            self.desired[charger_id] = 1

    @rule(which=ANY, what=st.sampled_from(["start", "stop", "restart", "restart", "delete"]))
    def request(self, which: int, what: str) -> None:
        if not self.chargers:
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

    @rule(which=ANY)
    def drain(self, which: int) -> None:
        found = hosts_of(self.world.sessions)
        if found:
            host = found[which % len(found)]
            with self.world.sessions.begin() as session:
                hosts.drain_host(session, organization_id=host.organization_id, host_id=host.id)

    # Workers.

    @rule(which=ANY)
    def message(self, which: int) -> None:
        if self.chargers:
            self._message(self._charger(which))

    @rule()
    def observe(self) -> None:
        observe(self.world.sessions, self.world.ecs, self.world.timing)

    @rule()
    def keep(self) -> None:
        with self.world.sessions.begin() as session:
            session.execute(update(Host).values(converge_at=func.now()))
        keep_hosts(self.world.sessions, self.world.ecs, self.world.timing, self.world.ecs.spec)

    @rule()
    def settle(self) -> None:
        """ECS starts and stops tasks, and with them processes."""
        self.world.ecs.settle()
        self._follow_tasks()

    # Hosts.

    @rule(which=ANY)
    def connect(self, which: int) -> None:
        if self.processes:
            self.links.connect(self._process(which))

    @rule(which=ANY)
    def break_line(self, which: int) -> None:
        if self.processes:
            self.links.break_line(self._process(which))

    @precondition(lambda self: self.links.lines)
    @rule(which=ANY, at_most=st.integers(1, 4))
    def take(self, which: int, at_most: int) -> None:
        """A process takes some of what it was sent."""
        self._take(self._line(which), at_most)

    @precondition(lambda self: self.links.lines)
    @rule(which=ANY, at_most=st.integers(1, 4), again=st.booleans())
    def write(self, which: int, at_most: int, again: bool) -> None:
        """The rows get what a host said, be it in a session that has ended."""
        self.links.write(self._line(which), at_most, again=again)

    @rule(which=ANY, what=st.sampled_from(["crashes", "stands", "goes on"]))
    def befall(self, which: int, what: str) -> None:
        if not self.processes:
            return
        process = self._process(which)
        match what:
            case "crashes" if process.running:
                process.crash(sorted(process.running)[which % len(process.running)])
            case "stands":
                process.stands = True
            case "goes on":
                process.stands = False
                process.start_crashed()

    @rule(which=ANY, at_once=st.booleans())
    def end_task(self, which: int, at_once: bool) -> None:
        """By `kill -9`, or in order: then its process lives on for a while."""
        if not self.processes:
            return
        host_id = self._process(which).host_id
        (self.world.ecs.crash if at_once else self.world.ecs.begin_to_stop)(host_id)
        self._follow_tasks()

    # The link, and time.

    @rule(what=st.sampled_from(["polls", "notices", "checks", "is killed", "ends", "starts"]))
    def link(self, what: str) -> None:
        match what:
            case "polls":
                self.links.poll()
            case "notices":
                self.links.notice()
            case "checks":
                self.links.check()
            case "starts":
                self.links.start()
            case _:
                self.links.end(in_order=what == "ends")

    @rule(seconds=st.sampled_from(PASSES))
    def time_passes(self, seconds: int) -> None:
        """Whoever lives and is connected says so meanwhile."""
        ago = timedelta(seconds=seconds)
        columns: list[Any] = [
            *(ControlSession.connected_at, ControlSession.disconnected_at, ControlLink.seen_at),
            *(Host.reported_at, Host.observed_at, Host.empty_since),
        ]
        with self.world.sessions.begin() as session:
            for column in columns:
                session.execute(update(column.class_).values({column.key: column - ago}))
        self.links.beat()
        for process in self.processes:
            self.links.report(process)

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

    # The end: no more faults and requests.

    def teardown(self) -> None:
        if self.sound:
            for process in self.processes:
                process.stands = False
            for _ in range(ROUNDS_UNTIL_QUIET):
                self._everything()
                self.time_passes(PASSES[-1])
                self.nothing_is_wrong()
            self._everything()
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

    def _everything(self) -> None:
        """All do their part, as often as it takes."""
        self.links.start()
        for _ in range(3):
            self.keep()
            self.settle()
            self.links.notice()
            for process in self.processes:
                if process.line is None or not (process.line.is_open and process.line.is_held):
                    self.links.connect(process)
            for charger_id in self.chargers:
                self._message(charger_id)
            self.links.poll()
            self.links.check()
            for line in self.links.lines:
                self._take(line, len(line.to_host))
                self.links.write(line, len(line.to_rows))
            for process in self.processes:
                process.start_crashed()
                self.links.report(process)
            self.observe()

    def _message(self, charger_id: str) -> None:
        self.world.wait_is_over(charger_id)
        self.world.converge(charger_id)

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
