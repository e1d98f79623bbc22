"""Delete what nothing uses any more: of updates, of rollouts, and of workers that died or came second.

Whoever records another revision of a charger's family marks the charger; a revision is deleted when ECS has accepted the
recorded one and nothing waits to be brought to ECS. It stays marked until all of them are gone, whatever call fails on the way.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

import structlog
from sqlalchemy import exists, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.models import Charger, RemovedCharger
from worker.ecs.budget import BudgetSpent
from worker.ecs.client import DELETE_TASK_DEFINITIONS_LIMIT, EcsClient

log = structlog.get_logger(__name__)

#: Chargers at once: mostly a definition each, so one call deletes them all.
MOST = DELETE_TASK_DEFINITIONS_LIMIT
CERTAIN_AFTER = timedelta(minutes=15)  # no call for a charger is on its way for so long


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
    done = (
        select(Charger.id)
        .where(row.in_([(charger_id, *each) for charger_id, each in used]))
        .with_for_update(key_share=True, skip_locked=True)
    )
    with sessions.begin() as session:
        return (
            session.connection()
            .execute(update(Charger).where(Charger.id.in_(done.scalar_subquery())).values(leftovers_at=None))
            .rowcount
        )


def remove_orphans(sessions: Sessions, ecs: EcsClient) -> int:
    """Check chargers that were forgotten some time ago. Returns for how many of them nothing is left.

    A call that was on its way when the last of a charger was deleted may have made a service or a task definition
    anew, and its worker may have died before it saw that the charger is forgotten. Uses what commands leave of the
    ECS rate budget. Raises EcsUnavailable, EcsRejected.
    """
    came_back = exists().where(Charger.id == RemovedCharger.charger_id)
    due = (
        RemovedCharger.checked_at.is_(None),
        RemovedCharger.removed_at < func.now() - CERTAIN_AFTER,
        ~came_back,
    )
    with sessions.begin() as session:
        removed = session.scalars(
            select(RemovedCharger.charger_id).where(*due).order_by(func.random()).limit(MOST)
        ).all()
    if not removed:
        return 0
    try:
        services = ecs.describe_services(removed)
        for charger_id, service in services.items():
            if service is not None and service.active:
                log.warning("charger.orphan", charger_id=charger_id)
                ecs.delete_service(charger_id)
        gone = [charger_id for charger_id in removed if services[charger_id] is None]
        found: dict[str, bool] = {}
        for charger_id in gone:
            found |= ecs.task_definitions(charger_id)
        ecs.delete_task_definitions(found)
    except BudgetSpent:
        return 0
    with sessions.begin() as session:
        checked = update(RemovedCharger).values(checked_at=func.now())
        session.execute(checked.where(RemovedCharger.charger_id.in_(gone), *due))
    return len(gone)


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
