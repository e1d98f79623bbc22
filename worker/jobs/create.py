"""Insert the chargers of a job's portion, as create_charger does for one. The statements do not depend on their number."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from shared.fleet.creation import INSERT_CHARGERS
from shared.fleet.errors import LocationNotFound
from shared.fleet.jobs.create import NOT_CREATED
from shared.fleet.locations.scope import lock_location
from shared.fleet.removal import record_deletions
from shared.ids import new_command_id
from shared.models import Charger, ChargerCount, ChargerSettings, Command, Job, JobItem
from shared.queues import TASK_OF, message
from shared.vocabulary import EventType, ItemResult, Placement, ProvisioningStatus
from worker.jobs.portion import Messages, Portion


class _Item(NamedTuple):
    """A charger to be created."""

    position: int
    charger_id: str
    identity: str
    input: Mapping[str, Any]
    command_id: UUID


_NOTE = text("""
UPDATE job_items SET
    result = CASE WHEN given.command_id IS NULL THEN 'failed' ELSE 'requested' END,
    reason = CASE WHEN given.command_id IS NULL THEN :reason END,
    reason_code = CASE WHEN given.command_id IS NULL THEN :reason_code END,
    command_id = given.command_id,
    requested_at = CASE WHEN given.command_id IS NOT NULL THEN now() END,
    finished_at = CASE WHEN given.command_id IS NULL THEN now() END
