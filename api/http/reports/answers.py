"""A report as JSON."""

from dataclasses import asdict
from typing import Any

from marshmallow import Schema, fields

from api.http.fields.fields import Instant, instant_text
from shared.fleet.reports import Failure, Outcome, Report, ReportedCharger, failures, slowest, spread
from shared.vocabulary import ItemResult, JobAction, OcppState

UNTIL = ("accepted", "final")


def _doc(description: str = "", **more: Any) -> dict[str, Any]:
    """Metadata that only the document shows."""
    return {"description": description, **more} if description else more


class ReportRange(Schema):
    start = Instant(required=True)
    end = Instant(required=True)


class Seconds(Schema):
    count = fields.Integer(required=True, metadata=_doc("Chargers that were measured."))
    p50 = fields.Float(
        required=True,
        metadata=_doc(
            "By nearest rank, as all percentiles: the smallest measured value that half of the values do not exceed."
        ),
    )
    p95 = fields.Float(required=True)
    p99 = fields.Float(required=True)
    max = fields.Float(required=True)


class Latency(Schema):
    """Milliseconds."""

    p50 = fields.Float(required=True)
    p95 = fields.Float(required=True)
    p99 = fields.Float(required=True)
    max = fields.Float(required=True)


class SlowCharger(Schema):
    charger_id = fields.String(required=True)
    identity = fields.String(required=True)
    seconds = fields.Float(required=True)


class ReportFailure(Schema):
    reason_code = fields.String(
        required=True,
        metadata=_doc(
            "A code of docs/errors.md, a reason of the link (docs/ocpp.md), or `not_accepted` when the link gave none."
        ),
    )
    reason = fields.String(required=True, allow_none=True, metadata=_doc("Of the first charger."))
    count = fields.Integer(required=True)
    charger_ids = fields.List(fields.String(), required=True, metadata=_doc("The first ten."))


class ActionFrames(Schema):
    action = fields.String(required=True)
    caller = fields.String(
        required=True,
        metadata=_doc(
            "Who sent the calls. The latency is that of the other side: of the CSMS where the charger calls.",
            enum=["charger", "csms"],
        ),
    )
    calls = fields.Integer(required=True)
    results = fields.Integer(required=True, metadata=_doc("Calls that a CALLRESULT answered."))
    errors = fields.Integer(required=True, metadata=_doc("Calls that a CALLERROR answered."))
    unanswered = fields.Integer(required=True, metadata=_doc("Also those whose answer came after the end."))
    latency_ms = fields.Nested(
        Latency,
        required=True,
        allow_none=True,
        metadata=_doc("From the call to its answer by the charger's clock; null when none was answered."),
    )


class CsmsError(Schema):
    code = fields.String(required=True, metadata=_doc("Of the CALLERROR."))
    action = fields.String(required=True)
    count = fields.Integer(required=True)


class Frames(Schema):
    total = fields.Integer(required=True)
    complete = fields.Boolean(
        required=True,
        metadata=_doc(
            "False: a charger had `max_per_charger` frames or more, and only its first ones are counted: ask for less time. Or "
            "frames are missing because of a quota: see `cut_by_quota`."
        ),
    )
    max_per_charger = fields.Integer(required=True)
    cut_by_quota = fields.Integer(
        required=True,
        metadata=_doc(
            "Chargers whose frames of these days were not all stored (`LOG_BYTES_PER_ORGANIZATION`)."
        ),
    )
    read_until = Instant(
        required=True,
        allow_none=True,
        metadata=_doc("Until then the logs had been read. What came later is not counted yet."),
    )
    by_action = fields.List(fields.Nested(ActionFrames), required=True, metadata=_doc("Most calls first."))
    csms_errors = fields.List(fields.Nested(CsmsError), required=True, metadata=_doc("Most frequent first."))


class ChargerInReport(Schema):
    charger_id = fields.String(required=True)
    identity = fields.String(required=True)
    outcome = fields.String(
        required=True,
        metadata=_doc(
            "`passed`: accepted, or done. `failed`: the command failed, or the CSMS has not accepted the charger. `skipped`: "
            "nothing was to be done, or a newer command replaced it. `open`: not final yet.",
            enum=[str(outcome) for outcome in Outcome],
        ),
    )
    result = fields.String(
        required=True,
        allow_none=True,
        metadata=_doc("Of its command.", enum=[*(str(result) for result in ItemResult), None]),
    )
    reason_code = fields.String(
        required=True,
        allow_none=True,
        metadata=_doc("As in `failures`; `stopped`; or the result, where nothing else is known."),
    )
    reason = fields.String(required=True, allow_none=True, metadata=_doc("Why it did not pass."))
    requested_at = Instant(required=True, allow_none=True, metadata=_doc("When its command was recorded."))
    accepted_at = Instant(
        required=True,
        allow_none=True,
        metadata=_doc("When its CSMS accepted the boot of the process that was started, by its clock."),
    )
    finished_at = Instant(
        required=True, allow_none=True, metadata=_doc("When its command, or its item of the job, was final.")
    )
    seconds = fields.Float(
        required=True,
        allow_none=True,
        metadata=_doc("From the request until accepted, or final: see `until`."),
    )
    ocpp_state = fields.String(
        required=True,
        allow_none=True,
        metadata=_doc("Of its link now.", enum=[*(str(state) for state in OcppState), None]),
    )
    frames = fields.Integer(required=True)
    csms_errors = fields.Integer(required=True, metadata=_doc("CALLERRORs that its CSMS sent."))


