"""The report of a job: how long its chargers took, what failed and why, and how their CSMS answered."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from api.http.reports.answers import ChargerInReport, ReportAnswer
from api.resources import Resources
from shared.fleet.reports import chargers, frames
from shared.models import Charger, LogCursor, LogCut
from tests.api.routes.reports.writing import RESTART, Reported
from tests.support.fleet import Fleet
from tests.support.log_entries import NOON, connection, frame


def outcomes(report: Any) -> list[tuple[str, str | None, float | None]]:
    return [(one["outcome"], one["reason_code"], one["seconds"]) for one in report["chargers"]]


def test_a_report_has_the_seconds_until_each_charger_was_accepted(reported: Reported) -> None:
    ids = [reported.fleet.create(identity=f"CP-{number}") for number in range(4)]
    job_id = reported.job("start", *ids)
    for charger_id, second in zip(ids, (2, 1.5, 9.25, 3), strict=True):
        reported.accepted(charger_id, second)

    report = reported.get(job_id).json

    assert set(report) == set(ReportAnswer().fields)
    assert {*report["chargers"][0]} == {*ChargerInReport().fields}
    assert report["seconds"] == {"count": 4, "p50": 2.0, "p95": 9.25, "p99": 9.25, "max": 9.25}
    assert [(one["identity"], one["seconds"]) for one in report["slowest"]] == [
        ("CP-2", 9.25),
        ("CP-3", 3.0),
        ("CP-0", 2.0),
        ("CP-1", 1.5),
    ]
    assert (report["job_id"], report["action"], report["until"]) == (job_id, "start", "accepted")
    assert report["outcomes"] == {"passed": 4, "failed": 0, "skipped": 0, "open": 0}
    assert report["failures"] == []
    assert report["range"] == {"start": "2026-04-09T12:00:00Z", "end": "2026-04-10T12:00:00Z"}
    assert report["chargers"][0]["accepted_at"] == "2026-04-09T12:00:02Z"


def test_failures_are_counted_by_reason(reported: Reported) -> None:
    names = ["lost", "refused", "refused-too", "silent", "skipped", "open", "good"]
    ids = {name: reported.fleet.create(identity=name) for name in names}
    job_id = reported.job("start", *ids.values())
    reported.item(
        job_id, ids["lost"], result="failed", reason="The image is gone", reason_code="image_unavailable"
    )
    for name in ("refused", "refused-too"):
        reported.log(ids[name], connection(3, "1", "disconnected", "connection_refused"))
    reported.item(job_id, ids["skipped"], result="skipped", reason="It runs", reason_code="already_running")
    reported.item(job_id, ids["open"], result="requested", finished_at=None)
    reported.accepted(ids["good"], 1)

    report = reported.get(job_id).json

    assert outcomes(report) == [
        ("failed", "image_unavailable", None),
        ("failed", "connection_refused", None),
        ("failed", "connection_refused", None),
        ("failed", "not_accepted", None),
        ("skipped", "already_running", None),
        ("open", "requested", None),
        ("passed", None, 1.0),
    ]
    assert [(one["reason_code"], one["count"]) for one in report["failures"]] == [
        ("connection_refused", 2),
        ("image_unavailable", 1),
        ("not_accepted", 1),
    ]
    assert report["failures"][0]["reason"] == "Its CSMS has not accepted it: disconnected, connection_refused"
    assert report["failures"][0]["charger_ids"] == [ids["refused"], ids["refused-too"]]


def test_only_a_boot_of_the_process_that_the_job_started_counts(reported: Reported) -> None:
    """Not one of the process before, nor a reconnection, nor one after the charger's next command."""
    old, reconnected, later = (reported.fleet.create(identity=name) for name in ("old", "again", "later"))
    job_id = reported.job("restart", old, reconnected, later)
    for charger_id in (old, reconnected, later):
        restarted = reported.command(charger_id, RESTART, 2, at=0, applied_at=10)
        reported.item(job_id, charger_id, command_id=restarted)
    reported.accepted(old, 4)
    reported.accepted(old, 14)
    reported.accepted(reconnected, 12, "still_accepted")
    reported.command(later, "update_charger", 3, at=60)
    reported.accepted(later, 61)

    assert outcomes(reported.get(job_id).json) == [
        ("passed", None, 14.0),
        ("failed", "not_accepted", None),
        ("failed", "not_accepted", None),
    ]


@pytest.mark.parametrize(
    ("result", "second", "newer", "expected"),
    [
        ("succeeded", 3, None, ("passed", None, 3.0)),
        ("requested", 3, None, ("passed", None, 3.0)),
        ("requested", 0, None, ("open", "requested", None)),
        ("succeeded", 0, None, ("passed", None, None)),
        ("succeeded", 9, 8, ("failed", "not_accepted", None)),
    ],
    ids=["final", "open", "before the command", "it ran already", "after the next command"],
)
def test_an_acceptance_counts_before_the_log_is_read(
    reported: Reported, result: str, second: int, newer: int | None, expected: tuple[Any, ...]
) -> None:
    """The control link reports it earlier. The command was recorded a second after noon."""
    charger_id = reported.fleet.ready()
    reported.fleet.link(charger_id, "accepted", at=NOON + timedelta(seconds=1 + second if second else 0))
    started = reported.command(charger_id, "start_charger", 2, at=1)
    if newer is not None:
        reported.command(charger_id, "update_charger", 3, at=newer)
    requested_at = NOON + timedelta(seconds=1)
    job_id = reported.job("start", charger_id, result=result, command_id=started, requested_at=requested_at)

    assert outcomes(reported.get(job_id).json) == [expected]


