"""How a connection to PostgreSQL begins: what is set for it, and which servers are refused."""

import select
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

import psycopg

from shared.database.url import SESSION, settings_in

# Bounds every wait on the database, so a frozen one frees the caller (seconds, milliseconds).
CONNECT_TIMEOUT_S = 3
ANSWER_TIMEOUT_S = 12  # above the server's own: only a server that hangs with its clock is waited for so long
SERVER_TIMEOUTS = {
    "statement_timeout": "10000",
    "lock_timeout": "5000",
    # Who hangs in the middle of a transaction loses its locks before others give up waiting for them.
    "idle_in_transaction_session_timeout": "3500",
}
# Whatever needs a table that a migration waits for waits behind it, so it soon gives up, and tries again later.
# The host of a migration may be busy, so it has more time between two statements.
OF_MIGRATIONS = {
    "statement_timeout": "0",
    "lock_timeout": "1000",
    "idle_in_transaction_session_timeout": "30000",
}

#: libpq's parameters, unless the URL has them.
DEFAULTS = {
    "connect_timeout": str(CONNECT_TIMEOUT_S),
    "tcp_user_timeout": "10000",  # milliseconds until an unanswered packet ends the connection
    "keepalives_idle": "10",  # seconds without a packet until one is sent, so a lost server is noticed
    "application_name": "chargehand",
    "client_encoding": "UTF8",
}
OLDEST_VERSION = 15
SHARED_CONNECTIONS = (
    "A pooler shares the server's connections between transactions, and settings and locks of a session get lost: "
    "set its pool_mode to session, or connect to PostgreSQL itself"
)

# Who serves this connection: a process of the server, and when it began, because its number comes again.
BACKEND = "pg_backend_pid(), (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())"


class UnfitDatabase(psycopg.OperationalError):
    """The server answers, but not as Chargehand needs it. The message is one line: the cause and the remedy."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that does not wait for ever: the server's time-outs do not run while it is frozen."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, timeout or ANSWER_TIMEOUT_S)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                self.pgconn.finish()  # an answer that comes now would be taken for another one
            raise


#: This process's connections, by who serves them.
_open: WeakValueDictionary[tuple[object, ...], psycopg.Connection[Any]] = WeakValueDictionary()


def connect(parameters: Mapping[str, str], *, migrates: bool, **of_psycopg: Any) -> psycopg.Connection[Any]:
    """A connection that commits every statement. Raises UnfitDatabase, or what psycopg raises.

    The settings come by a statement and not as libpq's `options`, which poolers refuse; the URL's own `options` go
    with the connection. A migration's statements have no time limit, on either side.
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
    """The time-outs that the URL's `options` set stay as they are there, but for those of a migration."""
    of_the_url = settings_in(parameters.get("options", ""))
    timeouts = {name: value for name, value in SERVER_TIMEOUTS.items() if name not in of_the_url}
    if not migrates:
        return timeouts | SESSION
    return timeouts | SESSION | OF_MIGRATIONS | ({"transaction_timeout": "0"} if version >= 170_000 else {})


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
    """A process of the server serves one connection at a time, unless a pooler hands it from one to the other."""
    other = _open.get(server)
    if other is not None and _lives(other):
        raise UnfitDatabase(SHARED_CONNECTIONS)
    _open[server] = connection


def _lives(connection: psycopg.Connection[Any]) -> bool:
    """Whether nobody has closed it. The other side's end makes it readable."""
    if connection.closed:
        return False
    poll = select.poll()  # select() takes no file above 1023, and an API process has thousands
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)
