"""Runs statements in threads, so that the loop never waits for the database."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from shared.database.engine import is_unavailable, make_engine

T = TypeVar("T")

#: Kinds of work, each of which runs one statement at a time: one that hangs delays no other kind.
CONNECTIONS = 12


class Database:
    """One per process. Every statement is committed by itself."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url, pool_size=CONNECTIONS)
        self._sessions = sessionmaker(self.engine)
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="database")
        self._is_closed = False

    async def run(self, work: Callable[[Session], T]) -> T:
        """What `work` returns, run in a thread with a session of its own. Raises SQLAlchemyError."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, work)

    def close(self) -> None:
        """Close the connections, without waiting for statements that hang."""
        self._is_closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.engine.dispose()

    def _run(self, work: Callable[[Session], T]) -> T:
        try:
            with self._sessions() as session:
                return work(session)
        finally:
            if self._is_closed:  # a statement that has only just begun has opened a connection again
                self.engine.dispose()


def is_refused(error: Exception) -> bool:
    """Whether the content is at fault, so that a repeat is in vain: the database works and refuses it, or it is no JSON."""
    if isinstance(error, TypeError | ValueError | RecursionError):
        return True
    if not isinstance(error, DBAPIError) or is_unavailable(error):
        return False
    state: str = getattr(error.orig, "sqlstate", None) or ""
    return state.startswith(("22", "23"))  # data exceptions, broken constraints
