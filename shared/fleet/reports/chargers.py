"""What a report says of each charger: what became of its command, and when its CSMS accepted it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.vocabulary import ItemResult, JobAction, OcppState

#: Of one report: as many as of one job.
MAX_CHARGERS = 10_000
#: How long after its command a charger's acceptance is searched for in its log.
MAX_WAIT = timedelta(days=1)
#: The lines that are searched: ten thousand chargers that never reach their CSMS have millions.
MAX_LINES = 500

#: The charger runs, and its CSMS has not accepted it; or it is stopped. Beside the codes of docs/errors.md and the reasons
#: of docs/ocpp.md.
NOT_ACCEPTED = "not_accepted"
STOPPED = "stopped"


class Outcome(StrEnum):
    """What a report says of a charger in one word."""

    PASSED = "passed"  #: it was accepted, or what was requested is done
    FAILED = "failed"  #: its command failed, or its CSMS has not accepted it
    SKIPPED = "skipped"  #: nothing was to be done, or a newer command replaced it
    OPEN = "open"  #: its command is not final yet


@dataclass(frozen=True, slots=True)
class ReportedCharger:
    """One charger of a report."""

    charger_id: str
    identity: str
    outcome: Outcome
    result: str | None  #: of its command, an ItemResult; None when none is stored any more
    reason: str | None  #: why it did not pass, as a sentence
    reason_code: str | None
    requested_at: datetime | None
    accepted_at: datetime | None  #: when its CSMS accepted the boot of the process that was started
    finished_at: datetime | None  #: when its command became final
    ocpp_state: str | None  #: of its link, as it was reported last
    seconds: float | None  #: from the request until accepted; until final for a stop or a deletion


def awaits_csms(action: str) -> bool:
    """Whether the chargers of such a job are to be accepted by their CSMS."""
    return action not in (JobAction.STOP, JobAction.DELETE)


def chargers_of_job(
    session: Session, *, organization_id: str, job_id: int, action: str
) -> list[ReportedCharger]:
    """The chargers of the organization's job, in its order; also those that are deleted since. The caller has found the job."""
    rows = session.execute(
        _OF_JOB,
        {
            "job_id": job_id,
            "organization_id": organization_id,
            "max_wait": MAX_WAIT,
            "max_lines": MAX_LINES,
            "max_chargers": MAX_CHARGERS,
        },
    )
    judge = _judge_started if awaits_csms(action) else _judge_ended
    return [judge(row) for row in rows]


def chargers_of_location(
    session: Session, *, organization_id: str, location_id: str
) -> Sequence[ReportedCharger]:
    """The location's chargers, each since its newest start, in the order of their ids; MAX_CHARGERS + 1 if there are more."""
    rows = session.execute(
        _OF_LOCATION,
        {
            "location_id": location_id,
            "organization_id": organization_id,
            "max_wait": MAX_WAIT,
            "max_lines": MAX_LINES,
            "max_chargers": MAX_CHARGERS + 1,
        },
    )
    return [_judge_started(row) for row in rows]


def _judge_started(row: Any) -> ReportedCharger:
    """Of a charger that was created, started or restarted: it passes when its CSMS accepts it."""
    accepted_at = _accepted_at(row)
    outcome, reason, code = _outcome(row, accepted_at)
    return _charger(row, outcome, reason, code, accepted_at, until=accepted_at)


def _outcome(row: Any, accepted_at: datetime | None) -> tuple[Outcome, str | None, str | None]:
    if row.result in (ItemResult.FAILED, ItemResult.SKIPPED, ItemResult.CANCELLED):
        return _of_result(row)
    if accepted_at is not None:
        return Outcome.PASSED, None, None
    if row.is_stopped:
        return Outcome.SKIPPED, "The charger is stopped", STOPPED
    if row.result is not None and row.result != ItemResult.SUCCEEDED:
        return _of_result(row)
    state = row.link_state or row.ocpp_state
    words = row.link_message or row.link_reason or (row.ocpp_reason if row.link_state is None else None)
    known = state or "nothing is known about its link"
    sentence = f"Its CSMS has not accepted it: {known}" + (f", {words}" if words else "")
    return Outcome.FAILED, sentence, row.link_reason or NOT_ACCEPTED


def _judge_ended(row: Any) -> ReportedCharger:
    """Of a charger that was stopped or deleted: it passes when that is done."""
    outcome, reason, code = _of_result(row)
    done = row.finished_at if outcome is Outcome.PASSED else None
    return _charger(row, outcome, reason, code, None, until=done)


_OUTCOMES = {
    ItemResult.WAITING: Outcome.OPEN,
    ItemResult.REQUESTED: Outcome.OPEN,
    ItemResult.SUCCEEDED: Outcome.PASSED,
    ItemResult.FAILED: Outcome.FAILED,
}
#: Of results that have no reason of their own.
_REASONS = {
    ItemResult.WAITING: "Its command is not recorded yet",
    ItemResult.REQUESTED: "Its command is not final yet",
    ItemResult.SUPERSEDED: "A newer command of the charger replaced it",
    ItemResult.CANCELLED: "The job was cancelled before its command was recorded",
}


def _of_result(row: Any) -> tuple[Outcome, str | None, str | None]:
    result = ItemResult(row.result)
    outcome = _OUTCOMES.get(result, Outcome.SKIPPED)
    if outcome is Outcome.PASSED:
        return outcome, None, None
    return outcome, row.reason or _REASONS.get(result), row.reason_code or str(result)


