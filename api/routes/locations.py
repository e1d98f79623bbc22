"""The routes under /ocpp/locations: parse, call, answer."""

from collections.abc import Mapping
from typing import Any

import structlog
from flask import Response
from flask.typing import ResponseReturnValue

from api.http.auth import requester
from api.http.document.operations import Access, Operations
from api.http.idempotency_key import REPLAYED_HEADER, this_attempt
from api.http.locations import examples
from api.http.locations.schemas import (
    CreateLocation,
    LocationAnswer,
    LocationPage,
    LocationsQuery,
    LocationsQuerySchema,
    UpdateLocation,
)
from api.resources import resources
from api.routes.submit import requested_by
from shared.fleet.idempotency import claim, store_receipt
from shared.fleet.locations import change, read, scope
from shared.fleet.locations.change import NewLocation
from shared.models import Location
from shared.queues import TaskName

log = structlog.get_logger(__name__)

operations = Operations(
    "locations",
    __name__,
    url_prefix="/ocpp/locations",
    access=Access.TENANT,
    description="The sites that chargers belong to.",
)
LOCATION = "/<location_id:location_id>"


@operations.operation("GET", "", query=LocationsQuerySchema, answer=LocationPage, examples=examples.LOCATIONS)
def list_locations(query: LocationsQuery) -> ResponseReturnValue:
    """List locations

    Newest first.
    """
    with resources().reads() as session:
        found = read.list_locations(
            session,
            organization_id=requester().organization_id,
            labels=query.labels,
            page=query.page,
            limit=query.limit,
        )
    return {"data": found.rows, "total": found.total, "page": query.page, "limit": query.limit}


@operations.operation(
    "POST", "", status=201, body=CreateLocation, answer=LocationAnswer, examples=examples.CREATED
)
def create_location(location: NewLocation) -> ResponseReturnValue:
    """Create location

    A repeat stores another location, unless it has the first one's Idempotency-Key.
    """
    organization_id = requester().organization_id
    attempt = this_attempt()
    created: Any  # a row
    with resources().sessions.begin() as session:
        replayed = claim(session, attempt, lambda stored: str(stored["location_id"])) if attempt else None
        if replayed is None:
            created = change.create_location(session, location, organization_id=organization_id)
            if attempt is not None:
                store_receipt(session, attempt, {"location_id": created.id})
        else:
            created = session.get_one(Location, (organization_id, replayed))
    if replayed is not None:
        return created, 201, {REPLAYED_HEADER: "true"}
    log.info("location.created", location_id=created.id, organization_id=organization_id)
    return created, 201


@operations.operation("GET", LOCATION, answer=LocationAnswer, examples=examples.LOCATION)
def get_location(location_id: str) -> Location:
    """Get location"""
    with resources().reads() as session:
        return scope.get_location(
            session, organization_id=requester().organization_id, location_id=location_id
        )


@operations.operation("PUT", LOCATION, body=UpdateLocation, answer=LocationAnswer, examples=examples.UPDATED)
def update_location(changes: Mapping[str, Any], location_id: str) -> Location:
    """Update location

    Only the keys that are present change.
    """
    with resources().sessions.begin() as session:
        return change.update_location(
            session, changes, organization_id=requester().organization_id, location_id=location_id
        )


@operations.operation("DELETE", LOCATION, status=204)
def delete_location(location_id: str) -> Response:
    """Delete location

    With its chargers: a job deletes them, a portion at a time, and `GET /ocpp/jobs` shows it. A second deletion is a 204 too.
    """
    client = requested_by()
    with resources().sessions.begin() as session:
        job = change.delete_location(session, location_id=location_id, **client)
    if job is not None:
        resources().publisher.publish([(TaskName.RUN_JOBS, {})])
    log.info(
        "location.deleted",
        location_id=location_id,
        organization_id=client["organization_id"],
        job_id=None if job is None else job.job_id,
        chargers=0 if job is None else job.total,
    )
    return Response(status=204)
