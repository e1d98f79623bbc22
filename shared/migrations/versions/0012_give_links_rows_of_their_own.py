"""Give the links to the CSMS rows of their own, written by the log reader alone

What a client is shown of a link comes from two writers: what the tasks' logs say (`charger_links`), and which task the
observer saw running (`chargers`). `shown_link` puts the two together, and nothing else does. Lists and events need it
written down: triggers keep it in `chargers.ocpp_state`, `ocpp_reason` and `ocpp_since`.

The release before this one reads and writes these columns, and `ocpp_task_id` and `ocpp_last_frame_at`. While it still
runs, triggers hand its log lines over to `charger_links`, and show it the same links. The next migration can drop those
two columns, and the triggers that say so.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

BATCH = 2000  # chargers whose links one statement copies: it takes tenths of a second

SHOWN_LINK = """
CREATE OR REPLACE FUNCTION shown_link(
    of_charger text, charger_generation integer, running_count smallint, running_task_arn text,
    running_since timestamptz, running_task_seen_at timestamptz, running_task_ended_at timestamptz,
    observed_since timestamptz
) RETURNS TABLE (
    state text, reason text, since timestamptz, last_frame_at timestamptz, task_id text, task_generation integer
) LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT
        CASE
            WHEN running_count = 0 THEN 'disconnected'
            WHEN newest.is_older THEN 'connecting'
            WHEN newest.is_up THEN 'connected'
            ELSE newest.state
        END,
        CASE
            WHEN running_count = 0 AND NOT newest.said_goodbye THEN 'The charger''s process does not run'
            WHEN running_count = 0 THEN newest.reason
            WHEN newest.is_older THEN 'The charger''s process has started; no log line about its link has been read yet'
            WHEN newest.is_up THEN 'Messages are exchanged; the log line of their connection was not read yet'
            ELSE newest.reason
        END,
        CASE
            WHEN running_count = 0 AND NOT newest.said_goodbye THEN observed_since
            WHEN running_count = 0 THEN newest.since
            WHEN newest.is_older THEN greatest(running_since, observed_since)
            WHEN newest.is_up THEN NULL
            ELSE newest.since
        END,
        newest.newest_frame_at, newest.task_id, newest.task_generation
    FROM (
        SELECT
            marked.*,
            NOT runs AND NOT may_run AND marked.task_generation IS DISTINCT FROM charger_generation AS is_older,
            is_up_by_frames AND coalesce(marked.state, 'disconnected') IN ('disconnected', 'connecting') AS is_up,
            marked.state IS NOT DISTINCT FROM 'disconnected' AND NOT is_up_by_frames AS said_goodbye
        FROM (
            SELECT
                links.*,
                coalesce(links.task_id = split_part(running_task_arn, '/', -1), false)
                AND NOT coalesce(running_task_ended_at > running_since, false) AS runs,
                links.task_id IS DISTINCT FROM split_part(running_task_arn, '/', -1)
                AND coalesce(links.first_read_at > running_task_seen_at, true) AS may_run,
                coalesce(links.last_frame_at > coalesce(links.since, '-infinity'), false) AS is_up_by_frames,
                max(links.last_frame_at) OVER () AS newest_frame_at
            FROM charger_links AS links WHERE links.charger_id = of_charger
        ) AS marked
        ORDER BY runs DESC, may_run DESC, greatest(marked.since, marked.last_frame_at) DESC NULLS LAST
        LIMIT 1
    ) AS newest
$$
"""
ARGUMENTS = """
    {row}.id, {row}.generation, {row}.running_count, {row}.running_task_arn, {row}.running_since,
    {row}.running_task_seen_at, {row}.running_task_ended_at, {since}
"""
SHOWN_LINKS = f"""
CREATE OR REPLACE VIEW shown_links AS SELECT
    chargers.id AS charger_id, link.state, link.reason, link.since, link.last_frame_at, link.task_id, link.task_generation,
    extract(epoch FROM now() - (SELECT max(read_through) FROM log_cursors))::double precision AS log_lag_s
FROM chargers LEFT JOIN LATERAL shown_link(
    {ARGUMENTS.format(row="chargers", since="chargers.observed_since")}
) AS link ON true
"""  # noqa: S608  # our own words

# `observed_since` of a charger that begins or ceases to run is set by a trigger after this one.
KEEP_SHOWN_LINK = f"""
CREATE OR REPLACE FUNCTION keep_shown_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT link.state, link.reason, link.since, link.last_frame_at, nullif(link.task_id, '')
    INTO NEW.ocpp_state, NEW.ocpp_reason, NEW.ocpp_since, NEW.ocpp_last_frame_at, NEW.ocpp_task_id
    FROM shown_link({
    ARGUMENTS.format(
        row="NEW",
        since="CASE WHEN OLD.running_count = 0 OR NEW.running_count <> 0 THEN NEW.observed_since ELSE now() END",
    )
}) AS link;
    RETURN NEW;
END $$
"""  # noqa: S608
# Of the release before this one: lines of logs, which it writes into the charger's row.
HAND_LINK_OVER = """
CREATE OR REPLACE FUNCTION hand_link_over() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO charger_links AS links (charger_id, task_id, state, reason, since)
    VALUES (NEW.id, coalesce(NEW.ocpp_task_id, ''), NEW.ocpp_state, NEW.ocpp_reason, NEW.ocpp_since)
    ON CONFLICT (charger_id, task_id) DO UPDATE
    SET state = excluded.state, reason = excluded.reason, since = excluded.since
    WHERE excluded.since >= coalesce(links.since, '-infinity');
    NEW.link_noted_at := clock_timestamp();
    RETURN NEW;
