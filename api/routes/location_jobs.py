"""The routes that create the chargers of a location, as a job, and show how far it is."""

from typing import Any

from flask import g
from flask.typing import ResponseReturnValue

from api.http.auth import requester
from api.http.document.operations import Access, Operations
from api.http.groups import answers, examples
from api.http.groups.schemas import ChargerGroups, CreateManyQuery, CreateManyQuerySchema
from api.http.jobs.schemas import MAX_JOB_BODY_BYTES
from api.http.queries import WaitQuery, WaitQuerySchema
from api.http.waits import wait_for
from api.live.watcher import Finished
from api.resources import resources
from api.routes.submit import requested_by
from api.routes.submit_job import headers_of, submit_job
from shared.fleet.jobs import created
from shared.fleet.jobs.create import CreateManyRequest, Group
from shared.fleet.jobs.read import ShownJob

operations = Operations(
    "location_jobs",
    __name__,
    url_prefix="/ocpp/locations/<location_id:location_id>/chargers",
    access=Access.TENANT,
    description="Creates many chargers at a location, as a job.",
)


@operations.operation(
    "POST",
    "",
    status=202,
    query=CreateManyQuerySchema,
    body=ChargerGroups,
    max_body_bytes=MAX_JOB_BODY_BYTES,
    answer=answers.ChargersAccepted,
    when_final="",
    examples=examples.ACCEPTED,
)
def create_location_chargers(
    groups: list[Group], query: CreateManyQuery, location_id: str
) -> ResponseReturnValue:
    """Create location chargers

    Answers as soon as the job is stored, with up to 10,000 chargers. Poll `status_url` until it is READY: then `results`
    says what became of each charger. A repeat with the same body, while the job is open, answers with the same job.
    """
    request = CreateManyRequest(
        location_id=location_id,
        groups=tuple(groups),
        body_digests=_digests(query),
        rate_per_second=query.rate_per_second,
        ttl_seconds=query.ttl_seconds,
        **requested_by(),
    )
    receipt = submit_job(request)
    body = answers.accepted(receipt, location_id)
    return body, 202, headers_of(receipt, body["status_url"])


@operations.operation(
    "GET",
    "/jobs/<job_id:job_id>",
    query=WaitQuerySchema,
    answer=answers.ChargersJob,
    examples=examples.JOB,
)
def get_location_chargers_job(query: WaitQuery, location_id: str, job_id: str) -> dict[str, Any]:
    """Get location chargers job

    With `wait`, answers when it is READY. `GET /ocpp/jobs/{job_id}` shows the same job, which can be paused, resumed,
    cancelled and tried again there.
    """
    found = _read(location_id, job_id)
    if query.wait_s and found.job.finished_at is None and wait_for(Finished(found.job.id), query.wait_s):
        found = _read(location_id, job_id)
    shown = answers.shown_job(found)
    if found.job.finished_at is not None:
        with resources().reads() as session:
            failed = created.failed_items(session, found.job)
            shown["results"] = answers.results(found, created.created_chargers(session, found.job), failed)
    return shown


def _read(location_id: str, job_id: str) -> ShownJob:
    with resources().reads() as session:
        return created.get_creation(
            session,
            organization_id=requester().organization_id,
            location_id=location_id,
            job_id=int(job_id),
        )


def _digests(query: CreateManyQuery) -> tuple[bytes, ...]:
    """Of all that the client chose."""
    chosen = f"{query.rate_per_second} {query.ttl_seconds} ".encode()
    return resources().sealer.digests(chosen + g.body)
