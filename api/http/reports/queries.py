"""The query of a report."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from marshmallow import ValidationError, post_load, validates_schema

from api.http.fields.fields import Choice, Instant, Problem, Query
from shared.fleet.reports import MAX_RANGE, Range

MAX_HOURS = round(MAX_RANGE.total_seconds() / 3600)
BACKWARDS = Problem("'end_date' is before 'start_date'", "value_error")
TOO_LONG = Problem(f"A report counts the frames of {MAX_HOURS} hours at most", "value_error")


class Format(StrEnum):
    """How a report is written."""

    JSON = "json"
    CSV = "csv"
    JUNIT = "junit"
    HTML = "html"


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """The form of a report, and the time of its frames."""

    format: Format | None  #: None unless given
    during: Range


class ReportQuerySchema(Query):
    format = Choice(
        Format,
        load_default=None,
        metadata={
            "description": "`json`; `csv`, a row per charger; `junit`, a test case per charger; `html`, a page that prints. "
            "Without it the Accept header decides.",
            "default": str(Format.JSON),
        },
    )
    start_date = Instant(
        load_default=None,
        metadata={
            "description": "From then on frames are counted, inclusive. By default from the acceptance of the job, or from "
            f"the newest starts of the location's chargers, {MAX_HOURS} hours ago at most."
        },
    )
    end_date = Instant(
        load_default=None,
        metadata={
            "description": f"Until then, inclusive. By default until now, {MAX_HOURS} hours after the beginning at most."
        },
    )

    @validates_schema
    def _check_range(self, data: dict[str, Any], **_: Any) -> None:
        start, end = data["start_date"], data["end_date"]
        if start is None or end is None:
            return
        if end < start:
            raise ValidationError(BACKWARDS, "end_date")
        if end - start > MAX_RANGE:
            raise ValidationError(TOO_LONG, "end_date")

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> ReportQuery:
        form = data["format"]
        return ReportQuery(form and Format(form), Range(data["start_date"], data["end_date"]))
