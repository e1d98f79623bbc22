"""Roll new settings (an image, a size, a role) out to the existing chargers, at a number of chargers per minute.

`fleet_spec` is the digest of the part of a task definition that all chargers have in common: a spec. The fleet's spec is the
one that came into use last, of those in use. A spec is in use while a worker that serves the maintenance queue has it; after
GONE_AFTER_S without such a worker it is out of use, and new when it comes back. So in a rolling deployment the workers that
still have the old settings undo nothing, even if they restart; and when all workers have the same settings, these are the
fleet's.

A rollout marks a charger: `rollout_hash` is the spec that it gets, and `drifted_at` shows that ECS does not have it yet.
The rest is a repair: a worker of that spec registers a task definition and updates the service, and the observer settles
the charger. A rollout begins with FIRST chargers and never has more in progress than already run with the new spec, so a
bad image stops it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, ScalarSelect, and_, case, func, null, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.fleet.spec import GONE_AFTER_S, fleets_spec
from shared.models import Charger, FleetSpec
from shared.vocabulary import Placement, ProvisioningStatus
from worker.observe.rollout import ROLLOUT_REASON

log = structlog.get_logger(__name__)

FIRST = 3  # chargers that may be in progress before one runs with the new spec
START_AFTER_S = 60.0  # from when a spec is the fleet's until its rollout begins: time to notice a mistake
STUCK_AFTER_S = 300.0  # in progress for longer, a charger does not come up
BURST_S = 10.0  # the chargers that the rate allows in this time may begin at once


def roll_out(sessions: Sessions, spec: str, per_minute: float) -> int:
    """Record that a worker has this spec, and begin the rollout of as many chargers as the rate allows. Returns how many.

    Does nothing more if the spec is not the fleet's, or not for START_AFTER_S yet. With `per_minute` 0 no charger begins. Safe
    to repeat, also concurrently: workers with the same spec wait for the lock on its row.
    """
    with sessions.begin() as session:
        _record_use(session, spec)
        target = _target(session)
        if target.hash != spec or target.since > target.now - timedelta(seconds=START_AFTER_S):
            return 0
        _cancel_others(session, spec)
        _mark_again(session, spec)
        begun = 0
        allowed = _allowed(session, target, _burst(per_minute))
        if allowed > 0 and per_minute > 0:
            begun = _begin(session, target, per_minute, allowed)
    if begun:
        log.info("rollout.begun", spec=spec, chargers=begun)
    return begun


@dataclass(frozen=True, slots=True)
class _Target:
    """The fleet's spec."""

    hash: str
    since: datetime
    paced_at: datetime
    paused_at: datetime | None
    now: datetime


def _record_use(session: Session, spec: str) -> None:
    """Write that a worker has this spec now. The row stays locked until the transaction ends."""
    came_back = FleetSpec.seen_at < func.now() - timedelta(seconds=GONE_AFTER_S)
    session.execute(
        insert(FleetSpec)
        .values(hash=spec)
        .on_conflict_do_update(
            index_elements=[FleetSpec.hash],
            set_={
                "seen_at": func.clock_timestamp(),
                "since": case((came_back, func.now()), else_=FleetSpec.since),
                "paused_at": case((came_back, null()), else_=FleetSpec.paused_at),
            },
        )
    )


def _target(session: Session) -> _Target:
    columns = FleetSpec.hash, FleetSpec.since, FleetSpec.paced_at, FleetSpec.paused_at
    return _Target(*session.execute(fleets_spec().with_only_columns(*columns, func.clock_timestamp())).one())


def _cancel_others(session: Session, spec: str) -> None:
    """End the rollout of chargers that have this spec and were to get another one."""
    ids = _locked(Charger.rollout_hash.is_not(None), Charger.rollout_hash != spec, Charger.spec_hash == spec)
    session.execute(update(Charger).where(Charger.id.in_(ids)).values(rollout_hash=None))


def _mark_again(session: Session, spec: str) -> None:
    """Restore `drifted_at`, which a command of the charger or a worker of an earlier version may have cleared."""
    ids = _locked(
        Charger.rollout_hash == spec,
        Charger.spec_hash.is_distinct_from(spec),
        Charger.drifted_at.is_(None),
        *_SETTLED,
    )
    session.execute(
        update(Charger).where(Charger.id.in_(ids)).values(drifted_at=func.now(), publish_at=func.now())
    )


