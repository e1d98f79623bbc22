"""Group commit: requests that arrive while a statement is in flight are recorded together by the next one."""

import os
import threading
from collections import deque
from concurrent.futures import Future
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


@dataclass(slots=True)
class _Pending:
    """A request whose statement has not come back."""

    request: LifecycleRequest
    arrived_at: float = field(default_factory=monotonic)
    #: None when the batch could not record it: it is then recorded alone.
    receipt: "Future[CommandReceipt | None]" = field(default_factory=Future)


class Batcher:
    """Records starts, stops and restarts. One per process.

    A thread sends one statement after the other, each for all requests that are waiting. It starts with the first
    request, so a fork before that is safe, and no request waits for others to join it.
    """

    def __init__(self, engine: Engine, sessions: Sessions) -> None:
        """Takes an engine that commits every statement, for the batches, and sessions for requests recorded alone."""
        self._engine = engine
        self._sessions = sessions
        self._pending: deque[_Pending] = deque()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._pid: int | None = None

    @property
    def waiting(self) -> int:
        """Requests whose statement has not been sent."""
        return len(self._pending)

    def record(self, request: LifecycleRequest) -> CommandReceipt:
        """Record the request, alone or with others. Raises as `record_command`, or what the database raises."""
        pending = _Pending(request)
        self._pending.append(pending)
        if self._pid != os.getpid():
            self._start()
        self._wake.set()
        receipt = pending.receipt.result()
        if receipt is not None:
            return receipt
        with self._sessions.begin() as session:
            return record_command(session, request)

    def _start(self) -> None:
        with self._lock:
            if self._pid != os.getpid():
                threading.Thread(target=self._run, name="batcher", daemon=True).start()
                self._pid = os.getpid()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._pending:
                self._record_batch()

    def _record_batch(self) -> None:
        """Record the requests that have waited longest, at most MAX_BATCH, and resolve their futures."""
        batch: list[_Pending] = []
        try:
            with self._engine.connect() as connection:
                batch = self._take(MAX_BATCH)
                receipts = record_commands(connection, [pending.request for pending in batch])
            for pending in batch:
                pending.receipt.set_result(receipts.get(pending.request.command_id))
        except PoolTimeout as error:
            # Requests that arrived meanwhile have not waited their time for a connection.
            self._fail(self._take_older_than(monotonic() - CONNECT_TIMEOUT_S), error)
        except Exception as error:
            if is_unavailable(error):
                # Also those that arrived meanwhile: otherwise each batch in turn would wait for a database that hangs.
                self._fail(batch + self._take(len(self._pending)), error)
            else:
                self._record_alone(batch or self._take(1), error)

    def _fail(self, batch: list[_Pending], error: Exception) -> None:
        for pending in batch:
            pending.receipt.set_exception(error)

    def _record_alone(self, batch: list[_Pending], error: Exception) -> None:
        """Let each request be recorded alone: one of them may have spoilt the statement for all."""
        for pending in batch:
            pending.receipt.set_result(None)
        log.warning(
            "batch.failed",
            requests=len(batch),
            error=str(error).partition("\n")[0],
            exc_info=contention(error) is None,
        )

    def _take(self, max_requests: int) -> list[_Pending]:
        return [self._pending.popleft() for _ in range(min(max_requests, len(self._pending)))]

    def _take_older_than(self, arrived_at: float) -> list[_Pending]:
        """The requests that arrived by then, and in any case the first."""
        older = sum(pending.arrived_at <= arrived_at for pending in self._pending.copy())
        return self._take(max(1, older))
