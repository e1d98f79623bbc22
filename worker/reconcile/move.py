"""Move a charger to its placement. What it has in the other one ends first: an identity never has two sessions."""

from sqlalchemy import text

from shared.database.engine import Sessions
from shared.fleet.control import LINK_TIMEOUT
from shared.vocabulary import Placement
from worker.ecs.client import EcsClient
from worker.hosts.hosting import Hosting
from worker.reconcile.desired import DesiredState, newest_desired_state
from worker.reconcile.provision import DRAINING, DRAINING_CHECKED_AFTER_S, NotYet, tear_down
from worker.reconcile.shared_place import take_off_host

CHECKED_AGAIN_AFTER_S = 1.0  # whether the process of a service that has ended is still connected


def leave_former_place(
    sessions: Sessions, ecs: EcsClient, hosting: Hosting, charger: DesiredState
) -> DesiredState:
    """End what the charger has in another placement than its own. Returns its row afterwards. Safe to repeat.

    Raises NotYet until ECS has no task of its service, or until its host has ended it; BudgetSpent, EcsUnavailable,
    EcsRejected.
    """
    if has_former_service(charger):
        tear_down(ecs, charger)
        made_late = ecs.remaining_service(charger.id)  # a call was on its way when its definition was deleted
        if made_late is not None:
            raise NotYet("The service is draining", DRAINING_CHECKED_AFTER_S, service_status=DRAINING)
        _clear_service(sessions, charger)
    elif has_former_host(charger):
        take_off_host(sessions, hosting, charger)
    else:
        return charger
    with sessions.autocommit.connect() as connection:
        newest = newest_desired_state(connection, charger.id)
    if newest is None or newest.generation != charger.generation:
        raise NotYet("The charger was changed meanwhile", delay_s=0.5)
    return newest


def has_former_service(charger: DesiredState) -> bool:
    """Whether a shared charger still has something in ECS: a worker records the task definition before it makes a service."""
    return charger.placement == Placement.SHARED and charger.task_definition_arn is not None


def has_former_host(charger: DesiredState) -> bool:
    """Whether a dedicated charger is still on a host."""
    return charger.placement == Placement.DEDICATED and charger.host_id is not None


def _clear_service(sessions: Sessions, charger: DesiredState) -> None:
    """Write that the charger has no service any more. Raises NotYet while the service's process has a session with the link.

    The mark `leftovers_at` has ECS checked once more later, because a late call may have made something of it again.
    """
    given = {"charger_id": charger.id, "generation": charger.generation, "timeout": LINK_TIMEOUT}
    with sessions.begin() as session:
        if session.scalar(_IS_CONNECTED, given):
            raise NotYet("The process of its service is still connected", delay_s=CHECKED_AGAIN_AFTER_S)
        session.execute(_CLEAR, given)


_IS_CONNECTED = text("""
SELECT EXISTS (
    SELECT FROM control_sessions held JOIN control_links links ON links.id = held.link_id
    WHERE held.process_id = :charger_id AND held.disconnected_at IS NULL AND links.seen_at > now() - :timeout
)
""")
_CLEAR = text("""
UPDATE chargers SET
    task_definition_arn = NULL, task_definition_generation = 0, spec_hash = NULL, spec_by_link = false,
    rollout_hash = NULL, restart_task_arn = NULL, leftovers_at = clock_timestamp(),
    service_status = NULL, running_count = 0, pending_count = 0, observed_at = clock_timestamp(),
    running_task_arn = NULL, running_task_generation = NULL, running_since = NULL, running_task_seen_at = NULL,
    running_task_ended_at = NULL
WHERE id = :charger_id AND generation = :generation AND placement = 'shared'
""")
