"""Record what an attempt came to, and find out whether a newer generation exists by now."""

from sqlalchemy import delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.ids import new_command_id
from shared.models import Action, Charger, ChargerReport, Command, RemovedCharger
from shared.settings import Timing
from shared.vocabulary import OPEN, CommandStatus, EventType, Placement
from worker.reconcile.applied import log_applied, record_applied
from worker.reconcile.desired import DesiredState, log_change, newest_desired_state
from worker.reconcile.failure import record_rejection, record_retry
from worker.reconcile.outcome import Applied, Outcome, Rejected, Removed, Retry


def record(
    sessions: Sessions, timing: Timing, desired: DesiredState, outcome: Outcome
) -> DesiredState | None:
    """Write the outcome down and close older commands. Returns the newer desired state if there is one.

    It is returned even when another worker has applied it already: the call that just ended may have undone that.
    Raises what SQLAlchemy raises; then nothing is written, and the sweep publishes the command again.
    """
    if isinstance(outcome, Applied) and _record_applied(sessions, desired, outcome):
        return None
    with sessions.begin() as session:
        return _record_locked(session, timing, desired, outcome)


def _record_applied(sessions: Sessions, desired: DesiredState, applied: Applied) -> bool:
    """False, and nothing is written, when the row has moved to a newer generation or is gone."""
    with sessions.autocommit.connect() as connection:
        recorded = record_applied(connection, [desired], applied.view.status, applied.rolled_out)
    if recorded:
        log_applied(desired)
    return bool(recorded)


def _record_locked(
    session: Session, timing: Timing, desired: DesiredState, outcome: Outcome
) -> DesiredState | None:
    """The slow path, under the row's lock: ECS rejected or failed, the charger is gone, or a newer generation exists."""
    if isinstance(outcome, Removed):  # first, because they are locked before their charger
        for table in (Action, ChargerReport):
            session.execute(delete(table).where(table.charger_id == desired.id))
    charger = session.get(Charger, desired.id, with_for_update={"key_share": True})
    if charger is None:
        return _removal_of_leftovers(session, desired)
    _supersede_older(session, charger)
    if charger.generation > desired.generation:
        if isinstance(outcome, Applied):
            _record_late(charger, desired, outcome)
        session.flush()
        return newest_desired_state(session.connection(), charger.id)
    match outcome:
        case Removed():
            session.delete(charger)
            record_removal(session, charger)
            log_change(desired, "charger.removed")
        case Retry():
            record_retry(session, timing, charger, desired, outcome)
        case Rejected():
            record_rejection(session, charger, desired, outcome)
    return None


def _record_late(charger: Charger, desired: DesiredState, applied: Applied) -> None:
    """ECS accepted an older generation. A charger that has moved to a host meanwhile has a service again, which must end."""
    charger.observed_generation = max(charger.observed_generation, desired.generation)
    if charger.placement == desired.placement:
        charger.service_status = applied.view.status
    elif charger.placement == Placement.SHARED:
        charger.task_definition_arn = (
            charger.task_definition_arn or desired.task_definition_arn or applied.view.task_definition_arn
        )
        charger.service_status = applied.view.status
        charger.drifted_at = charger.publish_at = func.now()
        charger.not_before = None


def record_removal(session: Session, charger: Charger) -> None:
    """Remember the removed charger: a late call of another worker may still make something of it. Safe to repeat.

    worker/maintenance/leftovers.py checks ECS once more, unless it was on hosts only, and its log frames are pruned.
    """
    never_in_ecs = charger.placement == Placement.SHARED and charger.leftovers_at is None
    checked_at = func.now() if never_in_ecs else None
    removed = insert(RemovedCharger).values(
        charger_id=charger.id, deleted_at=charger.deleted_at, checked_at=checked_at
    )
    again = {
        "deleted_at": removed.excluded.deleted_at,
        "removed_at": func.now(),
        "checked_at": removed.excluded.checked_at,
    }
    session.execute(removed.on_conflict_do_update(index_elements=[RemovedCharger.charger_id], set_=again))


def _removal_of_leftovers(session: Session, desired: DesiredState) -> DesiredState | None:
    """Another worker removed the charger during our call, which may have made its service anew.

    The row comes back, deleted as it was, so that what the call made is removed like the rest.
    """
    if desired.deleted_at is not None or desired.placement == Placement.SHARED:
        return None  # a removal makes nothing in ECS, and nor does a decision for a host
    command_id = new_command_id()
    stored = (column.key for column in Charger.__table__.columns if column.server_onupdate is None)
    row = {key: getattr(desired.row, key) for key in stored}
    row |= {
        "deleted_at": desired.now,
        "desired_count": 0,
        "generation": desired.generation + 1,
        "newest_command_id": command_id,
        "newest_event_type": EventType.DELETE_CHARGER,
        "attempts": 0,
        "not_before": None,
        "publish_at": desired.now,
        "observe_at": None,
    }
    returned = insert(Charger).values(row).on_conflict_do_nothing().returning(Charger.id)
    if session.scalar(returned) is not None:
        session.add(
            Command(
                id=command_id,
                charger_id=desired.id,
                organization_id=desired.organization_id,
                event_type=EventType.DELETE_CHARGER,
                generation=desired.generation + 1,
                requested_by="chargehand",
                request_id=desired.request_id,
            )
        )
        session.flush()
    return newest_desired_state(session.connection(), desired.id)


def _supersede_older(session: Session, charger: Charger) -> None:
    session.execute(
        update(Command)
        .where(
            Command.charger_id == charger.id,
            Command.generation < charger.generation,
            Command.status.in_(OPEN),
        )
        .values(status=CommandStatus.SUPERSEDED, reason=None, finished_at=func.now())
    )
