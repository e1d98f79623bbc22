"""The answers about jobs."""

from typing import Any

from marshmallow import Schema, fields

from api.http.fields.fields import Instant
from shared.fleet.jobs.accept import JobPreview, JobReceipt
from shared.fleet.jobs.estimate import eta_s
from shared.fleet.jobs.read import ShownJob
from shared.fleet.jobs.verdict import SKIPPED
from shared.models import Job
from shared.vocabulary import ItemResult, JobAction, JobStatus

_ACTIONS = {"enum": [str(action) for action in JobAction]}


class JobAccepted(Schema):
    job_id = fields.String(required=True)
    action = fields.String(required=True, metadata=_ACTIONS)
    total = fields.Integer(required=True, metadata={"description": "Its chargers."})
    status_url = fields.String(required=True)


class SampleCharger(Schema):
    id = fields.String(required=True)
    identity = fields.String(required=True)


class LeftOut(Schema):
    reason = fields.String(required=True)
    reason_code = fields.String(required=True, metadata={"enum": [*SKIPPED]})
    count = fields.Integer(required=True)


class JobPreviewAnswer(Schema):
    """What a job would act on. Nothing is stored."""

    total = fields.Integer(required=True, metadata={"description": "Chargers, with those that are left out."})
    sample = fields.List(
        fields.Nested(SampleCharger), required=True, metadata={"description": "The first five."}
    )
    left_out = fields.List(
        fields.Nested(LeftOut),
        required=True,
        metadata={"description": "Those that would get no command, by reason."},
    )


Counts = Schema.from_dict(
    {result.value: fields.Integer(required=True) for result in ItemResult}, name="JobCounts"
)


class JobAnswer(Schema):
    id = fields.String(required=True)
    action = fields.String(required=True, metadata=_ACTIONS)
    location_id = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Of a job that began at a location; null for any other."},
    )
    status = fields.String(
        required=True,
        metadata={
            "enum": [str(status) for status in JobStatus],
            "description": "The job is final when it has `finished_at`.",
        },
    )
    total = fields.Integer(required=True)
    counts = fields.Nested(Counts, required=True, metadata={"description": "Its chargers by result."})
    rate_per_second = fields.Float(required=True, allow_none=True)
    requested_by = fields.String(required=True)
    retry_of = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The job whose failed chargers it repeats."},
    )
    created_at = Instant(required=True)
    finished_at = Instant(required=True, allow_none=True)
    eta_s = fields.Float(
        required=True,
        allow_none=True,
        metadata={
            "description": "Seconds until it is final, from its rate and the pace of the last minute; null when unknown."
        },
    )
    waits_for = fields.String(
        required=True, allow_none=True, metadata={"description": "What holds it up, as a sentence."}
    )


class JobItemAnswer(Schema):
    position = fields.Integer(required=True, metadata={"description": "From 1: the order of the commands."})
    charger_id = fields.String(required=True)
    identity = fields.String(required=True, metadata={"description": "When the job was accepted."})
    result = fields.String(required=True, metadata={"enum": [str(result) for result in ItemResult]})
    reason = fields.String(required=True, allow_none=True)
    reason_code = fields.String(
        required=True, allow_none=True, metadata={"description": "The reason as a code of docs/errors.md."}
    )
    command_id = fields.String(required=True, allow_none=True)
    requested_at = Instant(required=True, allow_none=True)
    finished_at = Instant(required=True, allow_none=True)


def _page(name: str, rows: type[Schema]) -> type[Schema]:
    return Schema.from_dict(
        {
            "data": fields.List(fields.Nested(rows), required=True),
            "total": fields.Integer(required=True),
            "page": fields.Integer(required=True),
            "limit": fields.Integer(required=True),
        },
        name=name,
    )


JobPage = _page("JobPage", JobAnswer)
JobItemPage = _page("JobItemPage", JobItemAnswer)


def status_url(job_id: int) -> str:
    return f"/ocpp/jobs/{job_id}"


def accepted(receipt: JobReceipt) -> dict[str, Any]:
    """As JobAccepted shows it."""
    return {
        "job_id": str(receipt.job_id),
        "action": receipt.action,
        "total": receipt.total,
        "status_url": status_url(receipt.job_id),
    }


def previewed(preview: JobPreview) -> dict[str, Any]:
    """As JobPreviewAnswer shows it."""
    left_out = [
        {"reason": SKIPPED[code], "reason_code": code, "count": count}
        for code, count in preview.left_out.items()
    ]
    return {"total": preview.total, "sample": list(preview.sample), "left_out": left_out}


def shown(found: ShownJob) -> dict[str, Any]:
    """As JobAnswer shows it."""
    job = found.job
    eta = eta_s(job)
    return {
        **{
            name: getattr(job, name)
            for name in ("action", "location_id", "status", "total", "rate_per_second")
        },
        **{name: getattr(job, name) for name in ("requested_by", "created_at", "finished_at")},
        "id": str(job.id),
        "retry_of": None if job.retry_of is None else str(job.retry_of),
        "counts": {result.value: getattr(job, result) for result in ItemResult},
        "eta_s": None if eta is None else round(eta, 1),
        "waits_for": _waits_for(job),
    }


def _waits_for(job: Job) -> str | None:
    if job.finished_at is not None:
        return None
    if job.status == JobStatus.PAUSED:
        return f"Paused by {job.changed_by}"
    if job.status == JobStatus.CANCELLED:
        return f"Cancelled by {job.changed_by}: the commands that are recorded already end first"
    return job.waits_for
