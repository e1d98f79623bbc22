"""The routes of reports: how the chargers of a job or of a location came to their CSMS, and how it answered. Beyond the contract."""

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
from flask import Response, request

from api.http.auth import requester
from api.http.document.operations import Access, Operations
from api.http.reports import answers, examples
from api.http.reports.page import POLICY, as_page
from api.http.reports.queries import Format, ReportQuery, ReportQuerySchema
from api.http.reports.texts import as_csv, as_junit
from api.resources import resources
from shared.fleet.reports import Report, report_of_job, report_of_location

operations = Operations(
    "reports",
    __name__,
    url_prefix="/ocpp",
    access=Access.TENANT,
    description="How long the chargers of a job or of a location took until their CSMS accepted them, and how it answered "
    "their calls. Beyond the contract.",
)


class _Written(NamedTuple):
    """How a report is written in one format."""

    write: Callable[[Report], str | bytes]
    media_type: str
    ending: str


def _as_json(report: Report) -> bytes:
    return orjson.dumps(answers.shown(report))


_WRITTEN = {
    Format.JSON: _Written(_as_json, "application/json", "json"),
    Format.CSV: _Written(as_csv, "text/csv", "csv"),
    Format.JUNIT: _Written(as_junit, "application/xml", "xml"),
    Format.HTML: _Written(as_page, "text/html", "html"),
}
_ACCEPTED = {written.media_type: form for form, written in _WRITTEN.items()}
_CONTENT: dict[str, Any] = {
    _WRITTEN[form].media_type: {"schema": {"type": "string", "description": description}}
    for form, description in (
        (
            Format.CSV,
            "A header and a row per charger. A text that a spreadsheet takes for a formula begins with '.",
        ),
        (Format.JUNIT, "JUnit: a test case per charger; what failed is a failure, what is open an error."),
        (Format.HTML, "A page that needs nothing else, and prints."),
    )
}


@operations.operation(
    "GET",
    "/jobs/<job_id:job_id>/report",
    query=ReportQuerySchema,
    answer=answers.ReportAnswer,
    examples=examples.OF_JOB,
    other_content=_CONTENT,
)
def get_job_report(query: ReportQuery, job_id: str) -> Response:
    """Get the report of a job

    How long its chargers took until their CSMS accepted them (after a stop or a deletion: until that was done), what failed
    and why, and how the CSMS answered by OCPP action, from the stored logs. The job need not be final.
    """
    with resources().report_reads() as session:
        report = report_of_job(
            session,
            organization_id=requester().organization_id,
            job_id=int(job_id),
            during=query.during,
        )
    return _answer(report, query.format)


@operations.operation(
    "GET",
    "/locations/<location_id:location_id>/report",
    query=ReportQuerySchema,
    answer=answers.ReportAnswer,
    examples=examples.OF_LOCATION,
    other_content=_CONTENT,
)
def get_location_report(query: ReportQuery, location_id: str) -> Response:
    """Get the report of a location

    As get_job_report, of each of its chargers since its newest create, start or restart.
    """
    with resources().report_reads() as session:
        report = report_of_location(
            session,
            organization_id=requester().organization_id,
            location_id=location_id,
            during=query.during,
        )
    return _answer(report, query.format)


def _answer(report: Report, form: Format | None) -> Response:
    if form is None:
        best = request.accept_mimetypes.best_match(_ACCEPTED, default=_WRITTEN[Format.JSON].media_type)
        form = _ACCEPTED[best]
    written = _WRITTEN[form]
    response = Response(written.write(report), mimetype=written.media_type)
    response.vary.add("Accept")
    response.headers["Content-Disposition"] = f"inline; filename={answers.file_name(report, written.ending)}"
    if form is Format.HTML:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
    return response
