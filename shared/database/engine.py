"""Make engines and sessions, and classify database errors. PostgreSQL only."""

from collections.abc import Mapping
from time import monotonic
from typing import Any

import orjson
import psycopg
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DBAPIError, DisconnectionError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from shared.database.connection import CONNECT_TIMEOUT_S, connect
from shared.database.url import connection_parameters

#: SQLSTATE classes and codes (PostgreSQL's appendix A) of a server that cannot serve any statement at the moment.
UNAVAILABLE_STATES = (
    "08",  # no connection
    "53",  # out of memory, disk or connections
    "57P",  # shut down, crashed, starting up, dropped; or it ended an idle session
    "58",  # an error of its disks
    "25006",  # a standby, or set to read only
    "25P03",  # it ended a session that was idle in a transaction
    "25P04",  # it ended a transaction that took too long
)
#: SQLSTATE of a statement that lost against other statements or took too long. The server works.
CONTENTION = {
    "55P03": "Another request holds what this one needs, and has for too long",
    "57014": "The database took too long for this request",
    "40P01": "This request and another one waited for each other",
    "40001": "Another request changed the same rows at the same time",
}

IDLE_S = 1.0  # a connection that was idle for longer is pinged before its next use


def make_engine(url: str, *, pool_size: int = 20, migrates: bool = False) -> Engine:
    """An engine with bounded waits, whose connections commit every statement. Opens no connection yet.

    Most work is one statement, and a transaction around it would cost two more round trips. A migration's statements
    have no time limit, on either side: an index of a large table takes minutes.
    """
    parameters = connection_parameters(url)
    engine = create_engine(
        _shown(parameters),
        isolation_level="AUTOCOMMIT",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_S,
        pool_use_lifo=True,  # the last one used is warm in both caches
        json_deserializer=orjson.loads,  # a number beyond 64 bits stays a number that JSON can be written of
    )

    @event.listens_for(engine, "do_connect")
    def begin(_dialect: object, record: Any, _args: object, options: dict[str, Any]) -> Any:
        record.info["pool"] = engine.pool
        return connect(parameters, migrates=migrates, context=options.get("context"))

    _close_read_only_connections(engine)
    _ping_after_idling(engine)
    _close_what_comes_back_late(engine)
    return engine


def is_unavailable(error: BaseException) -> bool:
    """Whether the database cannot be reached or does not work, so that a retry may succeed later.

    True for a pool without a free connection. False for every error of a single statement, and for `contention`.
    """
    if isinstance(error, PoolTimeout | DisconnectionError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    refused = _driver_error(error)
    if refused is None:
        return False
    if refused.sqlstate is None:  # the driver's own error: no connection, or a time-out
        return isinstance(refused, psycopg.OperationalError | psycopg.InterfaceError)
    return refused.sqlstate.startswith(UNAVAILABLE_STATES)


def contention(error: BaseException) -> str | None:
    """Why a statement lost against others or timed out, in a sentence; None for any other error.

    The transaction changed nothing and may be retried.
    """
    refused = _driver_error(error)
    if refused is None or refused.sqlstate is None or is_unavailable(error):
        return None
    return CONTENTION.get(refused.sqlstate)


def _driver_error(error: BaseException) -> psycopg.Error | None:
    found = error.orig if isinstance(error, DBAPIError) else error
    return found if isinstance(found, psycopg.Error) else None


def _shown(parameters: Mapping[str, str]) -> URL:
    """The address as SQLAlchemy shows it. Without a host when the URL has several."""
    host, port = parameters.get("host", ""), parameters.get("port", "")
    return URL.create(
        "postgresql+psycopg",
        username=parameters.get("user"),
        password=parameters.get("password"),
        host=None if "," in host else host or None,
        port=int(port) if port.isdecimal() else None,
        database=parameters.get("dbname"),
    )


def check_fit(engine: Engine) -> None:
    """Raises UnfitDatabase within SQLAlchemy's OperationalError, or any other error of connecting.

    Two connections at once show whether a pooler shares one between them. The pool must allow two.
    """
    with engine.connect(), engine.connect():
        pass


def _close_read_only_connections(engine: Engine) -> None:
    """Close a connection that refuses writes: one opened while the server was read-only would refuse them for ever."""

    @event.listens_for(engine, "handle_error")
    def check(context: ExceptionContext) -> OperationalError | None:
        refused = context.original_exception
        if not isinstance(refused, psycopg.errors.ReadOnlySqlTransaction):
            return None
        context.is_disconnect = True
        return OperationalError(context.statement, None, refused, connection_invalidated=True)


def _ping_after_idling(engine: Engine) -> None:
    """Ping only connections that were idle: SQLAlchemy's own pre-ping costs every request a round trip."""

    @event.listens_for(engine, "checkin")
    def note(_: DBAPIConnection | None, record: Any) -> None:
        record.info["used_at"] = monotonic()

    @event.listens_for(engine, "checkout")
    def check(connection: DBAPIConnection, record: Any, _proxy: Any) -> None:
        if monotonic() - record.info.get("used_at", monotonic()) < IDLE_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError("the server ended the connection") from error


def _close_what_comes_back_late(engine: Engine) -> None:
    """Close a connection that was in use while the engine was disposed of; SQLAlchemy leaves it to the collector."""

    @event.listens_for(engine, "checkin")
    def check(connection: DBAPIConnection | None, record: Any) -> None:
        if connection is not None and record.info["pool"] is not engine.pool:
            record.invalidate()


class Sessions(sessionmaker[Session]):
    """Makes sessions that are a transaction each. Their rows stay readable after the commit."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(transactional(engine), expire_on_commit=False)
        #: The same pool, for single statements: each is committed at once, so two of them are not one transaction.
        self.autocommit = engine

    def use(self, engine: Engine) -> None:
        """Use the connections of another engine from now on. Connections in use are closed when they are returned."""
        replaced, self.autocommit = self.autocommit, engine
        self.configure(bind=transactional(engine))
        replaced.dispose()


def transactional(engine: Engine) -> Engine:
    """The same pool, with connections that begin a transaction, which the caller ends."""
    return engine.execution_options(isolation_level="READ COMMITTED")
