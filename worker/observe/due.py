"""Claim the chargers that are due for an observation, the longest due first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, func, or_, select, update
from sqlalchemy.orm import Session

from shared.fleet.locking import lock_chargers
from shared.models import Charger
from shared.settings import Timing
from shared.vocabulary import Placement
from worker.logs.apply_links import link_in_doubt
from worker.reconcile.provision import DRAINING

#: How often chargers on hosts are observed at most: for the time of their observation, the reasons of hosts, and deadlines.
ON_HOST_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Claim:
    """Chargers that one run observes."""

    #: With a service of their own, perhaps for a last time; detached from any session.
    chargers: Sequence[Charger]
    on_hosts: Sequence[str]  #: the ids of the others
    #: The ids of those whose running task must be found out: worker/logs/apply_links.py.
    links_in_doubt: set[str]
    at: datetime  #: the database's clock when they were claimed, which is before ECS is called


def claim_due(session: Session, timing: Timing, limit: int) -> Claim:
    """Claim up to `limit` chargers, and set when each is due again. Concurrent runs claim different chargers.

    That is after `observe_every_s` for a charger in transition, and after `observe_settled_every_s` for all others, but not
    sooner than after ON_HOST_EVERY_S for one on a host, whose news are written at once. A deleted charger is observed only
    while its service drains.
    """
    in_doubt = link_in_doubt(timing.settle_s)
    on_host = _is_on_host()
    in_transition = or_(
        Charger.deleted_at.is_not(None),
        Charger.observed_at.is_(None),
        Charger.settled_generation < Charger.generation,
        Charger.running_count != Charger.desired_count,
        Charger.pending_count != 0,
        in_doubt,
        Charger.rollout_hash.is_not(None),
    )
    due = (
        select(Charger.id)
        .where(
            Charger.observe_at <= func.now(),
            or_(Charger.deleted_at.is_(None), Charger.service_status == DRAINING),
        )
        .order_by(Charger.observe_at)
        .limit(limit)
        .with_for_update(key_share=True, skip_locked=True)
        .cte("due")  # executed once, so never more than the limit
    )
    rows = session.execute(
        update(Charger)
        .where(Charger.id.in_(select(due.c.id)))
        .values(
            observe_at=func.now()
            + func.greatest(
                case(
                    (in_transition, timedelta(seconds=timing.observe_every_s)),
                    else_=timedelta(seconds=timing.observe_settled_every_s),
                ),
                case((on_host, timedelta(seconds=ON_HOST_EVERY_S))),
            )
        )
        .returning(Charger, in_doubt, on_host)
        .execution_options(synchronize_session=False)
    ).all()
    now = session.scalars(select(func.now())).one()
    session.expunge_all()
    return Claim(
        chargers=[charger for charger, _, is_on_host in rows if not is_on_host],
        on_hosts=[charger.id for charger, _, is_on_host in rows if is_on_host],
        links_in_doubt={charger.id for charger, is_in_doubt, _ in rows if is_in_doubt},
        at=now,
    )


def _is_on_host() -> ColumnElement[bool]:
    """A charger on the move is where it still has something: on its host, or in ECS."""
    has_no_service = and_(Charger.placement == Placement.SHARED, Charger.task_definition_arn.is_(None))
    return or_(Charger.host_id.is_not(None), has_no_service)


def release(session: Session, chargers: Sequence[Charger]) -> None:
    """Make claimed chargers that were not observed due again, at once."""
    charger_ids = [charger.id for charger in chargers]
    lock_chargers(session, charger_ids)
    session.execute(
        update(Charger)
        .where(Charger.id.in_(charger_ids), Charger.observe_at.is_not(None))
        .values(observe_at=func.now())
    )
