"""Sends hosts what is desired of their chargers."""

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import accumulate
from typing import Any

from sqlalchemy.orm import Session as Rows

from link.database import Database
from link.rows.hosts import Desired, Observation, desired_of_host, unseen_desired
from link.rows.reports import memory_sizes, read_memories
from link.session import Session
from link.wire.portions import portions
from link.work.loop import Loop
from link.work.memories import Memory, open_memory
from link.work.specifications import frame_of
from shared.fleet.specification.reading import Specification, read_specifications
from shared.sealing import Sealer

POLL_S = 0.25  # a hint may be lost
PAUSE_S = 0.01
AT_ONCE = 200  # chargers of one statement
MAX_FRAME_CHARACTERS = 126 * 1024  # and what is around the list: a host takes 128 KiB
#: A host that has not taken this much gets no more until it has. Far below what ends a session.
MAX_UNSENT_CHARACTERS = 1024 * 1024
#: Of one portion, as the database stores them: compressed, often to a tenth. Each may be three quarters of a megabyte long.
MAX_MEMORY_BYTES = 256 * 1024
NO_SPECIFICATION = "Its specification cannot be read: the link's log says why (specification.cannot_open)"


class DesiredStates:
    """One per process. Knows what it has sent and the database does not show as seen yet."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        conclude: Callable[[Observation], None],
    ) -> None:
        """`conclude` writes why a charger does not run whose specification cannot be sent."""
        self.loop = Loop("desired states", self._send_due, every_s=POLL_S, pause_s=PAUSE_S)
        self._database = database
        self._sealer = sealer
        self._conclude = conclude
        #: Sessions that have just begun, with the last charger of theirs whose row was sent.
        self._greeting: dict[Session, str] = {}
        self._sent: dict[Session, dict[str, int]] = {}

    def greet(self, session: Session) -> None:
        """Send the host the row of each of its chargers, and end what runs in it without a row."""
        self.part(session, session.strangers)
        self._greeting[session] = ""
        self._sent[session] = {}
        self.loop.wake()

    def part(self, session: Session, charger_ids: Iterable[str]) -> None:
        """End these chargers in the host, which the rows do not give it. It may not speak for them any more."""
        entries: list[dict[str, Any]] = []
        for charger_id in sorted(charger_ids):
            session.placed.pop(charger_id, None)
            session.remove_charger(charger_id)
            entries.append({"charger": charger_id, "generation": 0, "desired_count": 0, "leaving": True})
        _send_frames(session, entries)

    def end(self, session: Session) -> None:
        """The next session of the host gets everything again."""
        self._greeting.pop(session, None)
        self._sent.pop(session, None)

    def written(self, observations: Iterable[Observation]) -> None:
        """The rows show what the hosts said."""
        seen = {each.charger_id: each for each in observations}
        for session, sent in self._sent.items():
            for charger_id in sent.keys() & seen.keys():
                observation = seen[charger_id]
                if observation.session_id == session.id and observation.generation >= sent[charger_id]:
                    del sent[charger_id]

    async def _send_due(self) -> None:
        """One portion of what each session is to get: none waits until another one, with many chargers, has all of its."""
        goes_on = False
        for session in self._ready(self._greeting):
            goes_on |= await self._greet_further(session)
        if ready := [session.id for session in self._ready(self._sent)]:
            sent = {
                charger_id: generation
                for each in self._sent.values()
                for charger_id, generation in each.items()
            }
            rows = await self._database.run(
                lambda rows: unseen_desired(rows, ready, sent=sent, at_most=AT_ONCE)
            )
            count = await self._send(rows)
            goes_on |= count == AT_ONCE or 0 < count < len(rows)
        if goes_on:
            self.loop.wake()

    def _ready(self, sessions: Iterable[Session]) -> list[Session]:
        return [each for each in sessions if each.unsent_characters < MAX_UNSENT_CHARACTERS]

    async def _greet_further(self, session: Session) -> bool:
        """Send the next portion of the host's rows. Returns whether there may be more."""
        after = self._greeting[session]
        rows = await self._database.run(
            lambda rows: desired_of_host(rows, session.process_id, session.id, after=after, at_most=AT_ONCE)
        )
        count = await self._send(rows)
        if session not in self._greeting:  # it has ended
            return False
        if count == len(rows) < AT_ONCE:
            del self._greeting[session]
        elif count:
            self._greeting[session] = rows[count - 1].charger_id
        return count > 0

    async def _send(self, given: Sequence[Desired]) -> int:
        """Send them, each to its host, unless it was sent already. Returns how many, from the first; the rest is read again."""
        running = {charger_id for session in self._sent for charger_id in session.chargers}
        rows, specifications, memories = await self._database.run(
            lambda database: _read_starts(database, given, running, self._sealer)
        )
        sessions = {session.id: session for session in self._sent}
        for row in rows:
            specification, session = specifications.get(row.charger_id), sessions.get(row.session_id)
            if (
                session
                and specification
                and specification.revision < session.revisions.get(row.charger_id, -1)
            ):
                return 0  # it was changed meanwhile, and the host has the newer one
        entries: dict[Session, list[dict[str, Any]]] = {}
        for row in rows:
            session = sessions.get(row.session_id)
            if session is None or self._sent[session].get(row.charger_id, -1) >= row.generation:
                continue
            self._sent[session][row.charger_id] = row.generation
            session.placed[row.charger_id] = row.generation
            entry = self._entry(
                session, row, specifications.get(row.charger_id), memories.get(row.charger_id)
            )
            if entry is not None:
                entries.setdefault(session, []).append(entry)
        for session, several in entries.items():
            _send_frames(session, several)
        return len(rows)

    def _entry(
        self, session: Session, row: Desired, specification: Specification | None, memory: Memory | None
    ) -> dict[str, Any] | None:
        """The row as it is sent; None for a charger that cannot be started, which is concluded."""
        entry: dict[str, Any] = {
            "charger": row.charger_id,
            "generation": row.generation,
            "desired_count": row.desired_count,
            "restart_generation": row.restart_generation,
            "leaving": row.leaves,
        }
        if not row.starts:
            session.revisions.pop(row.charger_id, None)
        elif specification is not None:
            session.revisions[row.charger_id] = specification.revision
            entry |= {"spec": frame_of(specification), "memory": memory}
        elif row.charger_id not in session.chargers:  # one that runs has a specification
            self._conclude(
                Observation(
                    charger_id=row.charger_id,
                    host_id=session.process_id,
                    session_id=session.id,
                    host_boot_id=session.boot_id,
                    generation=row.generation,
                    running=False,
                    boot_id=None,
                    fault=NO_SPECIFICATION,
                )
            )
            return None
        return entry


