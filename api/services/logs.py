"""The frames that a charger exchanged with its CSMS."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.services.page import Page
from api.services.scope import get_charger
from shared.models import ChargerLog


def list_logs(
    session: Session,
    *,
    organization_id: str,
    charger_id: str,
    start_date: datetime | None,
    end_date: datetime | None,
    event: str | None,
    limit: int,
    offset: int,
) -> Page:
    """Frames between the two instants (inclusive), of one OCPP action if given, newest first.

    Raises ChargerNotFound.
    """
    get_charger(session, organization_id=organization_id, charger_id=charger_id)
    matches = [ChargerLog.charger_id == charger_id]
    if start_date is not None:
        matches.append(ChargerLog.timestamp >= start_date)
    if end_date is not None:
        matches.append(ChargerLog.timestamp <= end_date)
    if event is not None:
        matches.append(ChargerLog.action == event)
    total = session.scalar(select(func.count()).select_from(ChargerLog).where(*matches)) or 0
    rows = session.scalars(
        select(ChargerLog)
        .where(*matches)
        .order_by(ChargerLog.timestamp.desc(), ChargerLog.event_id.desc())
        .limit(limit)
        .offset(offset)
    ).all()
    return Page(rows, total)