def _allowed(session: Session, target: _Target, max_chargers: int) -> int:
    """How many more chargers may begin, at most `max_chargers`. Records and logs when the rollout pauses and resumes."""
    mine = and_(Charger.rollout_hash == target.hash, Charger.deleted_at.is_(None))
    in_progress, oldest = session.execute(
        select(func.count(), func.min(Charger.rollout_at)).where(mine)
    ).one()
    running = (
        select(Charger.id)
        .where(
            Charger.spec_hash == target.hash,
            Charger.rollout_hash.is_(None),
            Charger.deleted_at.is_(None),
            Charger.running_count > 0,
        )
        .limit(in_progress + max_chargers)  # more need not be counted
        .subquery()
    )
    proven = session.scalars(select(func.count()).select_from(running)).one()
    allowed = min(max_chargers, max(FIRST, proven) - in_progress)
    stuck = oldest is not None and oldest <= target.now - timedelta(seconds=STUCK_AFTER_S)
    if allowed > 0 and target.paused_at is not None:
        _record_pause(session, target, None)
        log.info("rollout.resumed", spec=target.hash)
    elif allowed <= 0 and stuck and target.paused_at is None:
        _record_pause(session, target, target.now)
        why = session.scalar(select(Charger.reason).where(mine).order_by(Charger.rollout_at).limit(1))
        log.warning("rollout.paused", spec=target.hash, not_settled=in_progress, reason=why)
    return allowed


def _record_pause(session: Session, target: _Target, paused_at: datetime | None) -> None:
    session.execute(update(FleetSpec).where(FleetSpec.hash == target.hash).values(paused_at=paused_at))


def _begin(session: Session, target: _Target, per_minute: float, max_chargers: int) -> int:
    """Mark as many chargers as the rate allows by now, at most `max_chargers`. Returns how many.

    The ids are a CTE, which is executed once. A plan may execute a subquery again, and it would then skip the rows that it
    has locked and take the next ones, beyond its limit.
    """
    every = timedelta(minutes=1 / per_minute)
    paced_at = max(target.paced_at, target.now - _burst(per_minute) * every)
    due = min(max_chargers, (target.now - paced_at) // every)
    if due <= 0:
        return 0
    spec = target.hash
    ids = (
        select(Charger.id)
        .where(
            *_SETTLED,
            # Three ranges of an index, where `is_distinct_from` would read it all.
            or_(Charger.spec_hash.is_(None), Charger.spec_hash < spec, Charger.spec_hash > spec),
            Charger.rollout_hash.is_distinct_from(spec),
            or_(Charger.drifted_at.is_(None), Charger.rollout_hash.is_not(None)),
        )
        # Chargers that were to get another spec come first, chargers that are down for another reason last.
        .order_by(Charger.rollout_hash, Charger.running_count != Charger.desired_count, Charger.id)
        .limit(due)
        .with_for_update(key_share=True, skip_locked=True)
        .cte("ids")
    )
    begun = session.scalars(
        update(Charger)
        .where(Charger.id.in_(select(ids.c.id)))
        .values(
            rollout_hash=spec,
            rollout_at=func.now(),
            drifted_at=func.now(),
            publish_at=func.now(),
            not_before=None,
            attempts=0,
            reason=ROLLOUT_REASON,
            reason_code=None,
            observe_at=func.now(),
        )
        .returning(Charger.id)
    ).all()
    if begun:
        session.execute(
            update(FleetSpec).where(FleetSpec.hash == spec).values(paced_at=paced_at + len(begun) * every)
        )
    return len(begun)


def _burst(per_minute: float) -> int:
    return max(1, round(per_minute * BURST_S / 60))


def _locked(*conditions: ColumnElement[bool]) -> ScalarSelect[str]:
    """The ids of these chargers, locked. Those that another transaction holds are left to the next run."""
    return (
        select(Charger.id)
        .where(*conditions)
        .with_for_update(key_share=True, skip_locked=True)
        .scalar_subquery()
    )


#: The charger has a service of its own, is provisioned and has no open command.
_SETTLED = (
    Charger.deleted_at.is_(None),
    Charger.placement == Placement.DEDICATED,
    Charger.provisioning_status == ProvisioningStatus.READY,
    Charger.observed_generation >= Charger.generation,
    Charger.settled_generation >= Charger.generation,
)
