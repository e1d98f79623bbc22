"""The routes under /ocpp/locations/{location_id}/chargers: parse, call, answer."""

from collections.abc import Iterator, Sequence
from itertools import islice

from flask.typing import ResponseReturnValue

from api.http.auth import requester
from api.http.document.operations import Access, Operations
from api.http.location_chargers import examples
from api.http.location_chargers.schemas import (
    DeletedChargers,
    LocationChargerPage,
    LocationChargersQuery,
    LocationChargersQuerySchema,
    NamedChargersQuery,
    NamedChargersQuerySchema,
)
from api.resources import resources
from api.routes.submit import announce_many, requested_by
from shared.fleet.locations.chargers import PORTION, delete_portion, list_location_chargers
from shared.fleet.locations.scope import get_location

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
            {"charger_id": charger_id, "error": f"Charger {charger_id} not found in this location"}
            for charger_id in portion
            if charger_id not in gone
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


def _portions(charger_ids: dict[str, None]) -> Iterator[Sequence[str]]:
    ids = iter(charger_ids)
    while portion := tuple(islice(ids, PORTION)):
        yield portion
