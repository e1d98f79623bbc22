"""Reads actions, for the lists and the answers of the API."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, any_, func, select
from sqlalchemy.orm import Session, joinedload

from shared.fleet.errors import ActionNotFound
from shared.fleet.labels import Label
from shared.fleet.listing.search import all_with_labels
from shared.fleet.page import Page
from shared.models import Action, Charger

MAX_LISTED = 10_000  # the newest matches that a list shows and counts


@dataclass(frozen=True, slots=True)
class ActionFilters:
    """None means any."""

    charger_id: str | None = None
    location_id: str | None = None
    status: tuple[str, ...] | None = None
    labels: tuple[Label, ...] | None = None  #: of the charger, all of them


def list_actions(
    session: Session, *, organization_id: str, filters: ActionFilters, page: int, limit: int
) -> Page[Action]:
    """The newest MAX_LISTED matches, newest first. Actions of deleted chargers are not shown."""
    matches = _own(organization_id)
    if filters.charger_id is not None:
        matches = matches.where(Action.charger_id == filters.charger_id)
    if filters.location_id is not None:
        matches = matches.where(Action.charger_id == any_(_of_location(organization_id, filters.location_id)))
    if filters.labels is not None:
        ids_with_labels = all_with_labels(organization_id, filters.labels)
        matches = matches.where(Action.charger_id == any_(func.array(ids_with_labels.scalar_subquery())))
    if filters.status is not None:
        matches = matches.where(Action.status.in_(filters.status))
    ids = matches.with_only_columns(Action.id).order_by(None).limit(MAX_LISTED)
    total = session.scalar(select(func.count()).select_from(ids.subquery())) or 0
    offset = (page - 1) * limit
    if offset >= total:
        return Page([], total)
    rows = session.scalars(
        matches.order_by(Action.id.desc()).offset(offset).limit(min(limit, MAX_LISTED - offset))
    ).all()
    return Page(rows, total)


def get_action(session: Session, *, organization_id: str, action_id: int) -> Action:
    """One action. Raises ActionNotFound."""
    action = session.scalars(_own(organization_id).where(Action.id == action_id)).one_or_none()
    if action is None:
        raise ActionNotFound(action_id)
    return action


def read_actions(session: Session, *, organization_id: str, action_ids: Collection[int]) -> Sequence[Action]:
    """Those of the actions that exist, in no order."""
    return session.scalars(_own(organization_id).where(Action.id.in_(action_ids))).all()


def _of_location(organization_id: str, location_id: str) -> ColumnElement[list[str]]:
    """An array of charger ids, which leaves PostgreSQL no plan that reads all actions."""
    ids = select(Charger.id).where(
        Charger.organization_id == organization_id,
        Charger.location_id == location_id,
        Charger.deleted_at.is_(None),
    )
    return func.array(ids.scalar_subquery())


def _own(organization_id: str) -> Select[Action]:
    return (
        select(Action)
        .join(Action.charger)
        .where(Action.organization_id == organization_id, Charger.deleted_at.is_(None))
        .options(joinedload(Action.charger).load_only(Charger.identity))
        .execution_options(populate_existing=True)
    )
