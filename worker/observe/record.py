"""Write what was observed into the charger's row, and act on the difference to what is desired."""

from datetime import datetime

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from shared.models import Charger
from shared.settings import Timing
from shared.vocabulary import ProvisioningStatus
from worker.observe.current_task import leaves_service
from worker.observe.observation import Observation
from worker.observe.rollout import ROLLOUT_REASON
from worker.observe.settle import fail_if_late, may_be_older, record_drift, runs_for_long_enough, settle
from worker.reconcile.provision import DRAINING, INACTIVE


def record_unchanged(session: Session, charger_ids: list[str], at: datetime) -> None:
    """Write the time of the observation, in one statement: for most chargers nothing else changes, most of the time."""
    if charger_ids:
        session.execute(
            update(Charger)
            .where(Charger.id.in_(charger_ids), Charger.observed_at < at)
            .values(observed_at=at)
        )


def record(session: Session, timing: Timing, observation: Observation) -> bool:
    """Write the observation, unless the row has a newer one. Returns whether the sweep must publish the charger.

    The charger's row must be locked, or be the only one that the transaction locks. Safe to repeat.
    """
    if observation.charger.deleted_at is not None:
        return _record_removal(session, observation)
    charger = session.scalars(
        select(Charger)
        .where(
            Charger.id == observation.charger.id,
            Charger.deleted_at.is_(None),
            or_(Charger.observed_at.is_(None), Charger.observed_at <= observation.at),
        )
        .with_for_update(key_share=True)
    ).one_or_none()
    if charger is None:
        return False
    if leaves_service(charger):
        return _record_departure(charger, observation)
    _record_columns(charger, observation)
    in_flight = charger.observed_generation < charger.generation
    changed = (charger.observed_generation, charger.task_definition_arn) != (
        observation.charger.observed_generation,
        observation.charger.task_definition_arn,
    )
    if in_flight or changed:
        return False  # ECS may have answered before the newest change was applied
    return _act_on(session, timing, charger, observation)


def _act_on(session: Session, timing: Timing, charger: Charger, observation: Observation) -> bool:
    """Act on an observation of what the newest command has made. Returns whether the sweep must publish the charger."""
    if observation.is_as_desired:
        runs = runs_for_long_enough(charger, observation, timing)
        if runs and not may_be_older(session, timing, charger, observation):
            settle(session, charger)
        return False
    if observation.differs and charger.drifted_at is None:
        return record_drift(session, timing, charger, observation)
    fail_if_late(session, timing, charger, observation)
    return False


def _record_removal(session: Session, observation: Observation) -> bool:
    """Write how far the removal of a service is. True when it has drained, or came back: a worker must continue."""
    status = observation.service.status if observation.service is not None else INACTIVE
    if status == DRAINING:
        return False
    session.execute(
        update(Charger)
        .where(Charger.id == observation.charger.id)
        .values(service_status=status, publish_at=func.now(), not_before=None, observe_at=None)
    )
    return True


def _record_departure(charger: Charger, observation: Observation) -> bool:
    """Write how far the service is that a charger leaves for a host. True when a worker must continue.

    That is so when the service has drained, or came back, and when the command has failed that moves the charger.
    """
    if charger.task_definition_arn is None:
        return False  # it has left meanwhile
    was_draining = charger.service_status == DRAINING
    _record_columns(charger, observation)
    drained = was_draining and charger.service_status != DRAINING
    is_published = charger.publish_at is not None
    if is_published and not drained:
        return False
    if charger.observed_generation >= charger.generation:
        charger.drifted_at = func.now()
    charger.publish_at, charger.not_before = func.now(), None
    return True


def _record_columns(charger: Charger, observation: Observation) -> None:
    service = observation.service
    charger.observed_at = observation.at
    charger.service_status = service.status if service else None
    charger.running_count = service.running_count if service else 0
    charger.pending_count = service.pending_count if service else 0
    if charger.running_count == 0 and charger.running_task_arn and not charger.running_task_ended_at:
        charger.running_task_ended_at = observation.at
    is_delayed = charger.not_before is not None  # then the reason says what it waits for
    if not is_delayed and charger.provisioning_status != ProvisioningStatus.FAILED:
        rollout_reason = ROLLOUT_REASON if charger.rollout_hash is not None else None
        charger.reason = observation.reason.text if observation.reason else rollout_reason
        charger.reason_code = observation.reason.code if observation.reason else None
