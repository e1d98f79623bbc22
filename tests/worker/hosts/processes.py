"""Processes of hosts, and what is on its way between them and the control link, which may come late, twice or never.

The rows are written by the link's own functions (link/rows). A process follows the rules of simulator/host/keeper.py.
"""

from dataclasses import dataclass, field, replace
from itertools import count

from link.rows.hosts import (
    Desired,
    HostArrival,
    Observation,
    SaidOfHost,
    desired_of_host,
    not_placed,
    take_hosts,
    unseen_desired,
    write_host_reports,
    write_observations,
)
from link.rows.sessions import (
    Arrival,
    ArrivedCharger,
    Departure,
    adopt_chargers,
    end_all_sessions,
    end_sessions,
    take_sessions,
    write_heartbeat,
)
from shared.database.engine import Sessions

VERSION = "0.1.0"
ROOM = 1_000  # of a process; its row has less
_numbers = count(1)


def new_name(kind: str) -> str:
    return f"{kind}-{next(_numbers)}"


@dataclass
class Line:
    """One session of a host with the link."""

    host_id: str
    host_boot: str
    link_id: str
    id: str = field(default_factory=lambda: new_name("session"))
    is_open: bool = True  #: for the process
    is_held: bool = True  #: for the link, which may notice the end later
    to_host: list[Desired] = field(default_factory=list)
    to_rows: list[Observation] = field(default_factory=list)  #: also after the end: a frozen link writes late
    sent: dict[str, int] = field(default_factory=dict)
    placed: dict[str, int] = field(
        default_factory=dict
    )  #: what the process may speak for, with what was decided


@dataclass
class Known:
    """A charger, as a process knows it."""

    generation: int
    is_on: bool
    restart_generation: int = 0  #: of what runs
    boot: str | None = None


@dataclass
class Process:
    """The process of one task of a host."""

    host_id: str
    task: str
    boot: str = field(default_factory=lambda: new_name("host-boot"))
    known: dict[str, Known] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    line: Line | None = None
    stands: bool = False  #: still: it neither takes nor says anything

    @property
    def running(self) -> dict[str, str]:
        """The boots of the chargers that run."""
        return {each: known.boot for each, known in self.known.items() if known.boot is not None}

    def take(self, entry: Desired) -> None:
        """Do what the link sent."""
        known = self.known.get(entry.charger_id) or Known(-1, is_on=False)
        newest = max(known.generation, self.left.get(entry.charger_id, -1))
        if not 0 < entry.generation < newest:
            self.known[entry.charger_id] = known
            known.generation, known.is_on = entry.generation, entry.starts
            if not entry.starts:
                known.boot = None
            elif known.boot is None or known.restart_generation < entry.restart_generation:
                known.boot, known.restart_generation = new_name("boot"), entry.restart_generation
        self.say(entry.charger_id, known)
        if entry.leaves and known.boot is None and self.known.pop(entry.charger_id, Known(0, is_on=False)):
            self.left[entry.charger_id] = entry.generation

    def crash(self, charger_id: str) -> None:
        """The charger ends by itself."""
        known = self.known[charger_id]
        known.boot = None
        self.say(charger_id, known, fault="It has crashed")

    def start_crashed(self) -> None:
        """Those that shall run and do not."""
        for charger_id, known in self.known.items():
            if known.is_on and known.boot is None:
                known.boot = new_name("boot")
                self.say(charger_id, known)

    def say(self, charger_id: str, known: Known, fault: str | None = None) -> None:
        line = self.line
        if line is None or not line.is_open:
            return
        said = Observation(
            charger_id=charger_id,
            host_id=self.host_id,
            session_id=line.id,
            host_boot_id=self.boot,
            generation=max(known.generation, 0),
            running=known.boot is not None,
            boot_id=known.boot,
            fault=fault,
        )
        if said.generation <= line.placed.get(charger_id, -1):  # as link/process.py
            line.to_rows.append(said)

    def give_way(self) -> None:
        """Another process of this host is connected."""
        self.known.clear()
        self.left.clear()


