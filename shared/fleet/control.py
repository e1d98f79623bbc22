"""Whether a charger's process is connected to the control link."""

from datetime import timedelta

from sqlalchemy import ColumnElement, and_, exists, func

from shared.models import Charger, ChargerReport, ControlLink, ControlSession

#: A process of the link that has not written its `seen_at` for so long is dead, and so are its sessions.
LINK_TIMEOUT = timedelta(seconds=15)

#: The charger's process has a session with a living process of the link. Correlates with `Charger`.
CONNECTED: ColumnElement[bool] = (
    exists()
    .where(ChargerReport.charger_id == Charger.id)
    .where(
        and_(ControlSession.process_id == ChargerReport.process_id, ControlSession.disconnected_at.is_(None))
    )
    .where(and_(ControlLink.id == ControlSession.link_id, ControlLink.seen_at > func.now() - LINK_TIMEOUT))
)

#: The same, for statements in SQL that have a row of `chargers`.
CONNECTED_SQL = f"""EXISTS (
    SELECT FROM charger_reports
    JOIN control_sessions USING (process_id)
    JOIN control_links ON control_links.id = control_sessions.link_id
    WHERE charger_reports.charger_id = chargers.id
        AND control_sessions.disconnected_at IS NULL
        AND control_links.seen_at > now() - interval '{LINK_TIMEOUT.seconds} s'
)"""  # our own words

#: The Redis channel on which the API says that there are new actions or specifications. Its messages are empty.
HINTS = "chargehand:actions"
