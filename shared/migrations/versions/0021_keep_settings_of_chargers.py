"""Keep the settings of a charger beyond the contract, and whether that reaches it over the control link

The API writes `charger_settings`, workers write `chargers.spec_by_link`. The release before this one knows neither: it
redeploys a charger for each change, which is slower and right too.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column(
        "chargers", sa.Column("spec_by_link", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_table(
        "charger_settings",
        sa.Column(
            "charger_id", sa.Text(), sa.ForeignKey("chargers.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("settings", JSONB(), nullable=False, server_default="{}"),
        sa.Column("sealed", JSONB(), nullable=False, server_default="{}"),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("charger_settings_updated", "charger_settings", ["updated_at"])


def downgrade() -> None:
    op.drop_table("charger_settings")
    op.drop_column("chargers", "spec_by_link")
