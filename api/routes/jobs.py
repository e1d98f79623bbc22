"""The routes of jobs: one request for many chargers, and how far it is. Beyond the contract."""

from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from flask import g, jsonify
from flask.typing import ResponseReturnValue

from api.http.auth import requester
from api.http.document.operations import Access, Instead, Operations
from api.http.jobs import answers, examples
from api.http.jobs.schemas import (
    MAX_JOB_BODY_BYTES,
    CreateJob,
    CreateLocationJob,
    ItemsQuery,
    ItemsQuerySchema,
    JobListQuery,
    JobListQuerySchema,
    NewJob,
)
from api.http.queries import WaitQuery, WaitQuerySchema
from api.http.schemas import Ignored
from api.http.waits import wait_for
from api.live.watcher import Finished
from api.resources import resources
from api.routes.submit import requested_by
from api.routes.submit_job import headers_of, submit_job
from shared.fleet.jobs import accept, read
from shared.fleet.jobs.accept import JobReceipt, JobRequest
from shared.fleet.jobs.read import RetryRequest, ShownJob
from shared.queues import TaskName
from shared.vocabulary import JobAction, JobStatus

log = structlog.get_logger(__name__)

operations = Operations(
    "jobs",
    __name__,
    url_prefix="/ocpp",
    access=Access.TENANT,
    description="One request for many chargers: workers record the commands a portion at a time. Beyond the contract.",
)
_accepting = partial(operations.operation, "POST", status=202, answer=answers.JobAccepted, when_final="")
_for_many = partial(
    _accepting,
    body=CreateJob,
    max_body_bytes=MAX_JOB_BODY_BYTES,
    instead=Instead(answers.JobPreviewAnswer, "With `dry_run`: what the job would act on.", examples.PREVIEW),
)


_for_location = partial(
    _accepting,
    body=CreateLocationJob,
    instead=Instead(answers.JobPreviewAnswer, "With `dry_run`: what the job would act on.", examples.PREVIEW),
)
_changing = partial(operations.operation, "POST", body=Ignored, answer=answers.JobAnswer)


@_for_many("/chargers/start", examples=examples.of_lifecycle("start"))
def start_chargers(job: NewJob) -> ResponseReturnValue:
    """Start many chargers

    Answers as soon as the job is stored. Workers then record the commands, a portion at a time: `status_url` shows how far
    they are. A charger that gets a newer command meanwhile is skipped.
    """
    return _submit(JobAction.START, job)


@_for_many("/chargers/stop", examples=examples.of_lifecycle("stop"))
def stop_chargers(job: NewJob) -> ResponseReturnValue:
    """Stop many chargers

    As start_chargers.
    """
    return _submit(JobAction.STOP, job)


@_for_many("/chargers/restart", examples=examples.of_lifecycle("restart"))
def restart_chargers(job: NewJob) -> ResponseReturnValue:
    """Restart many chargers

    As start_chargers. A stopped charger starts.
    """
    return _submit(JobAction.RESTART, job)


@_for_many("/chargers/delete", examples=examples.of_lifecycle("delete"))
def delete_chargers(job: NewJob) -> ResponseReturnValue:
    """Delete many chargers

    As start_chargers, but no newer command keeps a charger.
    """
    return _submit(JobAction.DELETE, job)


@_for_location("/locations/<location_id:location_id>/start-chargers", examples=examples.of_location("start"))
def start_location(job: NewJob, location_id: str) -> ResponseReturnValue:
    """Start the chargers of a location

    As start_chargers.
    """
    return _submit(JobAction.START, _at(location_id, job))


@_for_location("/locations/<location_id:location_id>/stop-chargers", examples=examples.of_location("stop"))
def stop_location(job: NewJob, location_id: str) -> ResponseReturnValue:
    """Stop the chargers of a location

    As start_chargers.
    """
    return _submit(JobAction.STOP, _at(location_id, job))


@_for_location(
    "/locations/<location_id:location_id>/reset-chargers", examples=examples.of_location("restart")
)
def restart_location(job: NewJob, location_id: str) -> ResponseReturnValue:
    """Restart the chargers of a location

    As start_chargers. A stopped charger starts.
    """
    return _submit(JobAction.RESTART, _at(location_id, job))


