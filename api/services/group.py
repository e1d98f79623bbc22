"""Wishes of several requests, recorded in one statement: what costs much is done once for all of them."""

import threading
from dataclasses import dataclass

from api.services.accepted import Accepted
from api.services.commands import Wish, ask, ask_together
from shared.database import Sessions

MOST = 100  # wishes in one statement


@dataclass(slots=True)
class _Asked:
    """A wish on its way."""

    wish: Wish
    done: bool = False
    accepted: Accepted | None = None
    error: Exception | None = None


class GroupCommit:
    """One per process. While one statement is under way, the next one gathers: no wish waits for company."""

    def __init__(self, statements: Sessions) -> None:
        """Takes sessions in which every statement is its own transaction."""
        self._statements = statements
        self._waiting: list[_Asked] = []
        self._turn = threading.Lock()

    @property
    def waiting(self) -> int:
        """Wishes whose statement is not under way yet."""
        return len(self._waiting)

    def ask(self, wish: Wish) -> Accepted:
        """Put the wish on record, by itself or with others. Raises as `commands.ask`."""
        mine = _Asked(wish)
        self._waiting.append(mine)
        with self._turn:
            while not mine.done:  # by somebody whose turn came earlier
                self._record_some()
        if mine.error is not None:
            raise mine.error
        if mine.accepted is not None:
            return mine.accepted
        with self._statements.begin() as session:
            return ask(session, wish)

    def _record_some(self) -> None:
        """Those that have waited the longest, at most a statement's worth."""
        group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        try:
            with self._statements.begin() as session:
                accepted = ask_together(session, [asked.wish for asked in group])
            for asked in group:
                asked.accepted = accepted.get(asked.wish.command_id)
        except Exception as error:
            for asked in group:
                asked.error = error
            raise
        finally:
            for asked in group:
                asked.done = True
