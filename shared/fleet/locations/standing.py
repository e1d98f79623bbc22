"""How many of a location's chargers their CSMSs have accepted, and why not the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from sqlalchemy import ColumnElement, and_, func, not_, or_, select
from sqlalchemy.orm import Session, joinedload

from shared.fleet.attention import attention_reason
from shared.fleet.listing.filters import is_live
from shared.fleet.observed import observed_state
from shared.models import Charger, Job
from shared.vocabulary import JobAction, JobStatus, ObservedState, OcppState, ProvisioningStatus

#: The CSMS accepted what runs now, and no command is open. A restart whose command is final runs another process, whose link
#: is not the one before.
IS_ACCEPTED: ColumnElement[bool] = and_(
    Charger.desired_count == 1,
    Charger.running_count == 1,
    func.coalesce(Charger.link_state, "") == OcppState.ACCEPTED,
    Charger.settled_generation >= Charger.generation,
)
CANNOT_BE: ColumnElement[bool] = or_(
    Charger.desired_count == 0, Charger.provisioning_status == ProvisioningStatus.FAILED
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a location is."""

    total: int  #: chargers, with those that an open job still creates
    accepted: int
    impossible: int  #: stopped ones, and those whose provisioning failed

    def needed(self, share: float) -> int:
        """How many chargers that share is."""
        return ceil(round(share * self.total, 6))

    def has(self, share: float) -> bool:
        """Whether that share is accepted. No share of no chargers is."""
        return self.total > 0 and self.accepted >= self.needed(share)

    def can_have(self, share: float) -> bool:
        """Whether it may be, if no charger is stopped, started or created meanwhile."""
        return self.total > 0 and self.total - self.impossible >= self.needed(share)


@dataclass(frozen=True, slots=True)
class NotAccepted:
    charger_id: str
    identity: str
    observed: str
    ocpp_state: str | None
    reason: str


def read_standing(session: Session, *, organization_id: str, location_id: str) -> Standing:
    """Counts the location's chargers, by their own rows only.

    In one statement, so that a charger that a job creates meanwhile is neither missing nor counted twice.
    """
    still_created = (
        select(func.coalesce(func.sum(Job.waiting), 0))
        .where(
            Job.organization_id == organization_id,
            Job.finished_at.is_(None),
            Job.location_id == location_id,
            Job.action == JobAction.CREATE,
            Job.status != JobStatus.CANCELLED,
        )
        .scalar_subquery()
    )
    there, to_come, accepted, impossible = session.execute(
        select(
            func.count(),
            still_created,
            func.count().filter(IS_ACCEPTED),
            func.count().filter(CANNOT_BE),
        ).where(*is_live(organization_id), Charger.location_id == location_id)
    ).one()
    return Standing(there + int(to_come), accepted, impossible)


def list_not_accepted(
    session: Session, *, organization_id: str, location_id: str, limit: int
) -> Sequence[NotAccepted]:
    """The first of the location's chargers that are not accepted, oldest first, with the reasons."""
    rows = session.scalars(
        select(Charger)
        .where(*is_live(organization_id), Charger.location_id == location_id, not_(IS_ACCEPTED))
        .options(joinedload(Charger.link), joinedload(Charger.command))
        .order_by(Charger.id)
        .limit(limit)
        .execution_options(populate_existing=True)
    )
    return [_not_accepted(charger) for charger in rows]


def _not_accepted(charger: Charger) -> NotAccepted:
    observed = observed_state(charger)
    return NotAccepted(charger.id, charger.identity, observed, charger.link_state, _reason(charger, observed))


def _reason(charger: Charger, observed: ObservedState) -> str:
    if observed == ObservedState.STOPPED and charger.provisioning_status != ProvisioningStatus.FAILED:
        return "It is stopped"
    if observed == ObservedState.RUNNING and charger.link_state == OcppState.ACCEPTED:
        return "Its newest command is not final yet"
    return attention_reason(charger, observed)
