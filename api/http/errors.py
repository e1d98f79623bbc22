"""Maps exceptions to statuses and bodies. Nothing else in the API knows the status codes of errors."""

import structlog
from flask import Flask, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from api.http.actions.answers import ActionNotApplied, status_url
from api.http.auth import NotAllowed, Unauthenticated
from api.http.fields.fields import Problem
from api.http.idempotency_key import KEY_HEADER
from api.http.parsing import InvalidRequest, item
from api.http.waits import TooManyWaits
from api.limits.open_rows import TooManyOpen
from api.limits.rate_limit import TooManyRequests
from api.limits.reads import TooManyReads
from api.limits.slots import Full, FullForOrganization
from shared.auth.errors import KeysUnavailable
from shared.database.engine import contention, is_unavailable
from shared.fleet.errors import (
    CannotMove,
    InvalidCharger,
    JobEnded,
    LocationTooLarge,
    NotFound,
    NothingToRetry,
    NotReady,
    QuotaFull,
    ReportTooLarge,
    SlugTaken,
    TooManyJobs,
)
from shared.fleet.idempotency import KeyReused
from shared.fleet.jobs.accept import InvalidSelection
from shared.fleet.jobs.create import InvalidGroup
from shared.sealing import NoKeys

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 2

#: werkzeug's own texts are for URLs that a person types.
DETAILS = {
    404: "Nothing is here: there is no such route, or an id in the path has another form",
    405: "This route has no such method",
}


class NotAvailable(Exception):
    """The operation exists in the Gateway API, but not here yet."""


def register_errors(app: Flask) -> None:
    """Answer every error as JSON, including those that the framework raises."""
    app.register_error_handler(Unauthenticated, unauthenticated)
    app.register_error_handler(NotAllowed, not_allowed)
    app.register_error_handler(InvalidRequest, invalid_request)
    app.register_error_handler(NotFound, not_found)
    app.register_error_handler(InvalidCharger, invalid_charger)
    app.register_error_handler(CannotMove, cannot_move)
    app.register_error_handler(NotReady, not_ready)
    app.register_error_handler(ActionNotApplied, action_not_applied)
    app.register_error_handler(LocationTooLarge, location_too_large)
    app.register_error_handler(SlugTaken, slug_taken)
    app.register_error_handler(ReportTooLarge, report_too_large)
    app.register_error_handler(InvalidSelection, invalid_selection)
    app.register_error_handler(InvalidGroup, invalid_group)
    app.register_error_handler(JobEnded, job_in_another_state)
    app.register_error_handler(NothingToRetry, job_in_another_state)
    app.register_error_handler(TooManyJobs, too_many_jobs)
    app.register_error_handler(TooManyWaits, too_many_waits)
    app.register_error_handler(NoKeys, no_keys)
    app.register_error_handler(NotAvailable, not_available)
    app.register_error_handler(KeyReused, key_reused)
    app.register_error_handler(TooManyRequests, too_many_requests)
    app.register_error_handler(QuotaFull, quota_full)
    app.register_error_handler(TooManyOpen, too_many_open)
    app.register_error_handler(Full, too_many_streams)
    app.register_error_handler(FullForOrganization, too_many_streams_of_organization)
    app.register_error_handler(TooManyReads, too_many_reads)
    app.register_error_handler(KeysUnavailable, keys_unavailable)
    app.register_error_handler(SQLAlchemyError, database_error)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(Exception, unexpected)


def unauthenticated(error: Unauthenticated) -> ResponseReturnValue:
    challenge = 'Bearer realm="chargehand"' + (f', error="{error.error}"' if error.error else "")
    return {"detail": str(error)}, 401, {"WWW-Authenticate": challenge}


def not_allowed(error: NotAllowed) -> ResponseReturnValue:
    return {"detail": str(error)}, 403


def invalid_request(error: InvalidRequest) -> ResponseReturnValue:
    return {"detail": error.items}, 422


def not_found(error: NotFound) -> ResponseReturnValue:
    return {"detail": str(error)}, 404


def invalid_charger(error: InvalidCharger) -> ResponseReturnValue:
    return {"detail": str(error)}, 400


def cannot_move(error: CannotMove) -> ResponseReturnValue:
    return {"detail": [item(["body", "placement"], Problem(str(error), "value_error"))]}, 422


def not_ready(error: NotReady) -> ResponseReturnValue:
    return {"detail": [item(["path", "charger_id"], Problem(str(error), "value_error"))]}, 422


def action_not_applied(error: ActionNotApplied) -> ResponseReturnValue:
    headers = {"Location": status_url(error.action_id)}
    known = {"command_id": str(error.action_id), "code": error.code}
    if error.status == 400:
        return {"detail": str(error), **known}, 400, headers
    problem = Problem(str(error), "value_error", **known)
    return {"detail": [item(["body", "target", "charger_id"], problem)]}, error.status, headers


