"""Lock rows in id order before updating several of them in one transaction, to prevent deadlocks.

The other way is to skip rows that are locked (SKIP LOCKED). A charger is locked before its rows in other tables, except for
its actions and its report: whoever changes one of these locks the charger after it, in a trigger. Nothing changes a charger's
key, so every lock is FOR NO KEY UPDATE, which foreign keys do not wait for: the log reader refers to chargers while it writes
a page, and delays no command. Only the last step of a removal waits for it.
"""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.models import Charger


def lock_chargers(session: Session, charger_ids: Collection[str]) -> None:
    """Lock the chargers that exist until the transaction ends."""
    session.execute(
        select(Charger.id)
        .where(Charger.id.in_(charger_ids))
        .order_by(Charger.id)
        .with_for_update(key_share=True)
    )
