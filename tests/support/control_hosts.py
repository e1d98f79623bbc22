"""Rows of hosts as workers write them, and what a scripted host says over the control link."""

from typing import Any

from sqlalchemy import delete, func, insert, select, update

from shared.database.engine import Sessions
from shared.ids import new_host_id
from shared.models import Charger, Host, HostCharger
from tests.support.control_link import ANSWER_S, ScriptedProcess
from tests.support.waiting import wait_until


class HostRows:
    """The rows of hosts and of the chargers that are placed on them."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions

    def host(self, organization: str = "acme", capacity: int = 5_000) -> str:
        host_id = new_host_id()
        with self.sessions.begin() as session:
            session.execute(insert(Host).values(id=host_id, organization_id=organization, capacity=capacity))
        return host_id

    def place(self, host_id: str, *charger_ids: str, **values: Any) -> None:
        """Put the chargers on the host, on and of generation 1 unless it is said otherwise."""
        row = {"host_id": host_id, "generation": 1, "desired_count": 1, "restart_generation": 1} | values
        with self.sessions.begin() as session:
            session.execute(insert(HostCharger), [{"charger_id": each, **row} for each in charger_ids])
            session.execute(
                update(Charger).where(Charger.id.in_(charger_ids)).values(placement="shared", host_id=host_id)
            )

    def decide(self, charger_id: str, generation: int, **values: Any) -> None:
        """Change what is desired of a charger that is placed."""
        with self.sessions.begin() as session:
            session.execute(
                update(HostCharger)
                .where(HostCharger.charger_id == charger_id)
                .values(generation=generation, **values)
            )

    def remove(self, charger_id: str) -> None:
        """Take the charger from its host."""
        with self.sessions.begin() as session:
            session.execute(delete(HostCharger).where(HostCharger.charger_id == charger_id))

    def delete(self, host_id: str) -> None:
        with self.sessions.begin() as session:
            session.execute(update(Host).where(Host.id == host_id).values(deleted_at=func.now()))

    def note(self) -> None:
        """Take all that hosts have said into account, as a worker does."""
        with self.sessions.begin() as session:
            session.execute(update(HostCharger).values(noted=True))

    def placed(self, charger_id: str) -> HostCharger:
        with self.sessions() as session:
            return session.get_one(HostCharger, charger_id)

    def read(self, host_id: str) -> Host:
        with self.sessions() as session:
            return session.get_one(Host, host_id)

    def running(self, host_id: str) -> int:
        """How many of the host's chargers run."""
        with self.sessions() as session:
            count = select(func.count()).where(HostCharger.host_id == host_id, HostCharger.running)
            return session.scalar(count) or 0

    def wait_for(self, charger_id: str, generation: int, *, running: bool) -> HostCharger:
        """The charger's row, as soon as it shows this."""

        def is_so() -> bool:
            row = self.placed(charger_id)
            return row.seen_generation == generation and row.running == running

        wait_until(is_so, 10, f"generation {generation} of {charger_id}, {running=}")
        return self.placed(charger_id)


def say_hello(host: ScriptedProcess, *running: str, boot: str = "c1") -> dict[str, Any]:
    """Say hello as a host in which these chargers run. Returns the welcome. Raises ConnectionClosed."""
    chargers = [{"charger": each, "boot": boot, "spec": None, "has_memory": True} for each in running]
    return host.hello(chargers=chargers, capacity=5_000)


def next_desired(host: ScriptedProcess, count: int = 1, within_s: float = ANSWER_S) -> list[dict[str, Any]]:
    """The next entries of desired frames, as many as `count`."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        found += host.hear("desired", within_s)["desired"]
    return found


def observe(host: ScriptedProcess, charger_id: str, generation: int = 1, **values: Any) -> None:
    """Say of a charger that it runs, unless it is said otherwise."""
    said = {"charger": charger_id, "generation": generation, "restart_generation": 1, "running": True}
    host.say("observed", observed=[said | {"boot": "c1", "fault": None} | values])


def start(host: ScriptedProcess, charger_id: str) -> None:
    """Get this charger as the next one that is desired, and say that it runs."""
    [entry] = next_desired(host)
    assert (entry["charger"], entry["desired_count"]) == (charger_id, 1)
    observe(host, charger_id, entry["generation"])
