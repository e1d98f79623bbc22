"""Engine, sessions and migrations. PostgreSQL only."""

from pathlib import Path
from time import monotonic
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import Session, sessionmaker

from shared.catalog import load_catalog

Sessions = sessionmaker[Session]

# Bounds every wait on the database, so a frozen one frees the caller (seconds, milliseconds).
CONNECT_TIMEOUT_S = 3
SERVER_TIMEOUTS = (
    "-c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000"
)

IDLE_S = 1.0  # a connection that rested for longer is asked for a sign of life before its next use


def make_engine(url: str, *, pool_size: int = 20) -> Engine:
    """An engine with bounded waits. Opens no connection yet."""
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_S,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "options": SERVER_TIMEOUTS,
            "tcp_user_timeout": 10_000,  # milliseconds until an unanswered packet ends the connection
            "application_name": "chargehand",
        },
    )
    _ping_after_a_rest(engine)
    return engine


def _ping_after_a_rest(engine: Engine) -> None:
    """SQLAlchemy's own pre-ping would cost every request a round trip."""

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


def make_sessions(engine: Engine) -> Sessions:
    """Sessions whose rows stay readable after the commit."""
    return sessionmaker(engine, expire_on_commit=False)


def migrate(url: str) -> None:
    """Bring the schema to the newest version and the catalog to its file. Safe to repeat and to race."""
    engine = make_engine(url, pool_size=2)
    try:
        with engine.begin() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            load_catalog(connection)
    finally:
        engine.dispose()


def alembic_config() -> Config:
    """Alembic's configuration, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
