"""Reads and locks a charger through its organization. Nothing that serves clients reads one in another way."""

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, joinedload

from shared.fleet.errors import ChargerNotFound
from shared.models import Charger


def own_charger(organization_id: str, charger_id: str) -> Select[Charger]:
    """Select the organization's charger unless it is deleted, and refresh it if the session has read it before."""
    return (
        select(Charger)
        .where(
            Charger.id == charger_id,
            Charger.organization_id == organization_id,
            Charger.deleted_at.is_(None),
        )
        .execution_options(populate_existing=True)
    )


def get_charger(session: Session, *, organization_id: str, charger_id: str) -> Charger:
    """The charger's row, with its link, its newest command, its settings and its report. Raises ChargerNotFound."""
    query = own_charger(organization_id, charger_id).options(
        joinedload(Charger.link),
        joinedload(Charger.command),
        joinedload(Charger.settings),
        joinedload(Charger.report),
        joinedload(Charger.control),
    )
    return _one(session, query, charger_id)


def check_charger(session: Session, *, organization_id: str, charger_id: str) -> None:
    """Raises ChargerNotFound."""
    if session.scalar(select(own_charger(organization_id, charger_id).exists())) is not True:
        raise ChargerNotFound(charger_id)


def lock_charger(session: Session, *, organization_id: str, charger_id: str) -> Charger:
    """The charger's row, locked until the transaction ends. Raises ChargerNotFound."""
    return _one(session, own_charger(organization_id, charger_id).with_for_update(key_share=True), charger_id)


def _one(session: Session, query: Select[Charger], charger_id: str) -> Charger:
    charger = session.scalars(query).one_or_none()
    if charger is None:
        raise ChargerNotFound(charger_id)
    return charger
