"""The route that streams how far a job is as Server-Sent Events. Beyond the contract."""

from collections.abc import Iterator

import orjson
from flask import Response, request

from api.http.auth import requester
from api.http.document.operations import Access, Operations
from api.http.feed.render import RETRY_MS
from api.http.jobs import answers
from api.live.job_streams import JobStream
from api.resources import resources
from shared.fleet.jobs.read import ShownJob, get_job

operations = Operations(
    "job-events",
    __name__,
    url_prefix="/ocpp/jobs/<job_id:job_id>/events",
    access=Access.TENANT,
    description="How far a job is, as it happens. Beyond the contract.",
)


@operations.operation("GET", "", content_type="text/event-stream")
def watch_job(job_id: str) -> Response:
    """Watch a job

    Server-Sent Events. Each `job` has the job as `GET /ocpp/jobs/{job_id}` shows it: the first at once, then one when it has
    changed, at most two a second. The stream ends after the one with `finished_at`, when the job is removed, and after 300 s.
    A comment is sent after 15 s of silence. Events have no id: a client that reconnects begins with the newest state.
    """
    organization_id = requester().organization_id
    with resources().reads() as session:
        found = get_job(session, organization_id=organization_id, job_id=int(job_id))
    headers = {"X-Accel-Buffering": "no"}  # or nginx would buffer the events
    if request.method == "HEAD":
        return Response(mimetype="text/event-stream", headers=headers)
    streams = resources().job_streams
    stream = streams.open(organization_id, found.job.id)
    response = Response(_texts(stream), mimetype="text/event-stream", headers=headers)
    response.call_on_close(lambda: streams.close(stream))
    return response


def _texts(stream: JobStream) -> Iterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    for found in stream:
        yield ":\n\n" if found is None else _text(found)


def _text(found: ShownJob) -> str:
    data = answers.JobAnswer().dump(answers.shown(found))
    return f"event: job\ndata: {orjson.dumps(data).decode()}\n\n"
