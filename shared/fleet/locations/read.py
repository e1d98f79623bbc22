"""Lists locations."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.fleet.labels import Label, match_labels
from shared.fleet.page import Page
from shared.models import Location


def list_locations(
    session: Session, *, organization_id: str, labels: Sequence[Label] | None, page: int, limit: int
) -> Page[Location]:
    """The organization's locations that have all the labels, newest first."""
    own = (
        Location.organization_id == organization_id,
        Location.deleted_at.is_(None),
        *match_labels(Location.labels, labels),
    )
    total = session.scalar(select(func.count()).select_from(Location).where(*own)) or 0
    rows = session.scalars(
        select(Location)
        .where(*own)
        .order_by(Location.created_at.desc(), Location.id)
        .limit(limit)
        .offset((page - 1) * limit)
    ).all()
    return Page(rows, total)
