"""Migrate a database, and explain an error of a migration in one line. Only this imports Alembic, which takes a tenth of a start."""

from pathlib import Path
from time import sleep

import psycopg
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError

from shared.database.catalog import load_catalog
from shared.database.connection import UnfitDatabase
from shared.database.diagnosis import STATEMENT_POOLING, connection_trouble, first_line
from shared.database.engine import check_fit, make_engine, transactional

LOCK_PAUSE_S = 3.0
LOCK_TRIES = 75  # 5 minutes: a backup may hold a table that long; after that the migration fails
LOCKED = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
MIGRATION_LOCK = 6_041_971  # any number, as long as all versions use the same

#: For a statement of a migration, by the first characters of its SQLSTATE (PostgreSQL's appendix A).
MIGRATION_ERRORS = (
    (
        "42501",
        "The role may not do what the migration needs: let the owner of the tables migrate, or GRANT CREATE ON "
        "SCHEMA ... to the role of DATABASE_URL",
    ),
    (
        "3F000",
        "The search_path names no schema that exists: make it, or correct search_path in DATABASE_URL, the role or "
        "the database",
    ),
    (
        ("42P07", "42710", "42723", "42701"),
        "Something that no migration made has a name that one needs: use a database or a schema of Chargehand's own",
    ),
    (
        ("42P01", "42703", "42704", "42883"),
        "Something that an earlier migration made is gone: restore the database from a backup",
    ),
    ("23", "A row does not fit what the migration adds: correct or delete it, then repeat this"),
    (
        "53",
        "The database has no room for the migration: give it disk, memory or connections, then repeat this",
    ),
    ("25006", "The database takes no writes, because it is a standby or set to read only: name the primary"),
    ("57014", "Somebody cancelled the migration: repeat this"),
    (("08", "57P", "58"), "The database went away during the migration: repeat this when it is back"),
)


def migrate(url: str) -> None:
    """Bring the schema to the newest version and the catalog to its file. Safe to repeat and to race.

    The service may run meanwhile. Raises OperationalError when others hold a table through all tries: finished
    migrations stay, and a repeat continues with the next one.
    """
    engine = make_engine(url, pool_size=2, migrates=True)
    try:
        check_fit(engine)
        with transactional(engine).connect() as connection:
            _wait_for_turn(connection)
            for tries_left in reversed(range(LOCK_TRIES)):
                if _upgraded(connection, is_last_try=not tries_left):
                    break
                sleep(LOCK_PAUSE_S)
    finally:
        engine.dispose()


def _wait_for_turn(connection: Connection) -> None:
    """Return when no other process migrates this database. Closing the connection gives up the lock.

    A statement that waits for the lock would hold a snapshot, and a concurrent index build waits for snapshots.
    """
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": MIGRATION_LOCK}):
        connection.rollback()
        sleep(0.2)
    connection.commit()


def _upgraded(connection: Connection, *, is_last_try: bool) -> bool:
    """Whether all migrations were applied. False when one did not get a lock, unless it is the last try."""
    config = alembic_config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
        load_catalog(connection)
        connection.commit()
    except OperationalError as error:
        connection.rollback()
        if is_last_try or not isinstance(error.orig, LOCKED):
            raise
        return False
    return True


def alembic_config() -> Config:
    """Alembic's configuration, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations"))
    return config


def migration_trouble(error: BaseException) -> str:
    """Why the migration failed, in a sentence for its operator."""
    if isinstance(error, CommandError):
        return (
            f"The database has a schema that this version does not know ({first_line(error)}): "
            "use the version that made it, or a database of Chargehand's own"
        )
    refused = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(refused, UnfitDatabase) or STATEMENT_POOLING in str(refused):
        return connection_trouble(error)
    if isinstance(refused, LOCKED):
        return (
            "Another transaction, perhaps a backup, holds a table that the migration needs: "
            "repeat this when it has ended"
        )
    state = refused.sqlstate if isinstance(refused, psycopg.Error) else None
    if state is None:
        return f"{connection_trouble(error)} ({first_line(refused)})"
    words = next((words for begin, words in MIGRATION_ERRORS if state.startswith(begin)), None)
    return f"{words or 'The database refused the migration'} ({first_line(refused)})"