Outcomes = Schema.from_dict(
    {str(outcome): fields.Integer(required=True) for outcome in Outcome}, name="ReportOutcomes"
)


class ReportAnswer(Schema):
    job_id = fields.String(required=True, allow_none=True)
    action = fields.String(
        required=True,
        allow_none=True,
        metadata=_doc("Of the job.", enum=[*(str(one) for one in JobAction), None]),
    )
    location_id = fields.String(required=True, allow_none=True)
    generated_at = Instant(required=True)
    total = fields.Integer(required=True, metadata=_doc("Chargers."))
    outcomes = fields.Nested(Outcomes, required=True)
    until = fields.String(
        required=True,
        metadata=_doc(
            "What `seconds` measures from the request on: until the CSMS accepted the charger, or until the command was "
            "final, for a stop or a deletion.",
            enum=list(UNTIL),
        ),
    )
    seconds = fields.Nested(
        Seconds, required=True, allow_none=True, metadata=_doc("Null when nothing was measured.")
    )
    slowest = fields.List(fields.Nested(SlowCharger), required=True, metadata=_doc("The ten slowest."))
    failures = fields.List(fields.Nested(ReportFailure), required=True, metadata=_doc("Most frequent first."))
    range = fields.Nested(ReportRange, required=True, metadata=_doc("The time whose frames are counted."))
    frames = fields.Nested(Frames, required=True)
    chargers = fields.List(fields.Nested(ChargerInReport), required=True)


def shown(report: Report) -> dict[str, Any]:
    """As ReportAnswer shows it. Made by hand: a schema takes a second for ten thousand chargers."""
    subject, frames = report.subject, report.frames
    seconds = spread(report.chargers)
    return {
        "job_id": None if subject.job_id is None else str(subject.job_id),
        "action": subject.action,
        "location_id": subject.location_id,
        "generated_at": instant_text(report.generated_at),
        "total": len(report.chargers),
        "outcomes": outcomes(report),
        "until": until(report),
        "seconds": None if seconds is None else asdict(seconds),
        "slowest": [
            {"charger_id": one.charger_id, "identity": one.identity, "seconds": one.seconds}
            for one in slowest(report.chargers)
        ],
        "failures": [_failure(failure) for failure in failures(report.chargers)],
        "range": {"start": instant_text(report.start), "end": instant_text(report.end)},
        "frames": {
            "total": frames.total,
            "complete": frames.complete,
            "max_per_charger": frames.max_per_charger,
            "cut_by_quota": frames.cut_by_quota,
            "read_until": None if frames.read_until is None else instant_text(frames.read_until),
            "by_action": frames.by_action,
            "csms_errors": frames.errors,
        },
        "chargers": [shown_charger(report, charger) for charger in report.chargers],
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "reason_code": failure.reason_code,
        "reason": failure.reason,
        "count": failure.count,
        "charger_ids": [charger.charger_id for charger in failure.first],
    }


def shown_charger(report: Report, charger: ReportedCharger) -> dict[str, Any]:
    """As ChargerInReport shows it; the columns of the CSV have the same names and order."""
    counted = report.frames.by_charger.get(charger.charger_id)
    return {
        "charger_id": charger.charger_id,
        "identity": charger.identity,
        "outcome": str(charger.outcome),
        "result": charger.result,
        "reason_code": charger.reason_code,
        "reason": charger.reason,
        **{
            name: None if (at := getattr(charger, name)) is None else instant_text(at)
            for name in ("requested_at", "accepted_at", "finished_at")
        },
        "seconds": charger.seconds,
        "ocpp_state": charger.ocpp_state,
        "frames": counted.frames if counted else 0,
        "csms_errors": counted.csms_errors if counted else 0,
    }


def outcomes(report: Report) -> dict[str, int]:
    """The chargers by outcome."""
    counts = {str(outcome): 0 for outcome in Outcome}
    for charger in report.chargers:
        counts[charger.outcome] += 1
    return counts


def until(report: Report) -> str:
    return UNTIL[0] if report.until_accepted else UNTIL[1]


def title(report: Report) -> str:
    """What the report is about, in a few words."""
    subject = report.subject
    if subject.job_id is not None:
        return f"Job {subject.job_id}: {subject.action}"
    return f"Location {subject.name or subject.location_id}"


def file_name(report: Report, ending: str) -> str:
    """Safe in a header: the id of a job is a number, and the rest are our own words."""
    of_job = report.subject.job_id is not None
    return f"job-{report.subject.job_id}.{ending}" if of_job else f"location-report.{ending}"