def _read_starts(
    database: Rows, rows: Sequence[Desired], running: Collection[str], sealer: Sealer
) -> tuple[Sequence[Desired], dict[str, Specification], dict[str, Memory]]:
    """The first of the rows, and what chargers start with: their specifications, and the memories of those that do not run."""
    starting = [row.charger_id for row in rows if row.starts]
    if not starting:
        return rows, {}, {}
    sizes = memory_sizes(database, set(starting) - set(running))
    rows = rows[: _count_within(MAX_MEMORY_BYTES, [sizes.get(row.charger_id, 0) for row in rows])]
    starting = [row.charger_id for row in rows if row.starts]
    specifications = {each.charger_id: each for each in read_specifications(database, starting, sealer)}
    memories = read_memories(database, sizes.keys() & starting)
    opened = {charger_id: open_memory(charger_id, each, sealer) for charger_id, each in memories.items()}
    return rows, specifications, opened


def _count_within(limit: int, sizes: Sequence[int]) -> int:
    """How many of them, from the first, stay within the limit together; at least one."""
    return max(1, sum(total <= limit for total in accumulate(sizes)))


def _send_frames(session: Session, entries: list[dict[str, Any]]) -> None:
    for some in portions(entries, MAX_FRAME_CHARACTERS):
        session.send({"type": "desired", "desired": some})
