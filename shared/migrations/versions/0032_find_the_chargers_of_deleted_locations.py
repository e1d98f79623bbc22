"""Find the chargers of a location also when they are deleted

Before the row of a deleted location is pruned, the foreign key asks whether a charger still refers to it. The index of locations
left out deleted chargers, so that would read all chargers. They are few: their rows go when their services are removed.
"""

from alembic import op

from shared.migrations.indexes import build_index

revision = "0032"
down_revision = "0031"

ALL = "chargers (organization_id, location_id, id) WHERE location_id IS NOT NULL"
LIVE = "chargers (organization_id, location_id, id) WHERE deleted_at IS NULL AND location_id IS NOT NULL"


def upgrade() -> None:
    _replace("chargers_location", "chargers_of_location", ALL)


def downgrade() -> None:
    _replace("chargers_of_location", "chargers_location", LIVE)


def _replace(old: str, new: str, definition: str) -> None:
    with op.get_context().autocommit_block():
        build_index(op.get_bind(), new, definition)
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {old}")
