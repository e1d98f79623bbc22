"""Whether this process can do its work right now, answered in bounded time whatever hangs."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from kombu import Connection
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from shared.broker import BROKER_ERRORS, make_celery

WAIT_S = 2.0  # for an answer of the database or the broker
KEEP_S = 1.0  # so that many probes cost no more than one

DATABASE_SILENT = f"The database did not answer within {WAIT_S:g} s"
BROKER_SILENT = f"did not answer within {WAIT_S:g} s"

#: The setting, also of a standby; without our tables an error.
READ_ONLY = "SELECT current_setting('transaction_read_only'), EXISTS (SELECT FROM chargers)"


@dataclass(frozen=True, slots=True)
class State:
    """`database` and `broker` are None when all is well, else the reason."""

    database: str | None
    broker: str | None


class Readiness:
    """Asks the database and the broker, each in a thread of its own, never twice at once."""

    def __init__(self, engine: Engine, broker_url: str) -> None:
        self._database = _Check(lambda: _ask_database(engine), DATABASE_SILENT)
        self._broker = _Check(lambda: _ask_broker(broker_url), BROKER_SILENT)

    def state(self) -> State:
        """What is known after at most WAIT_S."""
        until = monotonic() + WAIT_S
        self._database.begin()
        self._broker.begin()
        return State(self._database.result(until), self._broker.result(until))


class _Check:
    """One question. A probe joins the one that is under way, or takes an answer from a moment ago."""

    def __init__(self, ask: Callable[[], str | None], silent: str) -> None:
        self._ask = ask
        self._silent = silent
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._running = False
        self._answer: str | None = None
        self._answered_at = -KEEP_S

    def begin(self) -> None:
        with self._lock:
            if self._running or monotonic() - self._answered_at < KEEP_S:
                return
            self._running = True
            self._done.clear()
        threading.Thread(target=self._run, name="readiness", daemon=True).start()

    def result(self, until: float) -> str | None:
        answered = self._done.wait(max(0.0, until - monotonic()))
        return self._answer if answered else self._silent

    def _run(self) -> None:
        try:
            self._answer = self._ask()
        except Exception as error:  # what nobody foresaw is no sign of health
            self._answer = str(error) or type(error).__name__
        finally:
            self._answered_at = monotonic()
            self._running = False
            self._done.set()


def _ask_database(engine: Engine) -> str | None:
    try:
        with engine.connect() as connection:
            read_only = connection.scalar(text(READ_ONLY))
    except ProgrammingError:
        return "The database has not been migrated"
    except SQLAlchemyError:
        return "The database is not available"
    return "The database is read-only" if read_only == "on" else None


def _ask_broker(broker_url: str) -> str | None:
    options = make_celery(broker_url, publisher=True).conf.broker_transport_options
    connection = Connection(broker_url, connect_timeout=WAIT_S, transport_options=options)
    transport = connection.transport
    away: tuple[type[BaseException], ...] = (*connection.connection_errors, *BROKER_ERRORS)
    try:
        transport.close_connection(transport.establish_connection())  # once; connect() would try again
    except away as error:
        return str(error) or type(error).__name__
    finally:
        connection.release()
    return None
