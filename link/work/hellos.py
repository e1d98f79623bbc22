"""Registers the processes that say hello, many at a time."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session as Rows

from link.database import Database
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
            welcomes = await self._database.run(
                lambda rows: _register(rows, self._link_id, self._sealer, list(now.values()))
            )
        except SQLAlchemyError as error:
            for waiting in now.values():
                waiting.refuse(CloseCode.TRY_AGAIN, f"the database: {type(error).__name__}")
            return
        for process_id, waiting in now.items():
            _answer(waiting, welcomes.get(process_id))


def _register(
    rows: Rows, link_id: str, sealer: Sealer, all_waiting: Sequence[_Waiting]
) -> dict[str, dict[str, dict[str, Any]]]:
    """By process that has its session now: what to say of each charger that exists."""
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
    without_memory = [
        charger.charger_id for each in arrived for charger in each.hello.chargers if not charger.has_memory
    ]
    memories = {
        charger_id: open_memory(charger_id, memory, sealer)
        for charger_id, memory in read_memories(rows, without_memory).items()
    }
    specifications = read_for_welcome(rows, [each.session for each in arrived], existing, sealer)
    return {
        each.session.process_id: {
            charger.charger_id: {
                "spec": specifications.get(charger.charger_id),
                "memory": memories.get(charger.charger_id),
            }
            for charger in each.hello.chargers
            if charger.charger_id in existing
        }
        for each in arrived
    }


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


def _answer(waiting: _Waiting, welcomes: dict[str, dict[str, Any]] | None) -> None:
    waiting.session.has_row = welcomes is not None
    if waiting.answer.done():
        return
    if welcomes is None:
        waiting.refuse(CloseCode.TAKEN, "another boot of this process is connected")
    elif not welcomes:
        waiting.refuse(CloseCode.NO_SUCH_CHARGER, "none of these chargers exists")
    else:
        for charger_id in waiting.session.chargers.keys() - welcomes.keys():
            del waiting.session.chargers[charger_id]
        waiting.answer.set_result([{"charger": id_, **said} for id_, said in welcomes.items()])
