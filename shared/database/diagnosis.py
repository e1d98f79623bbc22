"""Explain an error of the database in one line: the cause and, where there is one, the remedy."""

import re

import psycopg
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from shared.database.connection import SHARED_CONNECTIONS, UnfitDatabase
from shared.database.engine import LOCKED

#: Messages of servers, poolers and libpq when a connection fails, which has no SQLSTATE. In English only: for another
#: language connection_trouble returns NOT_AVAILABLE.
REFUSALS = (
    (
        r"unsupported startup parameter",
        "A pooler between us and the database refuses the options of DATABASE_URL: leave them out, "
        "or add options to its ignore_startup_parameters",
    ),
    (
        r"configuration parameter|invalid value for parameter|permission denied to set parameter"
        r"|invalid command-line argument",
        "The database refuses the options of DATABASE_URL: correct them",
    ),
    (
        r"database .* does not exist",
        "The database that DATABASE_URL names does not exist: make it with CREATE DATABASE",
    ),
    (
        r"authentication failed|no password supplied|role .* does not exist|pg_hba\.conf|not permitted to log in"
        r"|no such user",
        "The database refuses our user or password: check those of DATABASE_URL",
    ),
    (
        r"certificate verify failed|root certificate file|server certificate for",
        "The database's certificate cannot be trusted: sslrootcert in DATABASE_URL names the file of who signed it",
    ),
    (
        r"does not support SSL|SSL required|SSL off",
        "The database and sslmode in DATABASE_URL do not agree on TLS: correct sslmode",
    ),
    (
        r"too many (connections|clients)|connection slots",
        "The database has no free connection: raise max_connections",
    ),
    (r"(is|are) (starting up|shutting down)|in recovery mode", "The database is starting or stopping"),
    (
        r"failed to resolve host|translate host name",
        "The host of DATABASE_URL has no address: correct its name",
    ),
    (
        r"session is read-only|server is in hot standby|is not (a )?primary",
        "No host of DATABASE_URL takes writes: name the primary",
    ),
)
STATEMENT_POOLING = "in statement pooling mode"
NOT_AVAILABLE = "The database is not available"

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


def connection_trouble(error: BaseException) -> str:
    """Why the connection failed, in a sentence without an address, user or password."""
    refused = error.orig if isinstance(error, DBAPIError) else error
    text = str(refused)
    if isinstance(refused, UnfitDatabase):
        return text
    if STATEMENT_POOLING in text:  # of PgBouncer
        return SHARED_CONNECTIONS
    return next((words for pattern, words in REFUSALS if re.search(pattern, text)), NOT_AVAILABLE)


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


def first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0]