END $$
"""
HAND_FRAME_OVER = """
CREATE OR REPLACE FUNCTION hand_frame_over() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO charger_links AS links (charger_id, task_id, last_frame_at)
    VALUES (NEW.id, coalesce(NEW.ocpp_task_id, ''), NEW.ocpp_last_frame_at)
    ON CONFLICT (charger_id, task_id) DO UPDATE
    SET last_frame_at = greatest(links.last_frame_at, excluded.last_frame_at);
    NEW.link_noted_at := clock_timestamp();
    RETURN NEW;
END $$
"""
# Triggers fire in the order of their names: before `chargers_list_group`, which puts the state into the group.
# They name their columns, so that accepting a command costs no comparison: it sets none of these.
TRIGGERS = (
    """
    CREATE OR REPLACE TRIGGER chargers_hand_over_frame BEFORE UPDATE OF ocpp_last_frame_at ON chargers
    FOR EACH ROW EXECUTE FUNCTION hand_frame_over()
    """,
    """
    CREATE OR REPLACE TRIGGER chargers_hand_over_link BEFORE UPDATE OF ocpp_task_id ON chargers
    FOR EACH ROW EXECUTE FUNCTION hand_link_over()
    """,
    """
    CREATE OR REPLACE TRIGGER chargers_link_shown BEFORE UPDATE OF
        link_noted_at, running_count, running_task_arn, running_task_seen_at, running_task_ended_at,
        ocpp_last_frame_at, ocpp_task_id
    ON chargers FOR EACH ROW WHEN (
        (
            OLD.link_noted_at, OLD.running_count = 0,
            OLD.running_task_arn, OLD.running_task_seen_at, OLD.running_task_ended_at
        ) IS DISTINCT FROM (
            NEW.link_noted_at, NEW.running_count = 0,
            NEW.running_task_arn, NEW.running_task_seen_at, NEW.running_task_ended_at
        )
    ) EXECUTE FUNCTION keep_shown_link()
    """,
)
# A line from before 0008 names no task. It counts for the task that runs until another generation is requested.
COPY = sa.text(f"""
WITH batch AS (
    SELECT id, generation, ocpp_task_id, ocpp_state, ocpp_reason, ocpp_since, ocpp_last_frame_at FROM chargers
    WHERE id > :after AND (ocpp_state IS NOT NULL OR ocpp_last_frame_at IS NOT NULL)
    ORDER BY id LIMIT {BATCH}
), copied AS (
    INSERT INTO charger_links (charger_id, task_id, task_generation, state, reason, since, last_frame_at)
    SELECT
        id, coalesce(ocpp_task_id, ''), CASE WHEN ocpp_task_id IS NULL THEN generation END,
        ocpp_state, ocpp_reason, ocpp_since, ocpp_last_frame_at
    FROM batch WHERE EXISTS (SELECT FROM chargers WHERE chargers.id = batch.id FOR KEY SHARE)
    ON CONFLICT DO NOTHING
)
SELECT max(id) FROM batch
""")  # noqa: S608


TABLES = (
    """
    ALTER TABLE chargers
    ADD COLUMN IF NOT EXISTS running_task_seen_at timestamptz,
    ADD COLUMN IF NOT EXISTS running_task_ended_at timestamptz,
    ADD COLUMN IF NOT EXISTS link_noted_at timestamptz
    """,
    "ALTER TABLE log_cursors ADD COLUMN IF NOT EXISTS read_through timestamptz",
    """
    CREATE TABLE IF NOT EXISTS charger_links (
        charger_id text NOT NULL REFERENCES chargers ON DELETE CASCADE,
        task_id text NOT NULL,
        task_generation integer,
        state text,
        reason text,
        since timestamptz,
        last_frame_at timestamptz,
        first_read_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        noted boolean NOT NULL DEFAULT false,
        PRIMARY KEY (charger_id, task_id)
    )
    """,
    "CREATE INDEX IF NOT EXISTS charger_links_to_note ON charger_links (charger_id) WHERE NOT noted",
)


def upgrade() -> None:
    """Safe to repeat: what comes before the copying is committed when that begins."""
    op.execute("LOCK TABLE chargers IN ACCESS EXCLUSIVE MODE")
    functions = (SHOWN_LINK, SHOWN_LINKS, KEEP_SHOWN_LINK, HAND_LINK_OVER, HAND_FRAME_OVER)
    for statement in (*TABLES, *functions, *TRIGGERS):
        op.execute(statement)
    with op.get_context().autocommit_block():
        copy(op.get_bind())


def copy(connection: sa.Connection) -> None:
    """Copy the links that there are. What is newer, from a line that was read meanwhile, stays."""
    after: str | None = ""
    while after is not None:
        after = connection.scalar(COPY, {"after": after})


def downgrade() -> None:
    op.execute("DROP VIEW shown_links")
    op.execute("DROP FUNCTION keep_shown_link, hand_link_over, hand_frame_over CASCADE")
    op.execute("DROP FUNCTION shown_link")
    op.drop_table("charger_links")
    op.drop_column("log_cursors", "read_through")
    op.drop_column("chargers", "link_noted_at")
    op.drop_column("chargers", "running_task_ended_at")
    op.drop_column("chargers", "running_task_seen_at")
