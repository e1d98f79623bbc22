"""Whether a charger's process is connected to the control link."""

from datetime import timedelta

from sqlalchemy import Boolean, ColumnElement, literal_column

#: A process of the link that has not written its `seen_at` for so long is dead, and so are its sessions.
LINK_TIMEOUT = timedelta(seconds=15)

#: The charger's process has a session with a living process of the link. For a statement that has a row of `chargers`.
CONNECTED_SQL = f"""EXISTS (
    SELECT FROM charger_reports
    JOIN control_sessions USING (process_id)
    JOIN control_links ON control_links.id = control_sessions.link_id
    WHERE charger_reports.charger_id = chargers.id
        AND control_sessions.disconnected_at IS NULL
        AND control_links.seen_at > now() - interval '{LINK_TIMEOUT.seconds} s'
)"""  # our own words

#: The same, for a query of `Charger`.
CONNECTED: ColumnElement[bool] = literal_column(CONNECTED_SQL, Boolean)

#: The Redis channel on which the API says that there are new actions or specifications. Its messages are empty.
HINTS = "chargehand:actions"