@operations.operation(
    "GET", "/jobs", query=JobListQuerySchema, answer=answers.JobPage, examples=examples.JOBS
)
def list_jobs(query: JobListQuery) -> ResponseReturnValue:
    """List jobs

    Newest first. A job is kept as long as commands are (`COMMANDS_KEPT_DAYS`).
    """
    with resources().reads() as session:
        found = read.list_jobs(
            session,
            organization_id=requester().organization_id,
            statuses=query.status,
            actions=query.action,
            location_id=query.location_id,
            page=query.page,
            limit=query.limit,
        )
    data = [answers.shown(row) for row in found.rows]
    return {"data": data, "total": found.total, "page": query.page, "limit": query.limit}


@operations.operation(
    "GET",
    "/jobs/<job_id:job_id>",
    query=WaitQuerySchema,
    answer=answers.JobAnswer,
    examples=examples.JOB,
)
def get_job(query: WaitQuery, job_id: str) -> dict[str, Any]:
    """Get a job

    With `wait`, answers when it is final.
    """
    found = _read(job_id)
    if query.wait_s and found.job.finished_at is None and wait_for(Finished(found.job.id), query.wait_s):
        found = _read(job_id)
    return answers.shown(found)


@operations.operation(
    "GET",
    "/jobs/<job_id:job_id>/items",
    query=ItemsQuerySchema,
    answer=answers.JobItemPage,
    examples=examples.ITEMS,
)
def list_job_items(query: ItemsQuery, job_id: str) -> ResponseReturnValue:
    """List a job's chargers

    Each with its result, and the reason if it did not succeed.
    """
    with resources().reads() as session:
        found = read.list_items(
            session,
            organization_id=requester().organization_id,
            job_id=int(job_id),
            results=query.result,
            page=query.page,
            limit=query.limit,
        )
    return {"data": found.rows, "total": found.total, "page": query.page, "limit": query.limit}


@_changing("/jobs/<job_id:job_id>/pause", examples=examples.PAUSED)
def pause_job(_body: object, job_id: str) -> dict[str, Any]:
    """Pause a job

    It records no further commands. Those that are recorded go on.
    """
    return _change(job_id, JobStatus.PAUSED)


@_changing("/jobs/<job_id:job_id>/resume", examples=examples.JOB)
def resume_job(_body: object, job_id: str) -> dict[str, Any]:
    """Resume a job

    A ramp begins again with its rate: it does not catch up.
    """
    return _change(job_id, JobStatus.RUNNING)


@_changing("/jobs/<job_id:job_id>/cancel", examples=examples.CANCELLED)
def cancel_job(_body: object, job_id: str) -> dict[str, Any]:
    """Cancel a job

    Chargers whose commands are not recorded yet are left as they are. Commands that are recorded go on.
    """
    return _change(job_id, JobStatus.CANCELLED)


@_accepting("/jobs/<job_id:job_id>/retry", body=Ignored, examples=examples.RETRY)
def retry_job(_body: object, job_id: str) -> ResponseReturnValue:
    """Try what failed again

    Makes a new job for the chargers whose commands failed and that still exist, with the same action and rate. Of a job that
    creates chargers: for those that were not created, with the same identities and new ids; a charger of that job whose
    provisioning failed is deleted first.
    """
    return _answer(submit_job(RetryRequest(int(job_id), **requested_by())))


def _at(location_id: str, job: NewJob) -> NewJob:
    """The same of the location's chargers only."""
    return replace(job, selection=replace(job.selection, location_id=location_id))


def _submit(action: JobAction, job: NewJob) -> ResponseReturnValue:
    request = JobRequest(
        action=action,
        selection=job.selection,
        expected_count=job.expected_count,
        rate_per_second=job.rate_per_second,
        **requested_by(),
    )
    if job.dry_run:
        with resources().reads() as session:
            preview = accept.preview_job(session, request)
        return jsonify(answers.previewed(preview))
    return _answer(submit_job(request))


def _answer(receipt: JobReceipt) -> ResponseReturnValue:
    body = answers.accepted(receipt)
    return body, 202, headers_of(receipt, body["status_url"])


def _change(job_id: str, status: JobStatus) -> dict[str, Any]:
    client = requester()
    with resources().sessions.begin() as session:
        found = read.change_job(
            session,
            organization_id=client.organization_id,
            job_id=int(job_id),
            status=status,
            changed_by=client.subject,
        )
    resources().publisher.publish([(TaskName.RUN_JOBS, {})])
    log.info(
        "job.changed",
        job_id=found.job.id,
        status=status,
        changed_by=client.subject,
        organization_id=client.organization_id,
        request_id=g.request_id,
    )
    return answers.shown(found)


def _read(job_id: str) -> ShownJob:
    with resources().reads() as session:
        return read.get_job(session, organization_id=requester().organization_id, job_id=int(job_id))