FROM unnest(CAST(:positions AS integer[]), CAST(:command_ids AS uuid[])) AS given (position, command_id)
WHERE job_items.job_id = :job_id AND job_items.position = given.position
""")


def create_portion(
    session: Session, job: Job, now: datetime, max_items: int, *, max_chargers: int
) -> Portion:
    """Insert the chargers of up to `max_items` items that wait. The job is locked; `now` is the transaction's.

    An item fails at once when its location is deleted, its identity is taken, or the organization has `max_chargers`.
    What the items replace is deleted in a portion of its own, without items: a deletion locks the count of chargers, and who
    holds that lock must not wait for an identity that a single create has inserted.
    """
    items = _waiting(session, job, max_items)
    if not _keep_location(session, job):
        return _note(session, job, items, set(), "location_deleted")
    messages = _delete_replaced(session, job, items)
    if messages:
        return Portion(requested=0, recorded=0, skipped=0, messages=messages)
    room = max_chargers - _number_of_chargers(session, job.organization_id)
    if room < 1:
        return _note(session, job, items, set(), "quota_full")
    items = items[:room]
    savepoint = session.begin_nested()
    created = _insert(session, job, items, now)
    if _number_of_chargers(session, job.organization_id) > max_chargers:
        # Of others, created meanwhile. Now the count is exact: see _check_quota in shared/fleet/chargers.py.
        savepoint.rollback()
        return Portion(requested=0, recorded=0, skipped=0, messages=[])
    savepoint.commit()
    return _note(session, job, items, created, "identity_taken")


def _waiting(session: Session, job: Job, max_items: int) -> list[_Item]:
    rows = session.execute(
        select(JobItem.position, JobItem.charger_id, JobItem.identity, JobItem.input)
        .where(JobItem.job_id == job.id, JobItem.result == ItemResult.WAITING)
        .order_by(JobItem.position)
        .limit(max_items)
    )
    return [_Item(row.position, row.charger_id, row.identity, row.input, new_command_id()) for row in rows]


def _keep_location(session: Session, job: Job) -> bool:
    """Keep the location from being deleted until the transaction ends. False if it is deleted already."""
    try:
        lock_location(session, organization_id=job.organization_id, location_id=job.location_id or "")
    except LocationNotFound:
        return False
    return True


def _delete_replaced(session: Session, job: Job, items: Sequence[_Item]) -> Messages:
    """Delete the chargers that the items replace, whose provisioning failed. Returns the messages of their commands."""
    replaced = [item.input["instead_of"] for item in items if "instead_of" in item.input]
    if not replaced:
        return []
    failed = session.scalars(
        select(Charger.id)
        .where(
            Charger.id.in_(replaced),
            Charger.organization_id == job.organization_id,
            Charger.deleted_at.is_(None),
            Charger.provisioning_status == ProvisioningStatus.FAILED,
        )
        .order_by(Charger.id)
        .with_for_update(key_share=True)
    ).all()
    receipts = record_deletions(session, failed, requested_by=job.requested_by, request_id=job.request_id)
    return [hint for receipt in receipts for hint in receipt.messages]


def _number_of_chargers(session: Session, organization_id: str) -> int:
    of_organization = ChargerCount.organization_id == organization_id
    return session.scalar(select(ChargerCount.chargers).where(of_organization)) or 0


def _insert(session: Session, job: Job, items: Sequence[_Item], now: datetime) -> set[str]:
    """Insert the chargers with their commands and settings. Returns the ids, without those whose identity is taken.

    Of several with one identity the first is inserted. In the order of identities: who inserts one that another
    transaction has inserted waits for that transaction.
    """
    groups = (job.input or {})["groups"]
    in_order = sorted(items, key=lambda item: (item.identity, item.position))
    rows = [_row_of(job, item, groups[item.input["group"]], now) for item in in_order]
    created = set(session.scalars(INSERT_CHARGERS.returning(Charger.id), rows))
    inserted = [item for item in in_order if item.charger_id in created]
    if inserted:
        session.execute(insert(Command), [_command_of(job, item) for item in inserted])
    settings = list(_settings_of(inserted, groups))
    if settings:
        session.execute(insert(ChargerSettings), settings)
    return created


def _row_of(job: Job, item: _Item, group: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    of_job = job.input or {}
    ttl_s = of_job["ttl_seconds"] if group["ttl_seconds"] is None else group["ttl_seconds"]
    return {
        "id": item.charger_id,
        "organization_id": job.organization_id,
        "identity": item.identity,
        "name": item.input.get("name"),
        "location_id": job.location_id,
        **group["columns"],
        # Jobs of a release that did not know hosts have none.
        "placement": group.get("placement", Placement.DEDICATED.value),
        "expires_at": None if ttl_s is None else now + timedelta(seconds=ttl_s),
        "workflow_run_id": of_job["workflow_run_id"],
        "newest_command_id": item.command_id,
    }


def _command_of(job: Job, item: _Item) -> dict[str, Any]:
    return {
        "id": item.command_id,
        "charger_id": item.charger_id,
        "organization_id": job.organization_id,
        "event_type": EventType.CREATE_CHARGER.value,
        "generation": 1,
        "requested_by": job.requested_by,
        "request_id": job.request_id,
        "job_id": job.id,
    }


def _settings_of(items: Sequence[_Item], groups: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        group = groups[item.input["group"]]
        if group["settings"] or group["sealed"]:
            yield {
                "charger_id": item.charger_id,
                "revision": 1,
                "settings": group["settings"],
                "sealed": group["sealed"],
            }


def _note(session: Session, job: Job, items: Sequence[_Item], created: set[str], reason_code: str) -> Portion:
    """Note what became of the items: those that are not created have failed for the reason."""
    session.execute(
        _NOTE,
        {
            "job_id": job.id,
            "positions": [item.position for item in items],
            "command_ids": [item.command_id if item.charger_id in created else None for item in items],
            "reason": NOT_CREATED[reason_code],
            "reason_code": reason_code,
        },
    )
    creates: Messages = [
        (
            TASK_OF[EventType.CREATE_CHARGER],
            message(
                charger_id=item.charger_id,
                command_id=item.command_id,
                event_type=EventType.CREATE_CHARGER,
                generation=1,
                desired_count=1,
            ),
        )
        for item in items
        if item.charger_id in created
    ]
    return Portion(
        requested=len(creates),
        recorded=len(creates),
        skipped=0,
        failed=len(items) - len(creates),
        messages=creates,
    )
