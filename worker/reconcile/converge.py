"""Make ECS agree with the charger's row, and record the outcome.

A controller loop, as in Kubernetes: the message only says that something changed, the row says what is desired. Nothing
is locked during an ECS call. Afterwards the row is read again, and a newer generation means another round.
"""

from sqlalchemy import update

from shared.database.engine import Sessions
from shared.error_codes import ErrorCode
from shared.models import Charger
from shared.queues import QUEUE_OF, TASK_OF, Queue
from shared.settings import Timing
from shared.vocabulary import EventType, Placement
from worker.ecs.budget import BudgetSpent, on_behalf_of
from worker.ecs.client import EcsClient, EcsRejected, EcsUnavailable, TaskDefinitionMissing
from worker.ecs.turns import Priority
from worker.hosts.hosting import Hosting
from worker.reconcile.desired import DesiredState, read_desired_state
from worker.reconcile.move import leave_former_place
from worker.reconcile.outcome import Applied, Outcome, Rejected, Removed, Retry
from worker.reconcile.provision import NotYet, bring_up, rolls_out, tear_down
from worker.reconcile.record import record
from worker.reconcile.shared_place import bring_up_on_host, take_off_host


def converge(sessions: Sessions, ecs: EcsClient, timing: Timing, charger_id: str, hosting: Hosting) -> None:
    """Bring ECS, or the charger's host, to the charger's newest generation.

    Safe to repeat, to call late, and to call in several workers at once. Returns when it is applied, or when a later try is
    recorded: every answer of ECS ends on the row. Raises what SQLAlchemy raises, and errors of our own, which
    `record_internal_error` records.
    """
    desired = read_desired_state(sessions, charger_id)
    if desired is not None and is_left_to_others(ecs, desired):
        return
    while desired is not None:
        outcome = attempt(sessions, ecs, hosting, desired)
        desired = record(sessions, timing, desired, outcome)


def record_internal_error(sessions: Sessions, timing: Timing, charger_id: str, error: BaseException) -> None:
    """Record that a bug ended `converge`: the row says so, and the charger is tried again with growing delays."""
    message = f"Chargehand itself failed ({type(error).__name__}); the worker's log has the details"
    desired = read_desired_state(sessions, charger_id)
    if desired is not None:
        record(sessions, timing, desired, Retry(message, ErrorCode.UNKNOWN))


def is_left_to_others(ecs: EcsClient, desired: DesiredState) -> bool:
    """Whether only a rollout is due, to settings that this worker does not have: it stays published for one that has."""
    is_open = desired.observed_generation < desired.generation or desired.deleted_at is not None
    return desired.rollout_hash is not None and not is_open and not rolls_out(ecs, desired)


def attempt(sessions: Sessions, ecs: EcsClient, hosting: Hosting, desired: DesiredState) -> Outcome:
    """Call ECS for the desired state, or write what the charger's host shall do.

    Every error of ECS becomes an outcome. No transaction is open during a call.
    """
    try:
        with on_behalf_of(desired.id, desired.organization_id, _priority(desired)):
            return _apply(sessions, ecs, hosting, desired)
    except NotYet as not_yet:
        return Retry(str(not_yet), delay_s=not_yet.delay_s, service_status=not_yet.service_status)
    except BudgetSpent as spent:
        return Retry(str(spent), ErrorCode.RATE_BUDGET, spent.delay_s)
    except EcsUnavailable as unavailable:
        return Retry(f"Waiting for ECS: {unavailable}", ErrorCode.PROVIDER_UNAVAILABLE)
    except TaskDefinitionMissing as missing:
        _drop_task_definition(sessions, desired)
        return Retry(f"Waiting for ECS: {missing}", ErrorCode.PROVIDER_UNAVAILABLE)
    except EcsRejected as rejected:
        return Rejected(rejected.code, str(rejected))


def _apply(sessions: Sessions, ecs: EcsClient, hosting: Hosting, desired: DesiredState) -> Outcome:
    desired = leave_former_place(sessions, ecs, hosting, desired)
    match desired.placement, desired.deleted_at:
        case Placement.SHARED, None:
            return Applied(bring_up_on_host(sessions, hosting, desired), None)
        case Placement.SHARED, _:
            take_off_host(sessions, hosting, desired)
            return Removed()
        case _, None:
            view = bring_up(sessions, ecs, desired)
            return Applied(view, desired.rollout_hash if rolls_out(ecs, desired) else None)
    tear_down(ecs, desired)
    return Removed()


def _priority(desired: DesiredState) -> Priority:
    if desired.drifted_at is not None and desired.observed_generation >= desired.generation:
        return Priority.UPKEEP
    if desired.job_id is not None:
        return Priority.JOB
    if desired.deleted_at is not None:
        return Priority.REMOVAL
    queue = QUEUE_OF[TASK_OF[EventType(desired.newest_event_type)]]
    return Priority.PROVISIONING if queue is Queue.PROVISIONING else Priority.LIFECYCLE


def _drop_task_definition(sessions: Sessions, desired: DesiredState) -> None:
    """The recorded task definition is gone from ECS: the next attempt registers another one."""
    with sessions.begin() as session:
        session.execute(
            update(Charger)
            .where(Charger.id == desired.id, Charger.task_definition_arn == desired.task_definition_arn)
            .values(task_definition_generation=0)
        )
