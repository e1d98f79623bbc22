"""Show what chargers report of themselves while they are connected to the control link

What a client is shown of a charger's link to its CSMS (`shown_link`) is what the charger itself reports, as long as its
process is connected and has reported in this session, and else what its logs say (`logged_link`, the `shown_link` of before).
Triggers derive `chargers.ocpp_state`, `ocpp_reason` and `ocpp_since` again when a report changes, and when a session begins
or ends to count: they set `link_noted_at`, as the log reader does. They lock the chargers in the order of their ids.

Energy changes every second while a charger charges, so it is no event in `charger_events`: streams read the reports.

The release before this one reads `shown_links` as before.
"""

from importlib import import_module

from alembic import op

links = import_module("shared.migrations.versions.0012_give_links_rows_of_their_own")

revision = "0022"
down_revision = "0021"

OF_SHOWN_LINK = "(text, integer, smallint, text, timestamptz, timestamptz, timestamptz, timestamptz)"

# The process has a session with a living process of the link, as in shared/fleet/control.py.
LIVES = """
    control_sessions.disconnected_at IS NULL AND control_links.seen_at > now() - interval '15 s'
"""
# A charger's text as a timestamp, never an error: a day that its month does not have is one of the next month.
SINCE = r"""
    CASE WHEN csms ->> 'since' ~
        '^[1-9]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?Z$'
    THEN
        (left(csms ->> 'since', 8) || '01' || substr(csms ->> 'since', 11))::timestamptz
        + make_interval(days => substr(csms ->> 'since', 9, 2)::integer - 1)
    END
"""
REPORTED_LINK = f"""
CREATE FUNCTION reported_link(of_charger text)
RETURNS TABLE (state text, reason text, since timestamptz) LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT csms ->> 'state', coalesce(csms ->> 'detail', csms ->> 'reason'), {SINCE}
    FROM charger_reports
    JOIN control_sessions USING (process_id)
    JOIN control_links ON control_links.id = control_sessions.link_id
    WHERE charger_id = of_charger AND {LIVES} AND reported_at >= control_sessions.connected_at
        AND csms ->> 'state' IN ('connecting', 'connected', 'accepted', 'rejected', 'disconnected')
$$
"""  # noqa: S608  # our own words
SHOWN_LINK = """
CREATE FUNCTION shown_link(
    of_charger text, charger_generation integer, running_count smallint, running_task_arn text,
    running_since timestamptz, running_task_seen_at timestamptz, running_task_ended_at timestamptz,
    observed_since timestamptz
) RETURNS TABLE (
    state text, reason text, since timestamptz, last_frame_at timestamptz, task_id text, task_generation integer,
    reported boolean
) LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT
        coalesce(said.state, logged.state),
        CASE WHEN said.state IS NULL THEN logged.reason ELSE said.reason END,
        CASE WHEN said.state IS NULL THEN logged.since ELSE said.since END,
        logged.last_frame_at, logged.task_id, logged.task_generation, said.state IS NOT NULL
    FROM (SELECT) AS one
    LEFT JOIN logged_link(
        of_charger, charger_generation, running_count, running_task_arn,
        running_since, running_task_seen_at, running_task_ended_at, observed_since
    ) AS logged ON true
    LEFT JOIN reported_link(of_charger) AS said ON true
$$
"""
LATERAL = links.ARGUMENTS.format(row="chargers", since="chargers.observed_since")
SHOWN_LINKS = f"""
CREATE OR REPLACE VIEW shown_links AS SELECT
    chargers.id AS charger_id, link.state, link.reason, link.since, link.last_frame_at, link.task_id, link.task_generation,
    extract(epoch FROM now() - (SELECT max(read_through) FROM log_cursors))::double precision AS log_lag_s,
    link.reported
FROM chargers LEFT JOIN LATERAL shown_link({LATERAL}) AS link ON true
"""  # noqa: S608
LOGGED_LINKS = f"""
CREATE VIEW logged_links AS SELECT chargers.id AS charger_id, link.state, link.task_id, link.task_generation
FROM chargers LEFT JOIN LATERAL logged_link({LATERAL}) AS link ON true
"""  # noqa: S608
SHOWN_REPORTS = f"""
CREATE VIEW shown_reports AS SELECT
    charger_id, coalesce({LIVES}, false) AS connected,
    coalesce({LIVES} AND reported_at >= control_sessions.connected_at, false) AS current,
    control_sessions.connected_at, control_sessions.disconnected_at, control_sessions.version,
    connectors, remark, reported_at
FROM charger_reports
JOIN control_sessions USING (process_id)
LEFT JOIN control_links ON control_links.id = control_sessions.link_id
"""  # noqa: S608

NOTE = """
    IF noted IS NOT NULL THEN
        PERFORM FROM chargers WHERE id = ANY(noted) ORDER BY id FOR NO KEY UPDATE;
        UPDATE chargers SET link_noted_at = clock_timestamp() WHERE id = ANY(noted);
    END IF;
    RETURN NULL;
"""
NOTE_REPORTS = f"""
CREATE FUNCTION note_reports() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE noted text[];
BEGIN
    SELECT array_agg(changed.charger_id) INTO noted
    FROM changed
    JOIN former USING (charger_id)
    JOIN control_sessions ON control_sessions.process_id = changed.process_id
    WHERE changed.csms IS DISTINCT FROM former.csms
        OR (former.reported_at >= control_sessions.connected_at)
        IS DISTINCT FROM (changed.reported_at >= control_sessions.connected_at);
    {NOTE}
END $$
"""  # noqa: S608
NOTE_SESSIONS = f"""
CREATE FUNCTION note_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE noted text[];
BEGIN
    SELECT array_agg(charger_reports.charger_id) INTO noted
    FROM changed
    JOIN former USING (process_id)
    JOIN charger_reports ON charger_reports.process_id = changed.process_id
    WHERE (changed.disconnected_at IS NULL) <> (former.disconnected_at IS NULL)
        AND charger_reports.csms IS NOT NULL AND charger_reports.reported_at >= changed.connected_at;
    {NOTE}
END $$
"""  # noqa: S608
TRIGGER = """
CREATE TRIGGER {table}_note AFTER UPDATE ON {table} REFERENCING OLD TABLE AS former NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION {function}()
"""


def upgrade() -> None:
    op.execute(f"ALTER FUNCTION shown_link {OF_SHOWN_LINK} RENAME TO logged_link")
    for statement in (REPORTED_LINK, SHOWN_LINK, SHOWN_LINKS, LOGGED_LINKS, SHOWN_REPORTS):
        op.execute(statement)
    for statement in (NOTE_REPORTS, NOTE_SESSIONS):
        op.execute(statement)
    op.execute(TRIGGER.format(table="charger_reports", function="note_reports"))
    op.execute(TRIGGER.format(table="control_sessions", function="note_sessions"))


def downgrade() -> None:
    op.execute("DROP FUNCTION note_reports, note_sessions CASCADE")
    op.execute("DROP VIEW shown_reports, logged_links, shown_links")
    op.execute("DROP FUNCTION shown_link, reported_link")
    op.execute(f"ALTER FUNCTION logged_link {OF_SHOWN_LINK} RENAME TO shown_link")
    op.execute(links.SHOWN_LINKS)
