"""Observe ECS and hosts: record running counts and reasons, finish commands, and find drift.

Chargers in transition are observed often, all others slowly, ten in a DescribeServices. Concurrent runs share the work,
and an older description never replaces a newer one.
"""

from time import monotonic

from shared.database.engine import Sessions
from shared.fleet.locking import lock_chargers
from shared.settings import Timing
from worker.ecs.budget import BudgetSpent
from worker.ecs.client import DESCRIBE_SERVICES_LIMIT, EcsClient, EcsRejected, EcsUnavailable
from worker.observe.describe import describe
from worker.observe.due import Claim, claim_due, release
from worker.observe.observation import Observation
from worker.observe.on_hosts import observe_news, observe_on_hosts
from worker.observe.record import record, record_unchanged

OBSERVE_LIMIT = 100  # chargers in one claim: ten calls
OBSERVE_FOR_S = 5  # seconds for which one run makes claims, so that a worker that is stopped ends soon


def observe(sessions: Sessions, ecs: EcsClient, timing: Timing) -> int:
    """Observe the chargers that are due, as many as time allows. Returns how many the sweep must publish.

    Stops when the rate budget is used up, of which commands take their turns first; the next run begins with the chargers
    that were not observed. Safe to repeat, also concurrently. Raises EcsUnavailable, EcsRejected: the rows then keep
    what they have, and `unobserved_for` grows.
    """
    until = monotonic() + OBSERVE_FOR_S
    to_publish = observe_news(sessions, timing)
    while monotonic() < until:
        with sessions.begin() as session:
            claim = claim_due(session, timing, OBSERVE_LIMIT)
        to_publish += observe_on_hosts(sessions, timing, claim.on_hosts)
        count, budget_is_spent = _observe_claim(sessions, ecs, timing, claim, until)
        to_publish += count
        if budget_is_spent or len(claim.chargers) + len(claim.on_hosts) < OBSERVE_LIMIT:
            break
    return to_publish


def _observe_claim(
    sessions: Sessions, ecs: EcsClient, timing: Timing, claim: Claim, until: float
) -> tuple[int, bool]:
    """Returns how many the sweep must publish, and whether the rate budget is used up.

    A call that fails costs only its ten chargers an observation. The last such error is raised at the end, or at once when
    the time is over.
    """
    to_publish = 0
    failure: EcsUnavailable | EcsRejected | None = None
    for start in range(0, len(claim.chargers), DESCRIBE_SERVICES_LIMIT):
        try:
            observations = describe(ecs, claim, claim.chargers[start : start + DESCRIBE_SERVICES_LIMIT])
        except BudgetSpent:
            with sessions.begin() as session:
                release(session, claim.chargers[start:])
            return to_publish, True
        except (EcsUnavailable, EcsRejected) as error:
            failure = error
            if monotonic() < until:
                continue
            with sessions.begin() as session:
                release(session, claim.chargers[start:])
            raise
        to_publish += _record_all(sessions, timing, claim, observations)
    if failure is not None:
        raise failure
    return to_publish, False


def _record_all(sessions: Sessions, timing: Timing, claim: Claim, observations: list[Observation]) -> int:
    """In one transaction. Returns how many the sweep must publish."""
    with sessions.begin() as session:
        lock_chargers(session, [each.charger.id for each in observations])
        record_unchanged(session, [each.charger.id for each in observations if each.is_recorded], claim.at)
        return sum(record(session, timing, each) for each in observations if not each.is_recorded)
