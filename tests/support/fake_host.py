"""Hosts as the control link's rows show them: what they are to do, and what they say."""

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from sqlalchemy import func, select, text, update

from shared.database.engine import Sessions
from shared.fleet.control import LINK_TIMEOUT
from shared.models import ControlLink, ControlSession, Host, HostCharger

LINK = "link-of-hosts"


@dataclass
class FakeHost:
    """The process of one host: it does what its rows say when `work` is called, and the link writes its answers."""

    sessions: Sessions
    host_id: str
    running: dict[str, tuple[str, int]] = field(
        default_factory=dict
    )  #: the boot and the restart_generation of each charger that runs
    faults: dict[str, str] = field(default_factory=dict)  #: of chargers that do not come up
    boot: str = ""
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def hello(self) -> None:
        """Start, as another process than before, and connect."""
        self.boot = f"host-boot-{next(self.numbers)}"
        self.running.clear()
        self.connect()
        with self.sessions.begin() as session:
            session.execute(
                update(HostCharger)
                .where(HostCharger.host_id == self.host_id, HostCharger.running)
                .values(running=False, host_boot_id=self.boot, seen_at=func.clock_timestamp(), noted=False)
            )

    def connect(self) -> None:
        """Connect the process that runs: nothing that its chargers do has changed."""
        with self.sessions.begin() as session:
            session.merge(ControlLink(id=LINK, seen_at=func.now()))
            session.merge(
                ControlSession(
                    process_id=self.host_id,
                    session_id=f"session-of-{self.host_id}",
                    boot_id=self.boot,
                    link_id=LINK,
                    version="0.1.0",
                    connected_at=func.now(),
                    disconnected_at=None,
                )
            )

    def fall_silent(self, ago: timedelta = 2 * LINK_TIMEOUT) -> None:
        """Nothing has been heard of it since then, which is longer than the lease."""
        with self.sessions.begin() as session:
            session.execute(
                update(ControlSession)
                .where(ControlSession.process_id == self.host_id)
                .values(disconnected_at=func.now() - ago)
            )

    def stand_still(self) -> None:
        """Its process does nothing for longer than the lease, and its connection does not break."""
        with self.sessions.begin() as session:
            before = func.now() - 2 * LINK_TIMEOUT
            session.execute(
                update(ControlSession)
                .where(ControlSession.process_id == self.host_id)
                .values(connected_at=before)
            )
            session.execute(update(Host).where(Host.id == self.host_id).values(reported_at=before))

    def report(self) -> None:
        """The process says how it does."""
        with self.sessions.begin() as session:
            session.execute(update(Host).where(Host.id == self.host_id).values(reported_at=func.now()))

    def work(self) -> None:
        """Do what the rows say, and answer."""
        with self.sessions() as session:
            rows = session.scalars(
                select(HostCharger)
                .where(HostCharger.host_id == self.host_id)
                .order_by(HostCharger.charger_id)
            ).all()
        for row in rows:
            self._do(row)
            self.say(row.charger_id, row.generation)

    def say(self, charger_id: str, generation: int) -> None:
        """The link writes what the host says of the charger, as link/rows does."""
        boot, _ = self.running.get(charger_id, (None, 0))
        with self.sessions.begin() as session:
            session.execute(
                _OBSERVE,
                {
                    "charger_id": charger_id,
                    "host_id": self.host_id,
                    "generation": generation,
                    "running": boot is not None,
                    "boot_id": boot,
                    "host_boot_id": self.boot,
                    "fault": None if boot else self.faults.get(charger_id),
                },
            )

    def _do(self, row: HostCharger) -> None:
        known = self.running.get(row.charger_id)
        if row.desired_count == 0:
            self.running.pop(row.charger_id, None)
        elif row.charger_id not in self.faults and (known is None or known[1] < row.restart_generation):
            self.running[row.charger_id] = (f"boot-{next(self.numbers)}", row.restart_generation)


def hosts_of(sessions: Sessions) -> list[Host]:
    """All hosts, in the order in which they were opened."""
    with sessions() as session:
        return list(session.scalars(select(Host).order_by(Host.id)))


_OBSERVE = text("""
UPDATE host_chargers SET
    seen_generation = :generation, running = :running, boot_id = coalesce(:boot_id, boot_id),
    host_boot_id = :host_boot_id, fault = :fault, seen_at = clock_timestamp(), noted = false
WHERE charger_id = :charger_id AND host_id = :host_id AND :generation BETWEEN seen_generation AND generation
    AND (seen_generation, running, boot_id, host_boot_id, fault) IS DISTINCT FROM
        (CAST(:generation AS integer), CAST(:running AS boolean), coalesce(CAST(:boot_id AS text), boot_id),
         CAST(:host_boot_id AS text), CAST(:fault AS text))
""")
