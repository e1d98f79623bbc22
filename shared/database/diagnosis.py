"""Explain an error of the database in one line: the cause and, where there is one, the remedy."""

import re

from sqlalchemy.exc import DBAPIError

from shared.database.connection import SHARED_CONNECTIONS, UnfitDatabase

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


def connection_trouble(error: BaseException) -> str:
    """Why the connection failed, in a sentence without an address, user or password."""
    refused = error.orig if isinstance(error, DBAPIError) else error
    text = str(refused)
    if isinstance(refused, UnfitDatabase):
        return text
    if STATEMENT_POOLING in text:  # of PgBouncer
        return SHARED_CONNECTIONS
    return next((words for pattern, words in REFUSALS if re.search(pattern, text)), NOT_AVAILABLE)


def first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0]
