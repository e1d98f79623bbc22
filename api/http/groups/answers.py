"""The answers about a job that creates chargers, in the contract's words (6.2, 6.3); what is beyond it says so."""

from collections.abc import Iterable, Sequence
from typing import Any

from marshmallow import Schema, fields

from api.http.fields.fields import Instant
from api.http.fleet.rows import ErrorDetail, doc
from api.http.jobs.answers import Counts, shown
from api.http.schemas import ListedCharger
from shared.fleet.jobs.accept import JobReceipt
from shared.fleet.jobs.create import provisioning_of
from shared.fleet.jobs.created import NOT_CREATED, Failed
from shared.fleet.jobs.read import ShownJob
from shared.models import Charger
from shared.vocabulary import ProvisioningStatus

JOB_TYPE = "location_chargers_create"


class ChargersAccepted(Schema):
    job_id = fields.String(required=True)
    status = fields.String(required=True, metadata=doc(enum=[*ProvisioningStatus]))
    workflow_run_id = fields.String(allow_none=True, metadata=doc("For debugging."))
    status_url = fields.String(required=True, metadata=doc("A path."))
    total = fields.Integer(required=True, metadata=doc("Its chargers. Beyond the contract."))


class NotCreated(Schema):
    identity = fields.String(allow_none=True)
    error = fields.String(required=True)
    reason_code = fields.String(allow_none=True, metadata=doc("As in docs/errors.md. Beyond the contract."))


class _RenderedCharger(ListedCharger):
    """A row of a list, rendered already."""

    def _serialize(self, nested_obj: Any, *_: Any, **__: Any) -> Any:  # type: ignore[override]  # as in ListedCharger
        return nested_obj


class Results(Schema):
    created_count = fields.Integer(required=True, metadata=doc("Chargers that were READY."))
    failed_count = fields.Integer(required=True)
    created = fields.List(
        _RenderedCharger(), required=True, metadata=doc("Without those that were deleted since.")
    )
    failed = fields.List(fields.Nested(NotCreated), required=True)


class ChargersJob(Schema):
    job_id = fields.String(required=True)
    job_type = fields.String(allow_none=True, metadata=doc(enum=[JOB_TYPE]))
    status = fields.String(
        allow_none=True,
        metadata=doc(
            "READY when every charger is final, whether it was created or not.", enum=[*ProvisioningStatus]
        ),
    )
    workflow_run_id = fields.String(allow_none=True)
    error = fields.Nested(ErrorDetail, allow_none=True, metadata=doc("Always null."))
    results = fields.Nested(Results, allow_none=True, metadata=doc("Null until the status is READY."))
    provisioned_at = Instant(allow_none=True, metadata=doc("When it became READY."))
    total = fields.Integer(required=True, metadata=doc("Its chargers. Beyond the contract."))
    counts = fields.Nested(
        Counts, required=True, metadata=doc("Its chargers by result. Beyond the contract.")
    )
    rate_per_second = fields.Float(required=True, allow_none=True, metadata=doc("Beyond the contract."))
    created_at = Instant(required=True, metadata=doc("Beyond the contract."))
    eta_s = fields.Float(
        required=True, allow_none=True, metadata=doc("Seconds until it is READY. Beyond the contract.")
    )
    waits_for = fields.String(
        required=True, allow_none=True, metadata=doc("What holds it up. Beyond the contract.")
    )


def status_url(location_id: str, job_id: int) -> str:
    return f"/ocpp/locations/{location_id}/chargers/jobs/{job_id}"


def accepted(receipt: JobReceipt, location_id: str) -> dict[str, Any]:
    """As ChargersAccepted shows it."""
    return {
        "job_id": str(receipt.job_id),
        "status": receipt.provisioning_status,
        "workflow_run_id": receipt.workflow_run_id,
        "status_url": status_url(location_id, receipt.job_id),
        "total": receipt.total,
    }


def shown_job(found: ShownJob) -> dict[str, Any]:
    """As ChargersJob shows it, without results."""
    job = found.job
    as_job = shown(found)
    return {
        "job_id": str(job.id),
        "job_type": JOB_TYPE,
        "status": provisioning_of(job),
        "workflow_run_id": (job.input or {}).get("workflow_run_id"),
        "error": None,
        "results": None,
        "provisioned_at": job.finished_at,
        **{
            name: as_job[name]
            for name in ("total", "counts", "rate_per_second", "created_at", "eta_s", "waits_for")
        },
    }


def results(
    found: ShownJob, created: Iterable[Sequence[Charger]], failed: Sequence[Failed]
) -> dict[str, Any]:
    """As Results shows them. Renders each part of the chargers before the next is read, so that others get their turn."""
    job = found.job
    render = ListedCharger()._serialize
    return {
        "created_count": job.succeeded,
        "failed_count": sum(getattr(job, result) for result in NOT_CREATED),
        "created": [render(charger) for some in created for charger in some],
        "failed": [one._asdict() for one in failed],
    }
