"""The organizations that have, or had, chargers."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.fleet.page import Page
from shared.models import ChargerCount


class Usage(NamedTuple):
    """What an organization has, and the database's time."""

    chargers: int
    now: datetime


def usage_of(session: Session, organization_id: str | None) -> Usage:
    """How many chargers the organization has; 0 without one. Costs one statement."""
    chargers = select(ChargerCount.chargers).where(ChargerCount.organization_id == organization_id)
    found, now = session.execute(select(chargers.scalar_subquery(), func.now())).one()
    return Usage(found or 0, now)


def list_organizations(session: Session, *, q: str | None, page: int, limit: int) -> Page[ChargerCount]:
    """The organizations by id, those with `q` in it if given, with their numbers of chargers."""
    matching = [] if q is None else [func.strpos(func.lower(ChargerCount.organization_id), q.lower()) > 0]
    total = session.scalar(select(func.count()).select_from(ChargerCount).where(*matching)) or 0
    rows: Sequence[ChargerCount] = session.scalars(
        select(ChargerCount)
        .where(*matching)
        .order_by(ChargerCount.organization_id)
        .limit(limit)
        .offset((page - 1) * limit)
    ).all()
    return Page(rows, total)
