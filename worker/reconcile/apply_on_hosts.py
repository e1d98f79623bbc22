"""Apply the newest generations of many shared chargers at once, as `converge` does for one."""

from collections.abc import Collection

from shared.database.engine import Sessions
from shared.vocabulary import Placement
from worker.hosts.hosting import Hosting
from worker.hosts.place import place
from worker.reconcile.applied import log_applied, record_applied
from worker.reconcile.desired import DesiredState, newest_desired_states
from worker.reconcile.move import has_former_service
from worker.reconcile.provision import with_predecessor
from worker.reconcile.shared_place import ON_HOST, decision_of


def apply_on_hosts(sessions: Sessions, hosting: Hosting, charger_ids: Collection[str]) -> set[str]:
    """Place those of an organization's chargers that rows alone can bring up, and record it. Returns them.

    The others are left to `converge`: those with a service of their own, that are deleted, or that first have to leave their
    place or to wait for a predecessor. The statements do not depend on the number of chargers. Safe to repeat, to call late,
    and to call in several workers at once. Raises what SQLAlchemy raises; then nothing is written.
    """
    chargers = _with_rows_alone(sessions, charger_ids)
    if not chargers:
        return set()
    with sessions.begin() as session:
        placed = place(session, [decision_of(each) for each in chargers], hosting.capacity)
        record_applied(session.connection(), [each for each in chargers if each.id in placed], ON_HOST)
    hosting.hints.give()
    for charger in chargers:
        if charger.id in placed:
            log_applied(charger)
    return placed


def _with_rows_alone(sessions: Sessions, charger_ids: Collection[str]) -> list[DesiredState]:
    with sessions.autocommit.connect() as connection:
        due = [
            each
            for each in newest_desired_states(connection, charger_ids)
            if each.is_due
            and each.placement == Placement.SHARED
            and each.deleted_at is None
            and each.drifted_at is None
            and not has_former_service(each)
        ]
        new = [each.id for each in due if each.host_id is None]
        blocked = with_predecessor(connection, new) if new else set()
    return [each for each in due if each.id not in blocked]
