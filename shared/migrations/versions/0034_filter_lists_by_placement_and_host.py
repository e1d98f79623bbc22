"""Filter lists by placement and host

`list_group` takes the placement too. A dedicated charger keeps its group's number, so no row is written: those that 0033 lets be
shared come with the release that has both migrations.
"""

from alembic import op

from shared.migrations.indexes import build_index

revision = "0034"
down_revision = "0033"

OF_ROW = """
    {row}.provisioning_status,
    observed_state({row}.desired_count, {row}.running_count, {row}.pending_count, {row}.observed_at),
    {row}.ocpp_state, {row}.ocpp_version, {row}.brand_slug, {row}.model_slug
"""
BEFORE = f"list_group({OF_ROW})"
GROUP = f"list_group({OF_ROW}, {{row}}.placement)"

LIST_GROUP = r"""
CREATE OR REPLACE FUNCTION list_group(
    provisioning_status text, observed_state text, ocpp_state text, ocpp_version text, brand_slug text, model_slug text,
    placement text
) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN hashtextextended(
    provisioning_status || E'\n' || observed_state || E'\n' || coalesce(ocpp_state, '') || E'\n' || ocpp_version
    || E'\n' || brand_slug || E'\n' || model_slug
    || CASE placement WHEN 'dedicated' THEN '' ELSE E'\n' || placement END, 0
)
"""


def upgrade() -> None:
    op.execute(LIST_GROUP)
    _keep(GROUP)
    with op.get_context().autocommit_block():
        build_index(
            op.get_bind(),
            "chargers_of_host",
            "chargers (organization_id, host_id, id) WHERE host_id IS NOT NULL",
        )


def downgrade() -> None:
    op.execute("DROP INDEX chargers_of_host")
    _keep(BEFORE)
    op.execute("DROP FUNCTION list_group(text, text, text, text, text, text, text)")
    op.execute("UPDATE chargers SET placement = placement WHERE placement <> 'dedicated'")


def _keep(group: str) -> None:
    """Let the trigger keep this in `list_group`."""
    of_new = group.format(row="NEW")
    op.execute(f"""
        CREATE OR REPLACE FUNCTION set_list_group() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.list_group := {of_new};
            RETURN NEW;
        END $$
    """)
    op.execute(f"""
        CREATE OR REPLACE TRIGGER chargers_list_group BEFORE INSERT OR UPDATE ON chargers
        FOR EACH ROW WHEN (NEW.list_group IS DISTINCT FROM {of_new}) EXECUTE FUNCTION set_list_group()
    """)
