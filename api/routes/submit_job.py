"""Stores a job, once per Idempotency-Key, and gives the workers a hint after the commit."""

import structlog
from sqlalchemy.orm import Session

from api.http.idempotency_key import REPLAYED_HEADER, this_attempt
from api.resources import resources
from shared.fleet.idempotency import claim, store_receipt
from shared.fleet.jobs.accept import JobReceipt, JobRequest, accept_job
from shared.fleet.jobs.create import CreateAgainRequest, CreateManyRequest, accept_again, accept_creation
from shared.fleet.jobs.read import RetryRequest, retry_of
from shared.queues import TaskName

log = structlog.get_logger(__name__)

AnyJobRequest = JobRequest | CreateManyRequest | RetryRequest


def submit_job(request: AnyJobRequest) -> JobReceipt:
    """Store the job. Returns its receipt; for a repeat with the same Idempotency-Key, the first one.

    Raises InvalidRequest and KeyReused for a bad key; and as `accept_job`, `accept_creation`, `retry_of` or `accept_again`.
    """
    attempt = this_attempt()
    with resources().sessions.begin() as session:
        receipt = claim(session, attempt, JobReceipt.replay) if attempt is not None else None
        if receipt is None:
            receipt = _accept(session, request)
            if attempt is not None:
                store_receipt(session, attempt, receipt.stored())
    if not receipt.replayed:
        resources().publisher.publish([(TaskName.RUN_JOBS, {})])
    log.info(
        "request.replayed" if receipt.replayed else "job.accepted",
        job_id=receipt.job_id,
        action=receipt.action,
        total=receipt.total,
        organization_id=request.organization_id,
    )
    return receipt


def headers_of(receipt: JobReceipt, status_url: str) -> dict[str, str]:
    """Of the answer that says that the job is stored."""
    headers = {"Location": status_url}
    if receipt.replayed:
        headers[REPLAYED_HEADER] = "true"
    return headers


def _accept(session: Session, request: AnyJobRequest) -> JobReceipt:
    max_open = resources().settings.open_jobs_per_organization
    if isinstance(request, CreateManyRequest):
        return accept_creation(session, request, max_open=max_open, sealer=resources().sealer)
    # What failed is read after the key: a repeat gets its first answer also when nothing is left to try again.
    wanted = retry_of(session, request) if isinstance(request, RetryRequest) else request
    if isinstance(wanted, CreateAgainRequest):
        return accept_again(session, wanted, max_open=max_open)
    return accept_job(session, wanted, max_open=max_open)
