"""Alembic's entry: runs on the connection that shared.database.migrate.migrate hands over.

Each migration is a transaction of its own, so that one can commit in its middle, and a repeat begins with the first
that did not end.
"""

from alembic import context

from shared.models import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