def _accepted_at(row: Any) -> datetime | None:
    """By the log; by the charger's own report while the log is not read that far, or when it was accepted before already."""
    if row.booted_at is not None or row.ocpp_state != OcppState.ACCEPTED or row.replaced_at is not None:
        booted_at: datetime | None = row.booted_at
        return booted_at
    since: datetime | None = row.ocpp_since
    is_of_it = row.result in (None, ItemResult.SUCCEEDED) or (
        since is not None and row.begins_at is not None and since >= row.begins_at
    )
    return since if is_of_it else None


def _charger(
    row: Any,
    outcome: Outcome,
    reason: str | None,
    reason_code: str | None,
    accepted_at: datetime | None,
    *,
    until: datetime | None,
) -> ReportedCharger:
    seconds = None
    if until is not None and row.requested_at is not None and until >= row.requested_at:
        seconds = round((until - row.requested_at).total_seconds(), 3)
    return ReportedCharger(
        charger_id=row.charger_id,
        identity=row.identity,
        outcome=outcome,
        result=row.result,
        reason=reason,
        reason_code=reason_code,
        requested_at=row.requested_at,
        accepted_at=accepted_at,
        finished_at=row.finished_at,
        ocpp_state=row.ocpp_state or row.link_state,
        seconds=seconds,
    )


#: What the log says of the rows of `subject`, until their next command: the first boot that the CSMS accepted. A reconnection
#: whose last boot still counts is none.
_OF_LOGS = """
SELECT subject.*, boot.booted_at, last.state AS link_state, last.reason AS link_reason, last.message AS link_message
FROM subject
LEFT JOIN LATERAL (
    SELECT timestamp AS booted_at FROM (
        SELECT timestamp, event_id, kind, state, reason FROM charger_log_lines
        WHERE charger_id = subject.charger_id AND timestamp >= subject.begins_at AND timestamp < subject.ends_at
        ORDER BY timestamp, event_id LIMIT :max_lines
    ) AS first
    WHERE kind = 'connection' AND state = 'accepted' AND reason IS DISTINCT FROM 'still_accepted'
    ORDER BY timestamp, event_id LIMIT 1
) AS boot ON true
LEFT JOIN LATERAL (
    SELECT state, reason, message FROM charger_log_lines
    WHERE charger_id = subject.charger_id AND timestamp >= subject.begins_at AND timestamp < subject.ends_at
    AND kind = 'connection' AND state IN ('rejected', 'disconnected', 'connected')
    ORDER BY timestamp DESC, event_id DESC LIMIT 1
) AS last ON boot.booted_at IS NULL
ORDER BY subject.position
"""

#: From when on the link is that of the process that the command started. Until ECS has accepted a restart, it is that of the
#: process before; a second is left for clocks that differ, and until that was recorded.
_BEGINS_AT = """
    CASE WHEN command.event_type IS DISTINCT FROM 'reset_charger' THEN {requested_at}
        WHEN command.applied_at IS NOT NULL THEN greatest({requested_at}, command.applied_at - interval '1 second') END
"""

_OF_JOB = text(f"""
WITH subject AS MATERIALIZED (
    SELECT item.position, item.charger_id, item.identity, item.result, item.reason, item.reason_code, item.requested_at,
        item.finished_at, false AS is_stopped, newer.created_at AS replaced_at,
        {_BEGINS_AT.format(requested_at="item.requested_at")} AS begins_at,
        least(newer.created_at, item.requested_at + :max_wait) AS ends_at,
        charger.ocpp_state, charger.ocpp_reason, charger.ocpp_since
    FROM job_items AS item
    LEFT JOIN commands AS command ON command.id = item.command_id
    LEFT JOIN LATERAL (
        SELECT created_at FROM commands
        WHERE charger_id = item.charger_id AND generation > command.generation
        ORDER BY generation LIMIT 1
    ) AS newer ON true
    LEFT JOIN chargers AS charger ON charger.id = item.charger_id AND charger.organization_id = :organization_id
    WHERE item.job_id = :job_id
    ORDER BY item.position LIMIT :max_chargers
)
{_OF_LOGS}
""")  # noqa: S608  # our own words

# The newer commands of a charger than its newest start are updates and stops. What became of an update counts, because it may
# have replaced the start; what became of a stop does not.
_OF_LOCATION = text(f"""
WITH subject AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY charger.id) AS position, charger.id AS charger_id, charger.identity,
        CASE WHEN charger.provisioning_status = 'FAILED' THEN 'failed'
            WHEN charger.desired_count = 0 THEN 'succeeded'
            WHEN newest.status IN ('queued', 'applied') THEN 'requested' ELSE newest.status END AS result,
        coalesce(newest.error, charger.error) ->> 'message' AS reason,
        coalesce(newest.error, charger.error) ->> 'code' AS reason_code,
        command.created_at AS requested_at, newest.finished_at, charger.desired_count = 0 AS is_stopped,
        NULL::timestamptz AS replaced_at,
        {_BEGINS_AT.format(requested_at="command.created_at")} AS begins_at,
        command.created_at + :max_wait AS ends_at, charger.ocpp_state, charger.ocpp_reason, charger.ocpp_since
    FROM chargers AS charger
    LEFT JOIN commands AS newest ON newest.id = charger.newest_command_id
    LEFT JOIN LATERAL (
        SELECT * FROM commands
        WHERE charger_id = charger.id AND event_type IN ('create_charger', 'start_charger', 'reset_charger')
        ORDER BY generation DESC LIMIT 1
    ) AS command ON true
    WHERE charger.organization_id = :organization_id AND charger.location_id = :location_id AND charger.deleted_at IS NULL
    ORDER BY charger.id LIMIT :max_chargers
)
{_OF_LOGS}
""")  # noqa: S608  # our own words