def test_a_long_search_for_an_acceptance_ends(reported: Reported, monkeypatch: pytest.MonkeyPatch) -> None:
    soon, late = reported.fleet.create(identity="soon"), reported.fleet.create(identity="late")
    job_id = reported.job("start", soon, late)
    reported.log(soon, connection(1, "1", "connecting"))
    reported.accepted(soon, 2)
    reported.log(
        late, *(connection(number, str(number), "disconnected", "http_401") for number in range(1, 4))
    )
    reported.accepted(late, 9)
    monkeypatch.setattr(chargers, "MAX_LINES", 3)

    assert outcomes(reported.get(job_id).json) == [("passed", None, 2.0), ("failed", "http_401", None)]


def test_a_stop_is_measured_until_it_is_final(reported: Reported) -> None:
    charger_id = reported.fleet.create()
    job_id = reported.job("stop", charger_id)

    report = reported.get(job_id).json

    assert report["until"] == "final"
    assert outcomes(report) == [("passed", None, 5.0)]


def test_a_removed_charger_stays_in_the_report(reported: Reported) -> None:
    charger_id = reported.fleet.create(identity="CP-GONE")
    job_id = reported.job("start", charger_id)
    reported.accepted(charger_id, 2)
    reported.call(charger_id, 3)
    with reported.fleet.sessions.begin() as session:
        session.delete(session.get_one(Charger, charger_id))

    report = reported.get(job_id).json

    assert outcomes(report) == [("passed", None, 2.0)]
    assert report["frames"]["total"] == 2


def test_calls_are_counted_by_action_with_the_latency_of_their_answers(reported: Reported) -> None:
    """By the message id, which may be used again and may have spaces before it."""
    one, two, other = (reported.fleet.create(identity=name) for name in ("one", "two", "other"))
    job_id = reported.job("start", one, two)
    for second, after_ms in enumerate((5, 10, 20, 400)):
        reported.call(one, second, after_ms=after_ms)
    reported.call(two, 1, answer=' [ 4 , {}, "NotSupported", "no", {{}}]', after_ms=30)
    reported.call(two, 2, answer="")
    reported.call(other, 1)
    again = '[2,"same","StatusNotification",{}]'
    answer = '[3,"same",{}]'
    reported.log(
        two,
        frame(3, "a", again, action="StatusNotification"),
        frame(3.05, "b", answer, action="StatusNotification", to_csms=False),
        frame(4, "c", again, action="StatusNotification"),
        frame(4.001, "d", '[2,"same","GetConfiguration",{}]', action="GetConfiguration", to_csms=False),
        frame(4.005, "e", answer, action="StatusNotification", to_csms=False),
        frame(4.008, "f", answer, action="GetConfiguration"),
        frame(5, "g", again, action="StatusNotification"),
        frame(6, "h", again, action="StatusNotification"),
        frame(7, "i", '[2,"x","Reset",{}]', action="Reset", to_csms=False),
        frame(7.002, "j", '[4,"x","NotImplemented","",{}]', action="Reset"),
        frame(8, "k", "no OCPP-J", action="Unknown"),
        frame(9, "l", None),
        frame(-1, "before the job"),
    )
    reported.log(one, frame(3.02, "of another charger", again, action="StatusNotification"))

    report = reported.get(job_id).json

    def row(action: str, caller: str, counts: str, *latency: float) -> dict[str, Any]:
        names = ("calls", "results", "errors", "unanswered")
        return {
            "action": action,
            "caller": caller,
            **dict(zip(names, map(int, counts.split()), strict=True)),
            "latency_ms": dict(zip(("p50", "p95", "p99", "max"), latency, strict=True)),
        }

    assert report["frames"]["by_action"] == [
        row("Heartbeat", "charger", "6 4 1 1", 20, 400, 400, 400),
        row("StatusNotification", "charger", "5 2 0 3", 5, 50, 50, 50),
        row("GetConfiguration", "csms", "1 1 0 0", 7, 7, 7, 7),
        row("Reset", "csms", "1 0 1 0", 2, 2, 2, 2),
    ]
    assert report["frames"]["csms_errors"] == [{"code": "NotSupported", "action": "Heartbeat", "count": 1}]
    assert (report["frames"]["total"], report["frames"]["complete"]) == (24, True)
    assert [(row["frames"], row["csms_errors"]) for row in report["chargers"]] == [(9, 0), (15, 1)]


