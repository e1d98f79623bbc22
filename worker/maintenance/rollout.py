"""Bring new settings (an image, a size, a role) to the chargers that there are, some in a minute.

What makes a charger's task is its spec; `fleet_spec` is a digest of what all chargers have of it in common. The fleet's
spec is that of the workers which came last: of those in use, the one that came into use most recently. It is in use
while a worker that serves the maintenance queue has it; one that nobody had for GONE_AFTER_S has gone, and comes anew.
So, in a rolling deployment, workers that still have the old settings undo nothing, also those that start again; and when
all workers have the same settings, these are the fleet's, whichever came last.

A rollout marks a charger: `rollout_hash` is the spec that it is to get, and `drifted_at` says that ECS does not have it yet.
From there on it is a repair: a worker of that spec makes a new task definition and updates the service, and the
observer sees the charger settle. It starts with FIRST chargers, and never has more under way than run with the new
spec already: a bad image stops it by itself.
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
from shared.vocabulary import ProvisioningStatus

log = structlog.get_logger(__name__)

FIRST = 3  # chargers that may be under way before one runs with the new spec
START_AFTER_S = (
    60.0  # a spec is rolled out when it has been the fleet's for so long: time to notice a mistake
)
STUCK_AFTER_S = 300.0  # who is under way for so long does not come up
BURST_S = 10.0  # chargers of so many seconds may begin at once
REASON = "A new image, size or role is being rolled out"


def is_redeployed(charger: Charger) -> bool:
    """Whether ECS has accepted what the rollout wants, and the charger has to come up with it."""
    return (
        charger.rollout_hash is not None
        and charger.rollout_hash == charger.spec_hash
        and charger.drifted_at is None
    )


def settle_rollout(charger: Charger) -> bool:
    """The charger is as desired, for a while already. True when that ended its rollout."""
    if not is_redeployed(charger):
        return False
    charger.rollout_hash = None
    charger.reason = None
    return True


def roll_out(sessions: Sessions, spec: str, per_minute: float) -> int:
    """Note that a worker has this spec, and begin with the chargers whose turn it is. Returns how many.

    Any number of workers may do it at once: who has the same spec waits for the row of that spec.
    """
    with sessions.begin() as session:
        _note(session, spec)
        target = _target(session)
        if target.hash != spec or target.since > target.now - timedelta(seconds=START_AFTER_S):
            return 0
        _give_up_others(session, spec)
        _mark_again(session, spec)
        begun = 0
        if (room := _room(session, target, _burst(per_minute))) > 0 and per_minute > 0:
            begun = _begin(session, target, per_minute, room)
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


def _note(session: Session, spec: str) -> None:
    """The row stays locked until the transaction ends."""
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


def _give_up_others(session: Session, spec: str) -> None:
    """Who was about to leave this spec for another one stays."""
    ids = _locked(Charger.rollout_hash.is_not(None), Charger.rollout_hash != spec, Charger.spec_hash == spec)
    session.execute(update(Charger).where(Charger.id.in_(ids)).values(rollout_hash=None))


def _mark_again(session: Session, spec: str) -> None:
    """A command of its own, or a worker of an earlier version, may have taken the mark away."""
    ids = _locked(
        Charger.rollout_hash == spec,
        Charger.spec_hash.is_distinct_from(spec),
        Charger.drifted_at.is_(None),
        *_SETTLED,
    )
    session.execute(
        update(Charger).where(Charger.id.in_(ids)).values(drifted_at=func.now(), publish_at=func.now())
    )


def _room(session: Session, target: _Target, most: int) -> int:
    """How many more may be under way, up to `most`. Notes and logs when the rollout stops by itself, and goes on."""
    mine = and_(Charger.rollout_hash == target.hash, Charger.deleted_at.is_(None))
    under_way, oldest = session.execute(select(func.count(), func.min(Charger.rollout_at)).where(mine)).one()
    running = (
        select(Charger.id)
        .where(
            Charger.spec_hash == target.hash,
            Charger.rollout_hash.is_(None),
            Charger.deleted_at.is_(None),
            Charger.running_count > 0,
        )
        .limit(under_way + most)  # more need not be counted
        .subquery()
    )
    proven = session.scalars(select(func.count()).select_from(running)).one()
    room = min(most, max(FIRST, proven) - under_way)
    stuck = oldest is not None and oldest <= target.now - timedelta(seconds=STUCK_AFTER_S)
    if room > 0 and target.paused_at is not None:
        _note_pause(session, target, None)
        log.info("rollout.resumed", spec=target.hash)
    elif room <= 0 and stuck and target.paused_at is None:
        _note_pause(session, target, target.now)
        why = session.scalar(select(Charger.reason).where(mine).order_by(Charger.rollout_at).limit(1))
        log.warning("rollout.paused", spec=target.hash, not_settled=under_way, reason=why)
    return room


def _note_pause(session: Session, target: _Target, paused_at: datetime | None) -> None:
    session.execute(update(FleetSpec).where(FleetSpec.hash == target.hash).values(paused_at=paused_at))


def _begin(session: Session, target: _Target, per_minute: float, most: int) -> int:
    """Mark those whose turn it is, as many as the rate allows by now."""
    every = timedelta(minutes=1 / per_minute)
    paced_at = max(target.paced_at, target.now - _burst(per_minute) * every)
    due = min(most, (target.now - paced_at) // every)
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
        # Who waits for another spec in vain first, who is down for a reason of its own last.
        .order_by(Charger.rollout_hash, Charger.running_count != Charger.desired_count, Charger.id)
        .limit(due)
        .with_for_update(key_share=True, skip_locked=True)
    )
    begun = session.scalars(
        update(Charger)
        .where(Charger.id.in_(ids.scalar_subquery()))
        .values(
            rollout_hash=spec,
            rollout_at=func.now(),
            drifted_at=func.now(),
            publish_at=func.now(),
            not_before=None,
            attempts=0,
            reason=REASON,
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
    """Those of them that nobody else holds: the next time has the others."""
    return (
        select(Charger.id)
        .where(*conditions)
        .with_for_update(key_share=True, skip_locked=True)
        .scalar_subquery()
    )


#: Nothing else is to be done for it.
_SETTLED = (
    Charger.deleted_at.is_(None),
    Charger.provisioning_status == ProvisioningStatus.READY,
    Charger.observed_generation >= Charger.generation,
    Charger.settled_generation >= Charger.generation,
)