class Links:
    """The control link: one process at a time, and all its sessions with those before them."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.lines: list[Line] = []
        self.is_up = True
        self.id = new_name("link")
        self.beat()

    def beat(self) -> None:
        """The link and the hosts that it hears say that they live."""
        if not self.is_up:
            return
        with self._sessions.begin() as session:
            write_heartbeat(session, self.id)

    def report(self, process: Process) -> None:
        """The host says how it does."""
        line = process.line
        if self.is_up and line is not None and line.is_open and line.is_held and not process.stands:
            said = SaidOfHost(line.host_id, line.id, ROOM, len(process.running), 0, 0.0, 0, None, 0.0, 0)
            with self._sessions.begin() as session:
                write_host_reports(session, [said])

    def end(self, *, in_order: bool) -> None:
        """The process of the link ends, in order or by `kill -9`."""
        for line in self.lines:
            line.is_open = line.is_held = False
        if in_order and self.is_up:
            with self._sessions.begin() as session:
                end_all_sessions(session, self.id)
        self.is_up = False

    def start(self) -> None:
        if not self.is_up:
            self.is_up, self.id = True, new_name("link")
            self.beat()

    def connect(self, process: Process) -> None:
        """The process says hello, as to link/work/hellos.py. It gives way when it is refused."""
        if not self.is_up or process.stands:
            return
        self.break_line(process)
        line = Line(process.host_id, process.boot, self.id)
        running = process.running
        with self._sessions.begin() as session:
            if not take_sessions(
                session, self.id, [Arrival(process.host_id, line.id, process.boot, VERSION)]
            ):
                process.give_way()
                return
            adopt_chargers(
                session,
                [
                    ArrivedCharger(charger_id, process.host_id, line.id, boot, None)
                    for charger_id, boot in running.items()
                ],
            )
            taken = take_hosts(
                session,
                [HostArrival(process.host_id, line.id, process.boot, VERSION, ROOM)],
                [(process.host_id, charger_id) for charger_id in running],
            )
        if process.host_id not in taken:
            return  # the host was deleted
        for other in self.lines:
            if other.host_id == process.host_id:
                other.is_held = False
        line.placed = taken[process.host_id]
        process.line = line
        self.lines.append(line)
        line.to_host += [_part(line, each) for each in sorted(running.keys() - line.placed.keys())]
        self._send(line, self._greeting(line))

    def break_line(self, process: Process) -> None:
        """The process notices that its connection is gone; the link may notice later."""
        if process.line is not None:
            process.line.is_open = False

    def notice(self) -> None:
        """The link notices which connections are gone."""
        gone = [line for line in self.lines if line.is_held and not line.is_open]
        for line in gone:
            line.is_held = False
        if self.is_up:
            with self._sessions.begin() as session:
                end_sessions(session, [Departure(line.host_id, line.id) for line in gone])

    def poll(self) -> None:
        """Send what has been decided since."""
        held = {line.id: line for line in self.lines if line.is_held}
        if not self.is_up or not held:
            return
        sent = {charger: generation for line in held.values() for charger, generation in line.sent.items()}
        with self._sessions.begin() as session:
            found = unseen_desired(session, held, sent=sent, at_most=100)
        for each in found:
            self._send(held[each.session_id], [each])

    def check(self) -> None:
        """End what runs in a host that its rows do not give it."""
        for line in self.lines:
            if self.is_up and line.is_held:
                with self._sessions.begin() as session:
                    strange = not_placed(session, [(line.host_id, each) for each in sorted(line.placed)])
                for _, charger_id in sorted(strange):
                    line.placed.pop(charger_id)
                    line.to_host.append(_part(line, charger_id))

    def write(self, line: Line, at_most: int, *, again: bool = False) -> None:
        """The rows get some of what the host said in this session, perhaps long ago; once more later, if they shall."""
        some = line.to_rows[:at_most]
        if not some:
            return
        with self._sessions.begin() as session:
            for each in some:
                write_observations(session, [each])
        if not again:
            del line.to_rows[:at_most]
        for each in some:
            if line.sent.get(each.charger_id, -1) <= each.generation:
                line.sent.pop(each.charger_id, None)

    def _greeting(self, line: Line) -> list[Desired]:
        with self._sessions.begin() as session:
            return desired_of_host(session, line.host_id, line.id, after="", at_most=100)

    def _send(self, line: Line, entries: list[Desired]) -> None:
        for each in entries:
            line.sent[each.charger_id] = line.placed[each.charger_id] = each.generation
            line.to_host.append(each)


def _part(line: Line, charger_id: str) -> Desired:
    nothing = Desired(charger_id, line.id, 0, 0, 0, leaves=False)
    return replace(nothing, leaves=True)
