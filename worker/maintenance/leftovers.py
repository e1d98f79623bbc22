"""Delete task definitions and services that no charger uses: after updates, moves and rollouts, and of workers that died.

A worker that records another revision of a charger's task definition marks the charger (`leftovers_at`). The other revisions
are deleted once ECS has accepted the recorded one and no change is open. The mark stays until all of them are deleted,
whichever call fails in between.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

import structlog
from sqlalchemy import exists, func, or_, select, tuple_, union_all, update
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.fleet.locking import lock_chargers
from shared.models import Charger, RemovedCharger
from shared.vocabulary import Placement
from worker.ecs.budget import BudgetSpent
from worker.ecs.client import DELETE_TASK_DEFINITIONS_LIMIT, EcsClient

log = structlog.get_logger(__name__)

#: Chargers in one run. Most have one definition to delete, so one call deletes them all.
MAX_CHARGERS = DELETE_TASK_DEFINITIONS_LIMIT
CHECK_AFTER = timedelta(minutes=15)  # after the removal of a charger: no call of a worker takes that long


def remove_leftovers(sessions: Sessions, ecs: EcsClient) -> int:
    """Delete unused task definitions of up to MAX_CHARGERS marked chargers. Returns how many chargers are done.

    Safe to repeat, also concurrently. Ends early, returning 0, when commands need the rate budget. Raises EcsUnavailable,
    EcsRejected.
    """
    with sessions.begin() as session:
        chargers = _used(session)
    if not chargers:
        return 0
    try:
        found = {charger_id: ecs.task_definitions(charger_id) for charger_id in chargers}
        with sessions.begin() as session:
            still = _used(session, chargers)
        # If the recorded revision did not change meanwhile, all others are unused.
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
    """Delete what ECS has of chargers that were removed, or moved to a host, CHECK_AFTER ago.

    Returns for how many nothing is left. A worker whose call was on its way meanwhile may have created a service or a task
    definition, and died before it saw that the charger has none any more. Safe to repeat, also concurrently. Ends early,
    returning 0, when commands need the rate budget. Raises EcsUnavailable, EcsRejected.
    """
    with sessions.begin() as session:
        former = _former(session)
    if not former:
        return 0
    try:
        services = ecs.describe_services(former)
        with sessions.begin() as session:
            former = _former(session, former)  # one that has moved back has a service by right
        for charger_id in former:
            service = services[charger_id]
            if service is not None and service.active:
                log.warning("charger.orphan", charger_id=charger_id)
                ecs.delete_service(charger_id)
        gone = [charger_id for charger_id in former if services[charger_id] is None]
        found: dict[str, bool] = {}
        for charger_id in gone:
            found |= ecs.task_definitions(charger_id)
        ecs.delete_task_definitions(found)
    except BudgetSpent:
        return 0
    with sessions.begin() as session:
        lock_chargers(session, gone)
        session.execute(
            update(RemovedCharger)
            .where(RemovedCharger.charger_id.in_(gone), *_REMOVED)
            .values(checked_at=func.now())
        )
        session.execute(update(Charger).where(Charger.id.in_(gone), *_MOVED).values(leftovers_at=None))
    return len(gone)


_REMOVED = (
    RemovedCharger.checked_at.is_(None),
    RemovedCharger.removed_at < func.now() - CHECK_AFTER,
    ~exists().where(Charger.id == RemovedCharger.charger_id),
)
_MOVED = (
    Charger.placement == Placement.SHARED,
    Charger.task_definition_arn.is_(None),
    Charger.leftovers_at < func.now() - CHECK_AFTER,
)


def _former(session: Session, charger_ids: Collection[str] | None = None) -> list[str]:
    """Up to MAX_CHARGERS chargers of which ECS should have nothing, chosen at random."""
    removed = select(RemovedCharger.charger_id.label("id")).where(*_REMOVED)
    moved = select(Charger.id).where(*_MOVED)
    each = union_all(removed, moved).subquery()
    chosen = select(each.c.id).order_by(func.random()).limit(MAX_CHARGERS)
    if charger_ids is not None:
        chosen = chosen.where(each.c.id.in_(charger_ids))
    return [*session.scalars(chosen)]


def _used(session: Session, charger_ids: Collection[str] | None = None) -> dict[str, tuple[str, datetime]]:
    """The recorded task definition, which the service has, and the mark, of some marked chargers by their id.

    Chosen at random, so that chargers whose calls always fail do not hold up the others.
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
        .limit(MAX_CHARGERS)
    )
    if charger_ids is not None:
        chosen = chosen.where(Charger.id.in_(charger_ids))
    return {charger_id: (arn or "", at) for charger_id, arn, at in session.execute(chosen) if at is not None}
