"""Wishes of several requests, recorded in one statement: what costs much is done once for all of them."""

import threading
from dataclasses import dataclass, field
from time import monotonic

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from shared.database.connection import CONNECT_TIMEOUT_S
from shared.database.engine import contention, is_unavailable
from shared.fleet.commands import MOST, LifecycleRequest, record_command, record_commands
from shared.fleet.receipts import CommandReceipt

log = structlog.get_logger(__name__)


def _locked() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True)
class _Asked:
    """A wish on its way."""

    wish: LifecycleRequest
    came_at: float = field(default_factory=monotonic)
    told: threading.Lock = field(default_factory=_locked)  #: held until it is done, or has the turn
    done: bool = False
    accepted: CommandReceipt | None = None
    error: Exception | None = None


class GroupCommit:
    """One per process. While one statement is under way, the next one gathers: no wish waits for company.

    Whoever has the turn sends a statement for all that wait, wakes them, and hands the turn to one of those
    who came meanwhile. (One lock that all of them pass through would be taken by newcomers, alone, while
    those who are long done queue up behind it.)
    """

    def __init__(self, batches: Engine, singles: Engine | None = None) -> None:
        """Takes engines that commit every statement: for batches, and for what has to be recorded by itself."""
        self._batches = batches
        self._singles = singles or batches
        self._mutex = threading.Lock()  # of the two below, never held for long
        self._waiting: list[_Asked] = []
        self._turn_taken = False

    @property
    def waiting(self) -> int:
        """Wishes whose statement is not under way yet."""
        return len(self._waiting)

    def ask(self, wish: LifecycleRequest) -> CommandReceipt:
        """Put the wish on record, by itself or with others. Raises as `commands.record_command`."""
        mine = _Asked(wish)
        with self._mutex:
            self._waiting.append(mine)
            my_turn, self._turn_taken = not self._turn_taken, True
        if not my_turn:
            mine.told.acquire()
        if not mine.done:
            self._record_some()
        if mine.error is not None:
            raise mine.error
        if mine.accepted is not None:
            return mine.accepted
        with Session(self._singles) as session:
            return record_command(session, wish)

    def _record_some(self) -> None:
        """Those that have waited the longest, at most a statement's worth. Mine is the first of them."""
        group: list[_Asked] = []
        try:
            with self._batches.connect() as connection:
                group = self._take(MOST)
                accepted = record_commands(connection, [asked.wish for asked in group])
            for asked in group:
                asked.accepted = accepted.get(asked.wish.command_id)
        except PoolTimeout as error:
            # Those who came meanwhile have not waited for a connection yet.
            group = self._take_those_before(monotonic() - CONNECT_TIMEOUT_S)
            for asked in group:
                asked.error = error
        except Exception as error:
            if is_unavailable(error):
                # Also for those who came meanwhile: each group would wait for a database that hangs, one after the other.
                with self._mutex:
                    group, self._waiting = group + self._waiting, []
                for asked in group:
                    asked.error = error
            else:  # each is recorded by itself: one may have spoilt it for all
                log.warning(
                    "group.failed",
                    wishes=len(group),
                    error=str(error).partition("\n")[0],
                    exc_info=contention(error) is None,
                )
        finally:
            group = group or self._take(1)
            for asked in group:
                asked.done = True
            with self._mutex:
                successor = self._waiting[:1]
                self._turn_taken = bool(successor)
            for asked in (*successor, *group[1:]):
                asked.told.release()

    def _take(self, most: int) -> list[_Asked]:
        with self._mutex:
            group, self._waiting = self._waiting[:most], self._waiting[most:]
        return group

    def _take_those_before(self, came_at: float) -> list[_Asked]:
        """Those who came by then, and in any case the first."""
        with self._mutex:
            late = sum(asked.came_at <= came_at for asked in self._waiting)
        return self._take(max(1, late))
