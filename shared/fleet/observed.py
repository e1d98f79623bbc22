"""The observed state of a charger, as a word."""

from shared.models import Charger
from shared.vocabulary import ObservedState


def observed_state(charger: Charger) -> ObservedState:
    """What the charger's ECS service was last observed to do."""
    if charger.observed_at is None:
        return ObservedState.UNKNOWN
    return observed_of(charger.desired_count, charger.running_count, charger.pending_count)


def observed_of(desired_count: int, running_count: int, pending_count: int) -> ObservedState:
    """The state that the counts of an ECS service mean. The database's observed_state() agrees."""
    if desired_count:
        return ObservedState.RUNNING if running_count else ObservedState.STARTING
    return ObservedState.STOPPING if running_count or pending_count else ObservedState.STOPPED
