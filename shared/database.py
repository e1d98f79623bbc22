"""Engine, sessions and migrations. PostgreSQL only."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, sessionmaker

from shared.catalog import load_catalog

Sessions = sessionmaker[Session]

# Bounds every wait on the database, so a frozen one frees the caller (seconds, milliseconds).
CONNECT_TIMEOUT_S = 3
SERVER_TIMEOUTS = (
    "-c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000"
)


def make_engine(url: str, *, pool_size: int = 20) -> Engine:
    """An engine with bounded waits. Opens no connection yet."""
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_S,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "options": SERVER_TIMEOUTS,
            "tcp_user_timeout": 10_000,  # milliseconds until an unanswered packet ends the connection
            "application_name": "chargehand",
        },
    )


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
