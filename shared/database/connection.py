"""Open a connection to PostgreSQL: set its time-outs, and refuse servers that do not fit."""

import select
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

import psycopg

from shared.database.url import SESSION, settings_in

# Bounds of every wait on the database, so that a frozen one does not hold its caller (seconds, milliseconds).
CONNECT_TIMEOUT_S = 3
ANSWER_TIMEOUT_S = 12  # longer than the server's own: only a frozen server takes so long
SERVER_TIMEOUTS = {
    "statement_timeout": "10000",
    "lock_timeout": "5000",
    # Shorter than lock_timeout: a process that hangs in a transaction loses its locks before others time out.
    "idle_in_transaction_session_timeout": "3500",
}
#: A server with LLVM compiles what it expects to be long, each time. Ours is not: it expects too much of a report's statement.
TUNING = {"jit": "off"}
# Statements on a table queue behind a migration that waits for it, so a migration gives up soon and tries again later.
# Its host may be busy, so it has more time between two statements.
MIGRATION_SETTINGS = {
    "statement_timeout": "0",
    "lock_timeout": "1000",
    "idle_in_transaction_session_timeout": "30000",
}

#: Parameters of libpq that the URL may override.
DEFAULTS = {
    "connect_timeout": str(CONNECT_TIMEOUT_S),
    "tcp_user_timeout": "10000",  # milliseconds until an unacknowledged packet ends the connection
    "keepalives_idle": "10",  # seconds without a packet until a probe is sent, which notices a lost server
    "application_name": "chargehand",
    "client_encoding": "UTF8",
}
OLDEST_VERSION = 15
SHARED_CONNECTIONS = (
    "A pooler shares the server's connections between transactions, and settings and locks of a session get lost: "
    "set its pool_mode to session, or connect to PostgreSQL itself"
)

# The server process of this connection, and when it started, because process ids are reused.
BACKEND = "pg_backend_pid(), (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())"


class UnfitDatabase(psycopg.OperationalError):
    """The server works, but does not fit Chargehand. The message is one line: the cause and the remedy."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection with a bound on every wait: the server's own time-outs do not run while it is frozen."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, timeout or ANSWER_TIMEOUT_S)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                self.pgconn.finish()  # a late answer would be taken for the next statement's
            raise


#: This process's connections, by the server process that serves them.
_open: WeakValueDictionary[tuple[object, ...], psycopg.Connection[Any]] = WeakValueDictionary()


def connect(parameters: Mapping[str, str], *, migrates: bool, **of_psycopg: Any) -> psycopg.Connection[Any]:
    """Open a connection that commits every statement. Raises UnfitDatabase, or an error of psycopg.

    Settings are sent as a statement and not as libpq's `options`, which poolers refuse; the URL's own `options` are
    passed on. A migration's statements have no time limit, on either side.
    """
    kind = psycopg.Connection if migrates else BoundedConnection
    given: dict[str, Any] = {**DEFAULTS, **parameters, **of_psycopg}
    connection = kind.connect(**given, autocommit=True)
    try:
        _check_server(connection)
        settings = _settings(parameters, migrates=migrates, version=connection.info.server_version)
        values = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in settings.items())
        row = connection.execute(f"SELECT {BACKEND}, {values}".encode()).fetchone()
        if row is not None:
            _check_pooler(connection, row[:2])
    except BaseException:
        connection.close()
        raise
    return connection


def _settings(parameters: Mapping[str, str], *, migrates: bool, version: int) -> dict[str, str]:
    """The settings of the session. Those in the URL's `options` take precedence; not the time-outs, for a migration."""
    of_the_url = settings_in(parameters.get("options", ""))
    ours = {name: value for name, value in (SERVER_TIMEOUTS | TUNING).items() if name not in of_the_url}
    if not migrates:
        return ours | SESSION
    return ours | SESSION | MIGRATION_SETTINGS | ({"transaction_timeout": "0"} if version >= 170_000 else {})


def _check_server(connection: psycopg.Connection[Any]) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise UnfitDatabase(
            f"The database's encoding is {encoding}, which does not hold every name: make one with "
            "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        )
    version = connection.info.server_version // 10_000
    if version < OLDEST_VERSION:
        raise UnfitDatabase(f"The server is PostgreSQL {version}: use {OLDEST_VERSION} or newer")


def _check_pooler(connection: psycopg.Connection[Any], server: tuple[object, ...]) -> None:
    """Refuse a pooler that shares server connections: two of our connections then have the same server process."""
    other = _open.get(server)
    if other is not None and _lives(other):
        raise UnfitDatabase(SHARED_CONNECTIONS)
    _open[server] = connection


def _lives(connection: psycopg.Connection[Any]) -> bool:
    """Whether neither side has closed it. When the other side has, the socket is readable."""
    if connection.closed:
        return False
    poll = select.poll()  # select() takes no file above 1023, and an API process has thousands
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)
