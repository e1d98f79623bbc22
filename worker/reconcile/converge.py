"""Make ECS agree with the charger's row, and record the outcome.

A controller loop: the message only says that something changed, the row says what is wanted. Nothing is
locked during an ECS call; afterwards the row is read again, and a newer wish means another round.
"""

from sqlalchemy import update

from shared.database.engine import Sessions
from shared.error_codes import ErrorCode
from shared.models import Charger
from shared.queues import QUEUE_OF, TASK_OF, Queue
from shared.settings import Timing
from shared.vocabulary import EventType
from worker.ecs.budget import BudgetSpent, on_behalf_of
from worker.ecs.client import EcsClient, EcsRejected, EcsUnavailable, TaskDefinitionMissing
from worker.ecs.turns import Priority
from worker.maintenance.rollout import is_only_rolled_out
from worker.reconcile.provision import NotYet, bring_up, rolls_out, tear_down
from worker.reconcile.record import Applied, Later, Outcome, Refused, Removed, Wish, read_wish, record


def converge(sessions: Sessions, ecs: EcsClient, timing: Timing, charger_id: str) -> None:
    """Bring ECS to the newest wish. Safe to call any number of times, at once and late."""
    wish = read_wish(sessions, charger_id)
    if wish is not None and is_only_rolled_out(wish.charger) and not rolls_out(ecs, wish.charger):
        return  # it stays published until a worker of the rollout's settings takes it
    while wish is not None:
        outcome = attempt(sessions, ecs, wish)
        wish = record(sessions, timing, wish, outcome)


def record_internal_error(sessions: Sessions, timing: Timing, charger_id: str, error: BaseException) -> None:
    """A fault of ours ended converge: the row says so, and it is tried again ever more slowly."""
    message = f"Chargehand itself failed ({type(error).__name__}); the worker's log has the details"
    wish = read_wish(sessions, charger_id)
    if wish is not None:
        record(sessions, timing, wish, Later(message, ErrorCode.UNKNOWN))


def attempt(sessions: Sessions, ecs: EcsClient, wish: Wish) -> Outcome:
    """Call ECS for the wish. No transaction is open meanwhile."""
    charger = wish.charger
    try:
        with on_behalf_of(charger.id, charger.organization_id, _priority(charger)):
            return _carry_out(sessions, ecs, charger)
    except NotYet as not_yet:
        return Later(str(not_yet), delay_s=not_yet.delay_s, service_status=not_yet.service_status)
    except BudgetSpent as spent:
        return Later(str(spent), ErrorCode.RATE_BUDGET, spent.delay_s)
    except EcsUnavailable as unavailable:
        return Later(f"Waiting for ECS: {unavailable}", ErrorCode.PROVIDER_UNAVAILABLE)
    except TaskDefinitionMissing as missing:
        _forget_task_definition(sessions, charger)
        return Later(f"Waiting for ECS: {missing}", ErrorCode.PROVIDER_UNAVAILABLE)
    except EcsRejected as rejected:
        return Refused(rejected.code, str(rejected))


def _carry_out(sessions: Sessions, ecs: EcsClient, charger: Charger) -> Outcome:
    if charger.deleted_at is None:
        view = bring_up(sessions, ecs, charger)
        return Applied(view, charger.rollout_hash if rolls_out(ecs, charger) else None)
    tear_down(ecs, charger)
    return Removed()


def _priority(charger: Charger) -> Priority:
    if charger.deleted_at is not None:
        return Priority.REMOVAL
    if charger.drifted_at is not None and charger.observed_generation >= charger.generation:
        return Priority.UPKEEP
    event_type = EventType(charger.newest_event_type)
    return (
        Priority.PROVISIONING if QUEUE_OF[TASK_OF[event_type]] is Queue.PROVISIONING else Priority.LIFECYCLE
    )


def _forget_task_definition(sessions: Sessions, charger: Charger) -> None:
    with sessions.begin() as session:
        session.execute(
            update(Charger)
            .where(Charger.id == charger.id, Charger.task_definition_arn == charger.task_definition_arn)
            .values(task_definition_generation=0)
        )
