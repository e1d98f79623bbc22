"""The rollout of one charger, as the observer sees it: worker/maintenance/rollout.py begins it, and this module ends it."""

from shared.models import Charger

ROLLOUT_REASON = "A new image, size or role is being rolled out"


def is_redeployed(charger: Charger) -> bool:
    """Whether ECS has accepted the charger's new spec, so that the rollout ends when the charger runs with it."""
    return (
        charger.rollout_hash is not None
        and charger.rollout_hash == charger.spec_hash
        and charger.drifted_at is None
    )


def settle_rollout(charger: Charger) -> bool:
    """End the rollout of a charger that runs as desired. Returns whether there was one. Safe to repeat."""
    if not is_redeployed(charger):
        return False
    charger.rollout_hash = None
    charger.reason = None
    return True
