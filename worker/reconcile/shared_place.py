"""Bring a shared charger up, and take it down: as rows that the control link sends to its host. ECS is not called."""

from shared.database.engine import Sessions
from shared.fleet.locking import lock_chargers
from worker.ecs.client import ServiceView
from worker.hosts.decide import Decision, decide, host_of, leave
from worker.hosts.hosting import Hosting
from worker.hosts.place import place
from worker.hosts.release import lock_left_hosts, release_ended
from worker.reconcile.desired import DesiredState
from worker.reconcile.provision import DRAINING, NotYet, wait_for_predecessor

ON_HOST = "ACTIVE"  # the service's status, as the charger's row shows it
ENDED_CHECKED_AFTER_S = 10.0  # by a worker, unless the observer has released it before


def bring_up_on_host(sessions: Sessions, hosting: Hosting, charger: DesiredState) -> ServiceView:
    """Write what the charger's host shall do; a charger without one gets it. Safe to repeat. Raises NotYet.

    A charger of a host that drains gets another one, when the first has ended it: never two sessions of one identity.
    Returns the host's service as the row sees it: ACTIVE.
    """
    decision = decision_of(charger)
    with sessions.autocommit.connect() as connection:
        standing = decide(connection, [decision]).get(charger.id)
    if standing is not None and not standing.stays:
        take_off_host(sessions, hosting, charger)
        standing = None
    if standing is None:
        wait_for_predecessor(sessions, charger)
        with sessions.begin() as session:
            placed = place(session, [decision], hosting.capacity)
        if not placed:
            raise NotYet("The charger was changed meanwhile", delay_s=0.5)
    hosting.hints.give()
    return ServiceView(
        name=charger.id,
        status=ON_HOST,
        desired_count=charger.desired_count,
        running_count=0,
        pending_count=0,
        task_definition_arn=None,
        deployed=False,
        rollout_failure=None,
        event=None,
    )


def take_off_host(sessions: Sessions, hosting: Hosting, charger: DesiredState) -> None:
    """Have the charger's host end it for good. Safe to repeat; returns when it has, or has none. Raises NotYet before."""
    with sessions.autocommit.connect() as connection:
        leave(connection, charger.id, charger.generation)
    hosting.hints.give()
    with sessions.begin() as session:
        lock_chargers(session, [charger.id])
        release_ended(session, lock_left_hosts(session, [charger.id]))
        remaining = host_of(session, charger.id)
    if remaining is not None:
        raise NotYet(
            f"The host {remaining} ends the charger", delay_s=ENDED_CHECKED_AFTER_S, service_status=DRAINING
        )


def decision_of(charger: DesiredState) -> Decision:
    """What the charger's host shall do."""
    return Decision(
        charger_id=charger.id,
        organization_id=charger.organization_id,
        generation=charger.generation,
        desired_count=charger.desired_count,
        restart_generation=charger.restart_generation,
    )