def location_too_large(error: LocationTooLarge) -> ResponseReturnValue:
    return {"detail": [item(["body", "target", "location_id"], Problem(str(error), "value_error"))]}, 422


def slug_taken(error: SlugTaken) -> ResponseReturnValue:
    return {"detail": [item(["body", "slug"], Problem(str(error), "value_error"))]}, 422


def report_too_large(error: ReportTooLarge) -> ResponseReturnValue:
    return {"detail": [item(["path", "location_id"], Problem(str(error), "value_error"))]}, 422


def invalid_selection(error: InvalidSelection) -> ResponseReturnValue:
    place = "path" if error.param == "location_id" else "body"
    return {"detail": [item([place, error.param], Problem(str(error), "value_error"))]}, 422


def invalid_group(error: InvalidGroup) -> ResponseReturnValue:
    param = [] if error.param is None else [error.param]
    loc: list[str | int] = ["body", error.group, "template", *param]
    return {"detail": [item(loc, Problem(str(error), "value_error"))]}, 422


def job_in_another_state(error: JobEnded | NothingToRetry) -> ResponseReturnValue:
    return {"detail": [item(["path", "job_id"], Problem(str(error), "value_error"))]}, 422


def too_many_jobs(error: TooManyJobs) -> ResponseReturnValue:
    return {"detail": str(error)}, 429, {"Retry-After": str(RETRY_AFTER_S)}


def too_many_waits(error: TooManyWaits) -> ResponseReturnValue:
    return {"detail": str(error)}, 429, {"Retry-After": str(RETRY_AFTER_S)}


def no_keys(error: NoKeys) -> ResponseReturnValue:
    return {"detail": [item(["body"], Problem(str(error), "value_error"))]}, 422


def not_available(error: NotAvailable) -> ResponseReturnValue:
    return {"detail": str(error)}, 501


def key_reused(_: KeyReused) -> ResponseReturnValue:
    problem = Problem("The key belongs to another request: its body was different", "value_error")
    return {"detail": [item(["header", KEY_HEADER], problem)]}, 422


def too_many_requests(error: TooManyRequests) -> ResponseReturnValue:
    return {"detail": str(error)}, 429, {"Retry-After": str(error.retry_after_s)}


def quota_full(error: QuotaFull) -> ResponseReturnValue:
    return {"detail": str(error)}, 403


def too_many_open(error: TooManyOpen) -> ResponseReturnValue:
    return {"detail": str(error)}, 429, {"Retry-After": str(error.retry_after_s)}


def too_many_streams(_: Full) -> ResponseReturnValue:
    return _try_again("This server has no free event stream")


def too_many_streams_of_organization(error: FullForOrganization) -> ResponseReturnValue:
    detail = f"More than {error.max_per_organization} event streams at once: close some, or try again later"
    return {"detail": detail}, 429, {"Retry-After": str(RETRY_AFTER_S)}


def too_many_reads(error: TooManyReads) -> ResponseReturnValue:
    return {"detail": str(error)}, 429, {"Retry-After": str(RETRY_AFTER_S)}


def keys_unavailable(_: KeysUnavailable) -> ResponseReturnValue:
    return _try_again("The keys that tokens are verified with cannot be fetched")


def database_error(error: SQLAlchemyError) -> ResponseReturnValue:
    """503 if the database is unavailable or contended, which passes; any other error is a 500."""
    if is_unavailable(error):
        log.error("database.away", error=_first_line(error))
        return _try_again("The database is not available")
    reason = contention(error)
    if reason is not None:
        log.warning("database.contention", error=_first_line(error), method=request.method, path=request.path)
        return _try_again(reason)
    return unexpected(error)


def http_error(error: HTTPException) -> ResponseReturnValue:
    """The status and headers of an error that Flask or werkzeug raised."""
    headers = {
        name: value for name, value in error.get_headers(request.environ) if name.lower() != "content-type"
    }
    status = error.code or 500
    return {"detail": DETAILS.get(status) or error.description or error.name}, status, headers


def unexpected(_: Exception) -> ResponseReturnValue:
    log.exception("request.failed", method=request.method, path=request.path)
    return {"detail": "Internal server error"}, 500


def _try_again(detail: str) -> ResponseReturnValue:
    return {"detail": detail}, 503, {"Retry-After": str(RETRY_AFTER_S)}


def _first_line(error: Exception) -> str:
    """The message without the statement and its parameters, which SQLAlchemy adds below."""
    return str(error).partition("\n")[0]
