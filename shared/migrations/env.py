"""Alembic's entry: runs on the connection that shared.database.migrate hands over."""

from alembic import context
from sqlalchemy import text

from shared.models import Base

# Two replicas that start at once take turns. Any constant will do.
MIGRATION_LOCK = 6_041_971

connection = context.config.attributes["connection"]
connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
connection.execute(text("SET LOCAL lock_timeout = 0"))
context.configure(connection=connection, target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
