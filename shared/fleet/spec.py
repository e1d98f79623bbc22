"""Which of the specs that workers have is the fleet's; worker/maintenance/rollout.py says what that is for."""

from datetime import timedelta

from sqlalchemy import Select, func, select

from shared.models import FleetSpec

GONE_AFTER_S = 300.0  # a spec that no worker has had for so long has gone


def fleets_spec() -> Select[FleetSpec]:
    """The row of the spec that came last, of those that are in use. None before the first worker."""
    return (
        select(FleetSpec)
        .where(FleetSpec.seen_at >= func.now() - timedelta(seconds=GONE_AFTER_S))
        .order_by(FleetSpec.since.desc(), FleetSpec.hash)
        .limit(1)
    )
