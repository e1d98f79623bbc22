"""Jobs: requests for many chargers, and waiting until they are final."""

import re
import time
from collections.abc import Callable
from uuid import uuid4

from chargehand.client.failures import Failure, TimeIsUp
from chargehand.client.http import Client, Row

POLL_S = 1.0
SHOWN_REASONS = 10


def request_job(
    client: Client, path: str, selection: Row, *, rate: float | None = None, expected_count: int | None = None
) -> Row:
    """The accepted job. Raises Refused, also when the selection has not expected_count chargers."""
    body: Row = dict(selection)
    if expected_count is not None:
        body["expected_count"] = expected_count
    if rate is not None:
        body["rate_per_second"] = rate
    accepted: Row = client.post(path, uuid4().hex, body)[1]
    return get_job(client, accepted["job_id"])


def preview_job(client: Client, path: str, selection: Row) -> Row:
    """What a job would act on, and what it would leave out."""
    preview: Row = client.post(path, uuid4().hex, {**selection, "dry_run": True})[1]
    return preview


def job_path(job_id: str) -> str:
    """Raises Failure for what can be no job's id: to the API that is an unknown route."""
    if re.fullmatch(r"[0-9]{1,18}", job_id) is None:
        raise Failure(f"{job_id} is no id of a job; `chargehand jobs list` has them")
    return f"/ocpp/jobs/{job_id}"


def get_job(client: Client, job_id: str) -> Row:
    job: Row = client.get(job_path(job_id))
    return job


def change_job(client: Client, job_id: str, change: str) -> Row:
    """The answer to pause, resume, cancel or retry."""
    changed: Row = client.post(f"{job_path(job_id)}/{change}", uuid4().hex)[1]
    return changed


def wait_for_job(client: Client, job: Row, timeout_s: float, changed: Callable[[Row], None]) -> Row:
    """The job when it is final; calls `changed` with each state. Raises TimeIsUp after timeout_s seconds."""
    deadline = time.monotonic() + timeout_s
    while True:
        changed(job)
        if job["finished_at"] is not None:
            return job
        if time.monotonic() >= deadline:
            raise TimeIsUp(f"job {job['id']} is not final after {timeout_s:g} s: {sentence_of(job)}")
        time.sleep(POLL_S)
        job = get_job(client, job["id"])


def sentence_of(job: Row) -> str:
    """How far it is: `150 of 200 done, 3 failed, about 9 s`."""
    counts = job["counts"]
    done = job["total"] - counts["waiting"] - counts["requested"]
    parts = [f"{done} of {job['total']} done"]
    parts += [
        f"{counts[result]} {result}"
        for result in ("failed", "superseded", "skipped", "cancelled")
        if counts[result]
    ]
    if job["eta_s"] is not None:
        parts.append(f"about {max(1, round(job['eta_s']))} s")
    if job["waits_for"]:
        parts.append(job["waits_for"])
    return ", ".join(parts)


def raise_for_job(client: Client, job: Row) -> None:
    """Raise Failure if a charger of the job failed or got a newer command instead, with a line for the first of them."""
    number = job["counts"]["failed"] + job["counts"]["superseded"]
    if not number:
        return
    path = f"{job_path(job['id'])}/items"
    rows = list(client.rows(path, SHOWN_REASONS, result="failed,superseded"))
    lines = [f"{row['identity']}: {row['reason'] or row['result']}" for row in rows]
    if number > len(rows):
        lines.append(f"and {number - len(rows)} more: chargehand jobs show {job['id']} --result failed")
    raise Failure("\n".join(lines))