def test_the_range_of_frames_can_be_chosen(reported: Reported) -> None:
    charger_id = reported.fleet.create()
    job_id = reported.job("start", charger_id)
    for second in range(5):
        reported.call(charger_id, second)

    def calls(**query: str) -> int:
        found = reported.get(job_id, **query).json["frames"]["by_action"]
        return sum(row["calls"] for row in found)

    assert calls(start_date="2026-04-09T12:00:03Z") == 2
    assert calls(end_date="2026-04-09T12:00:03Z") == 4
    assert calls(start_date="2026-04-09T12:00:01Z", end_date="2026-04-09T12:00:02Z") == 2
    assert calls(start_date="2026-04-10T11:00:00Z") == 0


@pytest.mark.parametrize(
    "query",
    [
        {"start_date": "9999-12-31T23:59:59Z"},
        {"end_date": "0001-01-01T00:00:00Z"},
        {"start_date": "0001-01-01T00:00:00Z"},
        {"end_date": "9999-12-31T23:59:59Z"},
        {"start_date": "0001-01-01T00:00:00Z", "end_date": "0001-01-01T00:00:00Z"},
    ],
)
@pytest.mark.parametrize("form", ["json", "html"])
def test_a_range_at_the_end_of_time_has_no_frames(
    reported: Reported, query: dict[str, str], form: str
) -> None:
    charger_id = reported.fleet.create()
    job_id = reported.job("start", charger_id)
    reported.call(charger_id, 1)

    answer = reported.get(job_id, format=form, **query)

    assert form == "html" or answer.json["frames"]["total"] == 0


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"format": "pdf"}, "format"),
        ({"start_date": "yesterday"}, "start_date"),
        ({"start_date": "2026-04-09T12:00:00Z", "end_date": "2026-04-09T11:00:00Z"}, "end_date"),
        ({"start_date": "2026-04-09T12:00:00Z", "end_date": "2026-04-10T12:00:01Z"}, "end_date"),
        ({"wait": "3"}, "wait"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(fleet: Fleet, query: dict[str, str], param: str) -> None:
    job_id = fleet.post("/ocpp/chargers/stop", json={"charger_ids": [fleet.create()]}).json["job_id"]

    answer = fleet.get(f"/ocpp/jobs/{job_id}/report", query_string=query)

    assert answer.status_code == 422
    assert [item["loc"] for item in answer.json["detail"]] == [["query", param]]


def test_a_report_that_cannot_count_all_frames_says_so(
    reported: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, quiet = reported.fleet.create(identity="busy"), reported.fleet.create(identity="quiet")
    job_id = reported.job("start", busy, quiet)
    for second in range(4):
        reported.call(busy, second)
    reported.call(quiet, 1)
    monkeypatch.setattr(frames, "MAX_FRAMES", 9)

    found = reported.get(job_id).json["frames"]

    assert (found["complete"], found["max_per_charger"], found["total"]) == (False, 4, 6)
    assert "Not all frames are counted" in reported.get(job_id, format="html").text


def test_a_report_says_which_frames_a_quota_cut_and_how_far_the_log_is_read(reported: Reported) -> None:
    charger_id = reported.fleet.create()
    job_id = reported.job("start", charger_id)
    reported.call(charger_id, 1)
    with reported.fleet.sessions.begin() as session:
        session.add(LogCut(charger_id=charger_id, day=NOON.date()))
        session.add(LogCursor(log_group="chargers", read_until_ms=0, read_through=NOON))

    found = reported.get(job_id).json["frames"]
    earlier = reported.get(job_id, end_date="2026-04-08T12:00:00Z").json["frames"]

    assert (found["complete"], found["cut_by_quota"]) == (False, 1)
    assert (earlier["complete"], earlier["cut_by_quota"]) == (True, 0)
    assert found["read_until"] == "2026-04-09T12:00:00Z"
    assert "Chargers that miss some: 1" in reported.get(job_id, format="html").text


def test_a_report_takes_as_many_statements_for_one_charger_as_for_twenty(
    reported: Reported, resources: Resources
) -> None:
    ids = [reported.fleet.create(identity=f"CP-{number}") for number in range(20)]
    small, large = reported.job("start", ids[0]), reported.job("start", *ids)
    statements: list[str] = []

    def count(*call: Any) -> None:
        statements.append(call[2])

    event.listen(resources.pools.reading, "before_cursor_execute", count)
    reported.get(small)
    of_one = len(statements)
    reported.get(large)
    event.remove(resources.pools.reading, "before_cursor_execute", count)

    assert (of_one, len(statements) - of_one) == (3, 3)


def test_nothing_of_a_charger_of_another_organization_is_read(reported: Reported) -> None:
    """A charger's id is in no other organization; were it, the state of its link would not be shown."""
    charger_id = reported.fleet.ready()
    job_id = reported.job("start", charger_id)
    reported.fleet.link(charger_id, "disconnected", reason="secret")
    with reported.fleet.sessions.begin() as session:
        session.execute(update(Charger).where(Charger.id == charger_id).values(organization_id="globex"))

    assert "secret" not in reported.get(job_id).text
    assert reported.fleet.get(f"/ocpp/jobs/{job_id}/report", organization="globex").status_code == 404
