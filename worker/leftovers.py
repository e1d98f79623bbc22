"""Delete what nothing uses any more: of updates, of rollouts, and of workers that died or came second.

Whoever records another revision of a charger's family marks the charger; a revision is deleted when ECS has accepted the
recorded one and nothing waits to be brought to ECS. It stays marked until all of them are gone, whatever call fails on the way.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from shared.database import Sessions
from shared.models import Charger
from worker.budget import BudgetSpent
from worker.ecs import DELETE_TASK_DEFINITIONS_LIMIT, EcsClient

#: Chargers at once: mostly a definition each, so one call deletes them all.
MOST = DELETE_TASK_DEFINITIONS_LIMIT


def remove_leftovers(sessions: Sessions, ecs: EcsClient) -> int:
    """Go on with some chargers. Returns how many have none left now.

    Uses what commands leave of the ECS rate budget. Raises EcsUnavailable, EcsRejected.
    """
    with sessions.begin() as session:
        chargers = _used(session)
    if not chargers:
        return 0
    try:
        found = {charger_id: ecs.task_definitions(charger_id) for charger_id in chargers}
        with sessions.begin() as session:
            # What is recorded, and did not change while the revisions were listed, is all that is used.
            still = _used(session, chargers)
        used = still.items() & chargers.items()
        ecs.delete_task_definitions(
            {
                arn: active
                for charger_id, (used_arn, _) in used
                for arn, active in found[charger_id].items()
                if arn != used_arn
            }
        )
    except BudgetSpent:
        return 0
    row = tuple_(Charger.id, Charger.task_definition_arn, Charger.leftovers_at)
    done = select(Charger.id).where(row.in_([(charger_id, *each) for charger_id, each in used]))
    with sessions.begin() as session:
        return (
            session.connection()
            .execute(
                update(Charger)
                .where(Charger.id.in_(done.with_for_update(skip_locked=True).scalar_subquery()))
                .values(leftovers_at=None)
            )
            .rowcount
        )


def _used(session: Session, charger_ids: Collection[str] | None = None) -> dict[str, tuple[str, datetime]]:
    """Of some marked chargers whose service has it: the recorded task definition, and the mark.

    In no order, because one may fail always.
    """
    chosen = (
        select(Charger.id, Charger.task_definition_arn, Charger.leftovers_at)
        .where(
            Charger.leftovers_at.is_not(None),
            Charger.deleted_at.is_(None),
            Charger.task_definition_arn.is_not(None),
            Charger.task_definition_generation == Charger.spec_generation,
            Charger.observed_generation >= Charger.generation,
            Charger.drifted_at.is_(None),
            or_(Charger.rollout_hash.is_(None), Charger.rollout_hash == Charger.spec_hash),
        )
        .order_by(func.random())
        .limit(MOST)
    )
    if charger_ids is not None:
        chosen = chosen.where(Charger.id.in_(charger_ids))
    return {charger_id: (arn or "", at) for charger_id, arn, at in session.execute(chosen) if at is not None}
