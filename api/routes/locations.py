"""The routes under /ocpp/locations: parse, call, answer."""

from collections.abc import Mapping
from time import monotonic
from typing import Any

import structlog
from flask import Response, g
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from api.http.auth import requester
from api.http.document.operations import Access, Operations
from api.http.groups.answers import status_url
from api.http.idempotency_key import REPLAYED_HEADER, this_attempt
from api.http.locations import examples
from api.http.locations.answers import all_shown, shown
from api.http.locations.schemas import (
    CreatedLocation,
    CreateLocation,
    LocationAnswer,
    LocationCreated,
    LocationPage,
    LocationsQuery,
    LocationsQuerySchema,
    ShareAnswer,
    UpdateLocation,
    WaitForShare,
)
from api.http.queries import WaitQuery, WaitQuerySchema
from api.http.waits import slot_to_wait
from api.resources import resources
from api.routes.submit import requested_by
from shared.fleet.idempotency import claim, store_receipt
from shared.fleet.locations import change, read, scope
from shared.fleet.locations.from_template import create_from_template
from shared.fleet.locations.standing import Standing, list_not_accepted, read_standing
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
POLL_S = 0.5  # between two counts of the chargers that a request waits for, at least
COUNTING = 0.1  # of the time that a request waits, at most: a count of 100,000 chargers takes 0.3 s
MAX_LISTED = 100  # chargers that are not accepted


@operations.operation("GET", "", query=LocationsQuerySchema, answer=LocationPage, examples=examples.LOCATIONS)
def list_locations(query: LocationsQuery) -> ResponseReturnValue:
    """List locations

    Newest first.
    """
    organization_id = requester().organization_id
    with resources().reads() as session:
        found = read.list_locations(
            session,
            organization_id=organization_id,
            labels=query.labels,
            page=query.page,
            limit=query.limit,
        )
        data = all_shown(session, found.rows, organization_id=organization_id)
    return {"data": data, "total": found.total, "page": query.page, "limit": query.limit}


@operations.operation(
    "POST", "", status=201, body=CreateLocation, answer=LocationCreated, examples=examples.CREATED
)
def create_location(new: CreatedLocation) -> ResponseReturnValue:
    """Create location

    With `template_slug`, a job creates the chargers of the template: `status_url` shows how far it is. A repeat stores another
    location, unless it has the first one's Idempotency-Key.
    """
    organization_id = requester().organization_id
    attempt = this_attempt()
    with resources().sessions.begin() as session:
        receipt = claim(session, attempt, dict) if attempt else None
        replayed = receipt is not None
        if receipt is None:
            receipt = _create(session, new)
            if attempt is not None:
                store_receipt(session, attempt, receipt)
        created = session.get_one(Location, (organization_id, receipt["location_id"]))
        body = shown(session, created)
    if (job_id := receipt.get("job_id")) is not None:
        body |= {"job_id": str(job_id), "status_url": status_url(created.id, job_id)}
    if replayed:
        return body, 201, {REPLAYED_HEADER: "true"}
    if job_id is not None:
        resources().publisher.publish([(TaskName.RUN_JOBS, {})])
    log.info("location.created", location_id=created.id, job_id=job_id, organization_id=organization_id)
    return body, 201


def _create(session: Session, new: CreatedLocation) -> dict[str, Any]:
    """Store the location, and with a template the job that creates its chargers. Returns their ids. Raises TooManyJobs."""
    if new.chargers is None:
        location = change.create_location(session, new.location, organization_id=requester().organization_id)
        return {"location_id": location.id}
    site = create_from_template(
        session,
        new.location,
        new.chargers,
        body_digests=resources().sealer.digests(g.body),
        max_open=resources().settings.open_jobs_per_organization,
        sealer=resources().sealer,
        **requested_by(),
    )
    return {"location_id": site.location.id, "job_id": site.job.job_id}


@operations.operation("GET", LOCATION, answer=LocationAnswer, examples=examples.LOCATION)
def get_location(location_id: str) -> dict[str, Any]:
    """Get location"""
    with resources().reads() as session:
        found = scope.get_location(
            session, organization_id=requester().organization_id, location_id=location_id
        )
        return shown(session, found)


@operations.operation("PUT", LOCATION, body=UpdateLocation, answer=LocationAnswer, examples=examples.UPDATED)
def update_location(changes: Mapping[str, Any], location_id: str) -> dict[str, Any]:
    """Update location

    Only the keys that are present change.
    """
    with resources().sessions.begin() as session:
        changed = change.update_location(
            session, changes, organization_id=requester().organization_id, location_id=location_id
        )
        return shown(session, changed)


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


@operations.operation(
    "POST",
    f"{LOCATION}/wait",
    query=WaitQuerySchema,
    body=WaitForShare,
    answer=ShareAnswer,
    examples=examples.WAITED,
)
def wait_for_location(body: Mapping[str, Any], query: WaitQuery, location_id: str) -> dict[str, Any]:
    """Wait for the chargers of a location

    With `wait`, answers when the CSMS has accepted that share of the chargers, when it no longer can (others are stopped, or
    their provisioning failed), or when the time is up. Chargers that an open job still creates count as not accepted.
    """
    place = {"organization_id": requester().organization_id, "location_id": location_id}
    share = body["share"]
    standing = _standing(place)
    if query.wait_s and not standing.has(share) and standing.can_have(share):
        with slot_to_wait() as may_wait:
            if may_wait:
                standing = _wait(place, share, monotonic() + query.wait_s)
    with resources().reads() as session:
        others = list_not_accepted(session, **place, limit=MAX_LISTED)
    return {
        "reached": standing.has(share),
        "total": standing.total,
        "needed": standing.needed(share),
        "accepted": standing.accepted,
        "impossible": standing.impossible,
        "not_accepted": others,
    }


def _wait(place: dict[str, str], share: float, until: float) -> Standing:
    """How far the location is when the share is reached or cannot be, when the time is up, or when the server ends."""
    while True:
        started = monotonic()
        standing = _standing(place)
        now = monotonic()
        if standing.has(share) or not standing.can_have(share) or now >= until:
            return standing
        pause_s = max(POLL_S, (now - started) / COUNTING)
        if resources().watcher.pause(min(pause_s, until - now)):
            return standing


def _standing(place: dict[str, str]) -> Standing:
    with resources().reads() as session:
        scope.get_location(session, **place)
        return read_standing(session, **place)
