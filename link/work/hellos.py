"""Registers the processes that say hello, many at a time."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session as Rows

from link.database import Database
from link.rows.hosts import HostArrival, take_hosts
from link.rows.reports import read_memories
from link.rows.sessions import Arrival, ArrivedCharger, adopt_chargers, take_sessions
from link.session import Session
from link.wire.closing import CloseCode, Closing
from link.wire.frames import Hello
from link.work.batch import Batch
from link.work.memories import open_memory
from link.work.specifications import read_for_welcome
from shared.sealing import Sealer

PAUSE_S = 0.01
REGISTERED_WITHIN_S = 15.0

#: What the link says of each charger in its welcome.
Welcomes = list[dict[str, Any]]


class _Waiting:
    def __init__(self, session: Session, hello: Hello) -> None:
        self.session = session
        self.hello = hello
        self.answer: asyncio.Future[Welcomes] = asyncio.get_running_loop().create_future()

    def refuse(self, code: CloseCode, reason: str) -> None:
        if not self.answer.done():
            self.answer.set_exception(Closing(code, reason))


class Hellos:
    """One per process."""

    def __init__(self, database: Database, link_id: str, sealer: Sealer) -> None:
        self._database = database
        self._link_id = link_id
        self._sealer = sealer
        self.batch: Batch[str, _Waiting] = Batch("hellos", self._register_all, pause_s=PAUSE_S)

    async def register(self, session: Session, hello: Hello) -> Welcomes:
        """Make the session its process's. Returns what to say of each of its chargers. Raises Closing.

        Chargers that do not exist any more are removed from the session.
        """
        waiting = _Waiting(session, hello)
        self.batch.put(session.id, waiting)
        try:
            async with asyncio.timeout(REGISTERED_WITHIN_S):
                return await waiting.answer
        except TimeoutError:
            raise Closing(CloseCode.TRY_AGAIN, "the database does not answer") from None

    async def _register_all(self, all_waiting: list[_Waiting]) -> None:
        """Register them with a few statements. One hello of a process at a time: of two the second one waits."""
        now: dict[str, _Waiting] = {}
        for waiting in all_waiting:
            if waiting.answer.done():
                continue
            if waiting.session.process_id in now:
                self.batch.put(waiting.session.id, waiting)
            else:
                now[waiting.session.process_id] = waiting
        if not now:
            return
        try:
            registered = await self._database.run(
                lambda rows: _register(rows, self._link_id, self._sealer, list(now.values()))
            )
        except SQLAlchemyError as error:
            for waiting in now.values():
                waiting.refuse(CloseCode.TRY_AGAIN, f"the database: {type(error).__name__}")
            return
        for process_id, waiting in now.items():
            _answer(waiting, registered.get(process_id))


@dataclass(frozen=True, slots=True)
class _Registered:
    """A process that has its session."""

    exists: bool  #: the host, or one of the chargers
    chargers: set[str]  #: those of its hello that exist and that it may run
    placed: dict[str, int]  #: of a host: all that it may run, with the generation that was decided
    welcomes: Welcomes


def _register(
    rows: Rows, link_id: str, sealer: Sealer, all_waiting: Sequence[_Waiting]
) -> dict[str, _Registered]:
    """By process that has its session now."""
    taken = take_sessions(
        rows,
        link_id,
        [
            Arrival(each.session.process_id, each.session.id, each.session.boot_id, each.hello.version)
            for each in all_waiting
        ],
    )
    arrived = [each for each in all_waiting if each.session.process_id in taken]
    existing = adopt_chargers(rows, list(_arrived_chargers(arrived)))
    hosts = [each for each in arrived if each.session.is_of_host]
    placed = _take_hosts(rows, hosts) if hosts else {}
    welcomes = _welcomes(rows, sealer, [each for each in arrived if not each.session.is_of_host], existing)
    return {
        each.session.process_id: _Registered(
            exists=each.session.process_id in placed or each.session.process_id in welcomes,
            chargers=existing & placed.get(each.session.process_id, {each.session.process_id: 0}).keys(),
            placed=placed.get(each.session.process_id, {}),
            welcomes=welcomes.get(each.session.process_id, []),
        )
        for each in arrived
    }


def _take_hosts(rows: Rows, hosts: Sequence[_Waiting]) -> dict[str, dict[str, int]]:
    arrivals = [
        HostArrival(
            each.session.process_id,
            each.session.id,
            each.session.boot_id,
            each.hello.version,
            each.hello.capacity,
        )
        for each in hosts
    ]
    named = [(each.session.process_id, charger_id) for each in hosts for charger_id in each.session.chargers]
    return take_hosts(rows, arrivals, named)


def _welcomes(
    rows: Rows, sealer: Sealer, arrived: Sequence[_Waiting], existing: set[str]
) -> dict[str, Welcomes]:
    """By process with chargers that exist: what to say of each. A host gets it with what is desired."""
    mine = [charger for each in arrived for charger in each.hello.chargers if charger.charger_id in existing]
    without_memory = [charger.charger_id for charger in mine if not charger.has_memory]
    memories = {
        charger_id: open_memory(charger_id, memory, sealer)
        for charger_id, memory in read_memories(rows, without_memory).items()
    }
    specifications = read_for_welcome(
        rows, [each.session for each in arrived], {charger.charger_id for charger in mine}, sealer
    )
    found: dict[str, Welcomes] = {}
    for each in arrived:
        for charger in each.hello.chargers:
            if charger.charger_id in existing:
                said = {
                    "charger": charger.charger_id,
                    "spec": specifications.get(charger.charger_id),
                    "memory": memories.get(charger.charger_id),
                }
                found.setdefault(each.session.process_id, []).append(said)
    return found


def _arrived_chargers(arrived: Iterable[_Waiting]) -> Iterable[ArrivedCharger]:
    for each in arrived:
        for charger in each.hello.chargers:
            yield ArrivedCharger(
                charger.charger_id,
                each.session.process_id,
                each.session.id,
                charger.boot_id,
                charger.spec_revision,
            )


def _answer(waiting: _Waiting, registered: _Registered | None) -> None:
    session = waiting.session
    session.has_row = registered is not None
    if waiting.answer.done():
        return
    if registered is None:
        waiting.refuse(CloseCode.TAKEN, "another boot of this process is connected")
    elif not registered.exists:
        reason = "the host does not exist" if session.is_of_host else "none of these chargers exists"
        waiting.refuse(CloseCode.NO_SUCH_CHARGER, reason)
    else:
        session.placed = registered.placed
        session.strangers = (
            session.chargers.keys() - registered.placed.keys() if session.is_of_host else set()
        )
        for charger_id in session.chargers.keys() - registered.chargers:
            session.remove_charger(charger_id)
        waiting.answer.set_result(registered.welcomes)
