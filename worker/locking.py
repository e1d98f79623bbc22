"""Who changes several chargers in one transaction locks them first, in one order: so nobody waits in a circle."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.models import Charger


def lock_chargers(session: Session, charger_ids: Collection[str]) -> None:
    """Lock those that there are, until the transaction ends."""
    session.execute(
        select(Charger.id).where(Charger.id.in_(charger_ids)).order_by(Charger.id).with_for_update()
    )
