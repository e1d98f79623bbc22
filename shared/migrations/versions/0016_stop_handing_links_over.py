"""Stop handing links over from the release before 0012, and name an index after its rows

The triggers of 0012 that copied links out of `ocpp_task_id` and `ocpp_last_frame_at` were for a release that no longer
runs. Nothing writes these two columns from now on. They stay until a later migration: processes of the release before
this one still read every column of `chargers`.
"""

from importlib import import_module

from alembic import op

links = import_module("shared.migrations.versions.0012_give_links_rows_of_their_own")

revision = "0016"
down_revision = "0015"

# `observed_since` of a charger that begins or ceases to run is set by a trigger after this one.
SINCE = "CASE WHEN OLD.running_count = 0 OR NEW.running_count <> 0 THEN NEW.observed_since ELSE now() END"
KEEP_SHOWN_LINK = f"""
CREATE OR REPLACE FUNCTION keep_shown_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT link.state, link.reason, link.since INTO NEW.ocpp_state, NEW.ocpp_reason, NEW.ocpp_since
    FROM shown_link({links.ARGUMENTS.format(row="NEW", since=SINCE)}) AS link;
    RETURN NEW;
END $$
"""  # noqa: S608  # our own words
# It names its columns, so that recording a command, which sets none of these, costs no comparison.
LINK_SHOWN = """
CREATE OR REPLACE TRIGGER chargers_link_shown BEFORE UPDATE OF
    link_noted_at, running_count, running_task_arn, running_task_seen_at, running_task_ended_at
ON chargers FOR EACH ROW WHEN (
    (
        OLD.link_noted_at, OLD.running_count = 0,
        OLD.running_task_arn, OLD.running_task_seen_at, OLD.running_task_ended_at
    ) IS DISTINCT FROM (
        NEW.link_noted_at, NEW.running_count = 0,
        NEW.running_task_arn, NEW.running_task_seen_at, NEW.running_task_ended_at
    )
) EXECUTE FUNCTION keep_shown_link()
"""


def upgrade() -> None:
    op.execute("ALTER INDEX chargers_leaving RENAME TO chargers_deleted")
    op.execute("DROP TRIGGER chargers_hand_over_frame ON chargers")
    op.execute("DROP TRIGGER chargers_hand_over_link ON chargers")
    op.execute("DROP FUNCTION hand_frame_over, hand_link_over")
    op.execute(KEEP_SHOWN_LINK)
    op.execute(LINK_SHOWN)


def downgrade() -> None:
    for function in (links.KEEP_SHOWN_LINK, links.HAND_LINK_OVER, links.HAND_FRAME_OVER):
        op.execute(function)
    for trigger in links.TRIGGERS:
        op.execute(trigger)
    op.execute("ALTER INDEX chargers_deleted RENAME TO chargers_leaving")
