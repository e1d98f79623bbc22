"""Delete the locations and chargers whose time is over (`expires_at`), as a client would."""

import structlog
from celery import Celery
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.broker.app import BROKER_ERRORS, send
from shared.database.engine import Sessions
from shared.fleet.locations.change import delete_location
from shared.fleet.removal import record_deletions
from shared.models import Charger, Location
from shared.queues import Message, TaskName
from worker.maintenance.sweep import MAX_WAITING

log = structlog.get_logger(__name__)

PORTION = 500  # chargers in one transaction
MAX_PORTIONS = 20  # in one run; the next one goes on
MAX_LOCATIONS = 100  # in one run
REQUESTED_BY = "chargehand"  # instead of the `sub` of a client's token


def expire_chargers(sessions: Sessions, celery: Celery) -> int:
    """Delete them, a portion in each transaction. Returns how many. Safe to repeat; concurrent runs share the work.

    A charger whose time was extended meanwhile stays. The sweep publishes what is not published here.
    """
    expired = 0
    for _ in range(MAX_PORTIONS):
        with sessions.begin() as session:
            due = _lock_due(session)
            receipts = record_deletions(session, list(due), requested_by=REQUESTED_BY, request_id=None)
        for receipt in receipts:
            log.info(
                "charger.expired",
                charger_id=receipt.charger_id,
                command_id=str(receipt.command_id),
                generation=receipt.generation,
                organization_id=due[receipt.charger_id],
            )
        if receipts:
            _publish(celery, [message for receipt in receipts for message in receipt.messages])
        expired += len(receipts)
        if len(due) < PORTION:
            break
    return expired


def expire_locations(sessions: Sessions) -> int:
    """Delete them, each in a transaction with the job that deletes its chargers. Returns how many.

    Safe to repeat; concurrent runs share the work. A location whose time was extended meanwhile stays.
    """
    for expired in range(MAX_LOCATIONS):
        with sessions.begin() as session:
            due = session.scalars(
                select(Location)
                .where(Location.expires_at <= func.now(), Location.deleted_at.is_(None))
                .order_by(Location.expires_at)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).one_or_none()
            if due is None:
                return expired
            organization_id, location_id = due.organization_id, due.id
            receipt = delete_location(
                session,
                organization_id=organization_id,
                location_id=location_id,
                requested_by=REQUESTED_BY,
                request_id=None,
            )
        log.info(
            "location.expired",
            location_id=location_id,
            organization_id=organization_id,
            job_id=receipt and receipt.job_id,
        )
    return MAX_LOCATIONS


def _lock_due(session: Session) -> dict[str, str]:
    """The organizations of the chargers to delete, by id. Leaves out those that another transaction has locked.

    PostgreSQL checks the newest version of a row when it locks it: one that was extended by then is not among them.
    """
    due = (
        select(Charger.id, Charger.organization_id)
        .where(Charger.expires_at <= func.now(), Charger.deleted_at.is_(None))
        .order_by(Charger.expires_at)
        .limit(PORTION)
        .with_for_update(key_share=True, skip_locked=True)
    )
    return {row.id: row.organization_id for row in session.execute(due)}


def _publish(celery: Celery, messages: list[tuple[TaskName, Message]]) -> None:
    try:
        send(celery, messages, max_waiting=MAX_WAITING)
    except BROKER_ERRORS as error:
        log.warning("broker.away", error=str(error), left_to_the_sweep=len(messages))
