"""Who changes several chargers in one transaction locks them first, in one order: so nobody waits in a circle.

Or takes only those that nobody has locked, and waits for none. A charger is locked before its rows in other tables.
Nobody changes a charger's key, so all these locks leave foreign keys alone (FOR NO KEY UPDATE): the log reader, whose rows
refer to chargers for as long as a page is written, keeps no command waiting. Only the last step of a removal waits for it.
"""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.models import Charger


def lock_chargers(session: Session, charger_ids: Collection[str]) -> None:
    """Lock those that there are, until the transaction ends."""
    session.execute(
        select(Charger.id)
        .where(Charger.id.in_(charger_ids))
        .order_by(Charger.id)
        .with_for_update(key_share=True)
    )
