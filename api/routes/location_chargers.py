"""The routes under /ocpp/locations/{location_id}/chargers: parse, call, answer."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from flask.typing import ResponseReturnValue

from api.http.auth import requester
from api.http.document.operations import Access, Operations
from api.http.jobs.schemas import MAX_JOB_BODY_BYTES
from api.http.location_chargers import examples
from api.http.location_chargers.schemas import (
    DeletedChargers,
    LocationChargerPage,
    LocationChargersQuery,
    LocationChargersQuerySchema,
    NamedChanges,
    NamedChargersQuery,
    NamedChargersQuerySchema,
    UpdatedChargers,
    UpdateLocationChargers,
)
from api.http.turns import in_turns
from api.resources import resources
from api.routes.submit import announce_many, requested_by, submit_updates
from shared.fleet.chargers import UpdateRequest
from shared.fleet.locations.chargers import PORTION, delete_portion, list_location_chargers, not_here
from shared.fleet.locations.scope import get_location
from shared.models import Charger

operations = Operations(
    "location_chargers",
    __name__,
    url_prefix="/ocpp/locations/<location_id:location_id>/chargers",
    access=Access.TENANT,
    description="The chargers of a location, many at once.",
)


@operations.operation(
    "GET",
    "",
    query=LocationChargersQuerySchema,
    answer=LocationChargerPage,
    errors=(400,),
    examples=examples.LISTED,
)
def list_chargers_of_location(query: LocationChargersQuery, location_id: str) -> ResponseReturnValue:
    """List location chargers

    Newest first. `charger_ids` may be repeated.
    """
    with resources().reads() as session:
        found = list_location_chargers(
            session,
            organization_id=requester().organization_id,
            location_id=location_id,
            charger_ids=query.charger_ids,
            page=query.page,
            limit=query.limit,
        )
    return {"data": found.rows, "total": found.total, "page": query.page, "limit": query.limit}


@operations.operation(
    "PUT",
    "",
    body=UpdateLocationChargers,
    answer=UpdatedChargers,
    examples=examples.UPDATED,
    max_body_bytes=MAX_JOB_BODY_BYTES,
)
def update_chargers_of_location(body: dict[str, list[NamedChanges]], location_id: str) -> ResponseReturnValue:
    """Update location chargers

    Each as in update_charger. Those that are not in the location, or whose changes break a rule, fail: nothing of them is
    changed, and they do not keep the others. A charger that is named twice gets the first of its items.
    """
    resources().open_quota.check(requester().organization_id)
    _check_location(location_id)
    requests: dict[str, UpdateRequest] = {}
    failed = []
    for item in body["chargers"]:
        if item.charger_id in requests:
            failed.append(_failed(item.charger_id, f"Charger {item.charger_id} is named more than once"))
        else:
            requests[item.charger_id] = UpdateRequest(item.charger_id, item.changes, **requested_by())
    updated: list[Charger] = []
    for ids in _portions(requests):
        portion = submit_updates([requests[charger_id] for charger_id in ids], location_id)
        updated += [portion.updated[charger_id] for charger_id in ids if charger_id in portion.updated]
        failed += [
            _failed(charger_id, portion.failed[charger_id])
            for charger_id in ids
            if charger_id in portion.failed
        ]
    return {
        "updated_count": len(updated),
        "failed_count": len(failed),
        "updated": in_turns(updated),
        "failed": failed,
    }


@operations.operation(
    "DELETE", "", query=NamedChargersQuerySchema, answer=DeletedChargers, examples=examples.DELETED
)
def delete_chargers_of_location(query: NamedChargersQuery, location_id: str) -> ResponseReturnValue:
    """Delete location chargers

    Those that are not in the location fail, and do not keep the others. Deleted chargers disappear at once; their ECS
    services are removed in the background. A repeat finds none of them.
    """
    _check_location(location_id)
    deleted: list[str] = []
    failed = []
    for portion in _portions(dict.fromkeys(query.charger_ids)):
        with resources().sessions.begin() as session:
            receipts = delete_portion(session, portion, location_id=location_id, **requested_by())
        announce_many(receipts)
        gone = {receipt.charger_id for receipt in receipts}
        deleted += [charger_id for charger_id in portion if charger_id in gone]
        failed += [
            _failed(charger_id, not_here(charger_id)) for charger_id in portion if charger_id not in gone
        ]
    return {
        "deleted_count": len(deleted),
        "failed_count": len(failed),
        "deleted": deleted,
        "failed": failed,
    }


def _check_location(location_id: str) -> None:
    """Raises LocationNotFound."""
    with resources().reads() as session:
        get_location(session, organization_id=requester().organization_id, location_id=location_id)


def _failed(charger_id: str, error: str) -> dict[str, str]:
    """As FailedCharger shows it."""
    return {"charger_id": charger_id, "error": error}


def _portions(charger_ids: Iterable[str]) -> Iterator[Sequence[str]]:
    ids = iter(charger_ids)
    while portion := tuple(islice(ids, PORTION)):
        yield portion
