"""Check whether the database's schema fits this version of Chargehand."""

from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

REMEDY = "run chargehand migrate"
NOT_MIGRATED = f"The database has not been migrated: {REMEDY}"


def schema_trouble(connection: Connection) -> str | None:
    """Why this version cannot use the schema, in one line with the remedy; None when it can.

    A newer schema is fine: a rolling deployment migrates first.
    """
    found = text("SELECT version_num FROM alembic_version")
    try:
        revisions = set(connection.scalars(found))
    except ProgrammingError:
        return NOT_MIGRATED
    if not revisions:
        return NOT_MIGRATED
    head, known = _revisions()
    if revisions & known and head not in revisions:
        return f"The database's schema is at {min(revisions)}, and this version needs {head}: {REMEDY}"
    return None


def schema_trouble_of(engine: Engine) -> str | None:
    """As schema_trouble, over a connection of the engine."""
    with engine.connect() as connection:
        return schema_trouble(connection)


@cache
def _revisions() -> tuple[str, AbstractSet[str]]:
    """This version's newest revision, and all that it knows: the numbers with which the migrations' file names begin."""
    files = (Path(__file__).parents[1] / "migrations" / "versions").glob("[0-9]*.py")
    known = frozenset(file.name.partition("_")[0] for file in files)
    return max(known), known
