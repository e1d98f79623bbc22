"""Group commit: requests that arrive while a statement is in flight are recorded together by the next one."""

import threading
from dataclasses import dataclass, field
from time import monotonic

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.database.connection import CONNECT_TIMEOUT_S
from shared.database.engine import Sessions, contention, is_unavailable
from shared.fleet.commands import LifecycleRequest, record_command, record_commands
from shared.fleet.receipts import CommandReceipt

log = structlog.get_logger(__name__)

MAX_BATCH = 100  # requests in one statement


def _locked() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True)
class _Pending:
    """A request that has not been answered."""

    request: LifecycleRequest
    arrived_at: float = field(default_factory=monotonic)
    woken: threading.Lock = field(default_factory=_locked)  #: held until it is done or has the turn
    done: bool = False  #: without a receipt and an error: to be recorded alone
    receipt: CommandReceipt | None = None
    error: Exception | None = None


class Batcher:
    """Records starts, stops and restarts. One per process.

    The request that has the turn sends one statement for all that are waiting. When the statement has come back, it
    wakes them, and hands the turn to the request that has waited longest since. So a request that finds no statement
    in flight is recorded at once, by its own thread, and no request waits for others to join it.
    """

    def __init__(self, engine: Engine, sessions: Sessions) -> None:
        """Takes an engine that commits every statement, for the batches, and sessions for requests recorded alone."""
        self._engine = engine
        self._sessions = sessions
        self._mutex = threading.Lock()  # of the two below
        self._pending: list[_Pending] = []
        self._turn_is_taken = False

    @property
    def waiting(self) -> int:
        """Requests whose statement has not been sent."""
        return len(self._pending)

    def record(self, request: LifecycleRequest) -> CommandReceipt:
        """Record the request, alone or with others. Raises as `record_command`, or what the database raises."""
        mine = _Pending(request)
        with self._mutex:
            self._pending.append(mine)
            has_turn, self._turn_is_taken = not self._turn_is_taken, True
        if not has_turn:
            mine.woken.acquire()
        if not mine.done:
            self._take_turn()
        if mine.error is not None:
            raise mine.error
        if mine.receipt is not None:
            return mine.receipt
        with self._sessions.begin() as session:
            return record_command(session, request)

    def _take_turn(self) -> None:
        """Record the requests that have waited longest, this one first; then hand the turn over, whatever happened."""
        batch: list[_Pending] = []
        try:
            self._record_batch(batch)
        finally:
            settled = batch or self._take(1)
            for pending in settled:
                pending.done = True
            with self._mutex:
                successor = self._pending[:1]
                self._turn_is_taken = bool(successor)
            for pending in (*successor, *settled[1:]):
                pending.woken.release()

    def _record_batch(self, batch: list[_Pending]) -> None:
        """Send one statement for at most MAX_BATCH requests. Adds those that it settles to `batch`."""
        try:
            with self._engine.connect() as connection:
                batch += self._take(MAX_BATCH)
                receipts = record_commands(connection, [pending.request for pending in batch])
            for pending in batch:
                pending.receipt = receipts.get(pending.request.command_id)
        except PoolTimeout as error:
            # Requests that arrived meanwhile have not waited their time for a connection.
            batch += self._take_older_than(monotonic() - CONNECT_TIMEOUT_S)
            _fail(batch, error)
        except Exception as error:
            if is_unavailable(error):
                # Also those that arrived meanwhile: otherwise each batch in turn would wait for a database that hangs.
                batch += self._take(len(self._pending))
                _fail(batch, error)
            else:
                _log_failure(batch, error)

    def _take(self, max_requests: int) -> list[_Pending]:
        with self._mutex:
            taken, self._pending = self._pending[:max_requests], self._pending[max_requests:]
        return taken

    def _take_older_than(self, arrived_at: float) -> list[_Pending]:
        """The requests that arrived by then, and in any case the first."""
        with self._mutex:
            older = sum(pending.arrived_at <= arrived_at for pending in self._pending)
        return self._take(max(1, older))


def _fail(batch: list[_Pending], error: Exception) -> None:
    for pending in batch:
        pending.error = error


def _log_failure(batch: list[_Pending], error: Exception) -> None:
    """Each request is now recorded alone: one of them may have spoilt the statement for all."""
    log.warning(
        "batch.failed",
        requests=len(batch),
        error=str(error).partition("\n")[0],
        exc_info=contention(error) is None,
    )
