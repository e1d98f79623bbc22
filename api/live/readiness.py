"""Checks whether this process can work now, within a bounded time even if the database or the broker hangs."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

import structlog
from celery import Celery
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from shared.broker.app import broker_trouble, check_broker, make_celery
from shared.database.diagnosis import connection_trouble
from shared.database.engine import check_fit, contention, is_unavailable
from shared.database.schema import schema_trouble
from shared.maintenance import last_runs, lateness
from shared.settings import Timing

log = structlog.get_logger(__name__)

WAIT_S = 2.0  # for the database or the broker to answer
KEEP_S = 1.0  # that an answer serves later probes too

DATABASE_SILENT = f"The database did not answer within {WAIT_S:g} s"
BROKER_SILENT = f"The broker did not answer within {WAIT_S:g} s"
MAINTENANCE_NOT_KNOWN = "Not known: the database has the times"

READ_ONLY = "SELECT current_setting('transaction_read_only')"  # also of a standby


@dataclass(frozen=True, slots=True)
class State:
    """None for what works, else the reason."""

    database: str | None
    broker: str | None
    maintenance: str | None


@dataclass(frozen=True, slots=True)
class Probed:
    """What is known of one part without waiting for it."""

    reason: str | None  #: None for what works
    since: datetime | None  #: when this process saw it begin; None while it works
    latency_ms: float | None  #: of the last answer; None without one


class Readiness:
    """Checks the database, the broker and the maintenance, each in its own thread and never twice at once."""

    def __init__(self, engine: Engine, broker_url: str, timing: Timing) -> None:
        celery = make_celery(broker_url, publisher=True)
        self._database = _Check("database", lambda: _check_database(engine), DATABASE_SILENT)
        self._broker = _Check("broker", lambda: _check_broker(celery), BROKER_SILENT)
        self._maintenance = _Check("maintenance", lambda: _check_maintenance(engine, timing), DATABASE_SILENT)

    def state(self) -> State:
        """The results that are known after at most WAIT_S seconds."""
        until = monotonic() + WAIT_S
        self._database.begin()
        self._broker.begin()
        database = self._database.result(until)
        if database is not None:
            return State(database, self._broker.result(until), MAINTENANCE_NOT_KNOWN)
        self._maintenance.begin()
        maintenance = self._maintenance.result(until)
        return State(None, self._broker.result(until), maintenance)

    def broker(self, keep_s: float | None = None) -> Probed:
        """The newest known state of the broker. Begins another check when it is older. Waits only for the first one."""
        self._broker.begin(keep_s)
        return self._broker.newest()


class _NotWell(Exception):
    """A check failed with this reason. Its cause is logged once for as long as the reason stays the same."""


class _Check:
    """One check. A probe waits for the one in progress, or gets a result that is at most KEEP_S old."""

    def __init__(self, name: str, check: Callable[[], str | None], silent: str) -> None:
        self._name = name
        self._check = check
        self._silent = silent
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._running = False
        self._answer: str | None = None
        self._answered_at = self._begun_at = float("-inf")
        self._lost_at: datetime | None = None
        self._latency_ms: float | None = None

    def begin(self, keep_s: float | None = None) -> None:
        """Start the check, unless it runs, or its answer is newer than `keep_s`, by default KEEP_S."""
        with self._lock:
            age_s = monotonic() - self._answered_at
            if self._running or age_s < (KEEP_S if keep_s is None else keep_s):
                return
            self._done.clear()
            try:
                threading.Thread(target=self._run, name="readiness", daemon=True).start()
            except RuntimeError as error:  # no more threads for now: the next probe tries again
                log.warning("readiness.not_started", error=str(error))
                return
            self._running = True
            self._begun_at = monotonic()

    def result(self, until: float) -> str | None:
        answered = self._done.wait(max(0.0, until - monotonic()))
        return self._answer if answered else self._silent

    def newest(self) -> Probed:
        """The newest result. A check that has taken longer than WAIT_S is one: there is no answer."""
        if self._latency_ms is None:
            self._done.wait(WAIT_S)
        with self._lock:
            silent_s = monotonic() - self._begun_at if self._running else 0.0
            if silent_s < WAIT_S:
                return Probed(self._answer, self._lost_at, self._latency_ms if self._answer is None else None)
            return Probed(
                self._silent, self._lost_at or datetime.now(UTC) - timedelta(seconds=silent_s), None
            )

    def _run(self) -> None:
        answer: str | None = f"The check of the {self._name} failed: the log has the details"
        cause: BaseException | None = None
        try:
            answer = self._check()
        except _NotWell as error:
            answer, cause = str(error), error.__cause__
        except Exception:  # an unexpected error is a failure too
            log.exception("readiness.failed", part=self._name)
        finally:
            with self._lock:
                changed = answer != self._answer
                self._answer = answer
                self._answered_at = monotonic()
                self._latency_ms = (self._answered_at - self._begun_at) * 1000
                self._lost_at = None if answer is None else self._lost_at or datetime.now(UTC)
                self._running = False
                self._done.set()
        if changed and answer is not None:
            log.warning("readiness.lost", part=self._name, reason=answer, error=str(cause or ""))
        elif changed:
            log.info("readiness.back", part=self._name)


def _check_database(engine: Engine) -> str | None:
    try:
        check_fit(engine)
        with engine.connect() as connection:
            read_only = connection.scalar(text(READ_ONLY))
            trouble = schema_trouble(connection)
    except SQLAlchemyError as error:
        reason = connection_trouble(error) if is_unavailable(error) else contention(error)
        if reason is None:
            raise
        raise _NotWell(reason) from error
    return "The database is read-only" if read_only == "on" else trouble


def _check_maintenance(engine: Engine, timing: Timing) -> str | None:
    try:
        with Session(engine) as session:
            return lateness(last_runs(session), timing)
    except SQLAlchemyError as error:
        raise _NotWell(MAINTENANCE_NOT_KNOWN) from error


def _check_broker(celery: Celery) -> str | None:
    try:
        check_broker(celery)
    except Exception as error:  # a client library raises many types
        raise _NotWell(broker_trouble(error)) from error
    return None
