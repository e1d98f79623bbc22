"""How a migration builds an index while the service runs."""

import sqlalchemy as sa

IS_VALID = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def build_index(connection: sa.Connection, name: str, definition: str) -> None:
    """Build the index unless it is there. One whose build was interrupted is not valid, and is built anew.

    A build waits until transactions that are older have ended. It keeps nobody waiting meanwhile, so it may take its time.
    """
    is_valid = connection.scalar(IS_VALID, {"name": name})
    if is_valid:
        return
    lock_timeout = connection.scalar(sa.text("SHOW lock_timeout"))
    connection.execute(sa.text("SET lock_timeout = 0"))
    try:
        if is_valid is not None:
            connection.execute(sa.text(f"DROP INDEX CONCURRENTLY {name}"))
        connection.execute(sa.text(f"CREATE INDEX CONCURRENTLY {name} ON {definition}"))
    finally:  # what comes after it must not keep others waiting
        connection.execute(
            sa.text("SELECT set_config('lock_timeout', :before, false)"), {"before": lock_timeout}
        )
