"""Which spec is the fleet's, when workers differ: see worker/maintenance/rollout.py."""

from datetime import timedelta

from sqlalchemy import Select, func, select

from shared.models import FleetSpec

GONE_AFTER_S = 300.0  # a spec that no worker has reported for so long is out of use


def fleets_spec() -> Select[FleetSpec]:
    """Select the newest of the specs in use. No row before the first worker."""
    return (
        select(FleetSpec)
        .where(FleetSpec.seen_at >= func.now() - timedelta(seconds=GONE_AFTER_S))
        .order_by(FleetSpec.since.desc(), FleetSpec.hash)
        .limit(1)
    )
