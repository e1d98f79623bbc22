"""The report of a location: each of its chargers since its newest start."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from api.http.reports.answers import ReportAnswer
from shared.fleet.reports import chargers, read
from shared.models import Charger, Command
from tests.api.routes.reports.writing import RESTART, Reported
from tests.support.fleet import Fleet
from tests.support.log_entries import NOON

RANGE = {"start_date": "2026-04-09T12:00:00Z", "end_date": "2026-04-09T13:00:00Z"}


def started(fleet: Fleet, location_id: str, identity: str, **charger: Any) -> str:
    """A charger of the location that was created at NOON, and is ready since then."""
    charger_id = fleet.ready(identity=identity, location_id=location_id)
    fleet.finish(charger_id)
    with fleet.sessions.begin() as session:
        created = update(Command).where(Command.charger_id == charger_id)
        session.execute(created.values(created_at=NOON, finished_at=NOON + timedelta(seconds=5)))
        if charger:
            session.execute(update(Charger).where(Charger.id == charger_id).values(charger))
    return charger_id


def report_of(fleet: Fleet, location_id: str, **query: str) -> Any:
    answer = fleet.get(f"/ocpp/locations/{location_id}/report", query_string=RANGE | query)
    assert answer.status_code == 200, answer.text
    return answer


def test_chargers_are_measured_from_their_newest_start(reported: Reported) -> None:
    fleet = reported.fleet
    here, elsewhere = fleet.locate(name="Here"), fleet.locate(name="Elsewhere")
    created, restarted = started(fleet, here, "CP-1"), started(fleet, here, "CP-2")
    stopped = started(fleet, here, "CP-3", desired_count=0)
    stop = reported.command(stopped, "stop_charger", 2, at=40, status="failed")
    with fleet.sessions.begin() as session:
        session.execute(update(Charger).where(Charger.id == stopped).values(newest_command_id=stop))
    failed = started(
        fleet,
        here,
        "CP-4",
        provisioning_status="FAILED",
        error={"code": "image_unavailable", "message": "Gone"},
    )
    reported.accepted(started(fleet, elsewhere, "CP-5"), 1)
    reported.accepted(created, 2)
    reported.command(created, "update_charger", 2, at=30)
    reported.accepted(created, 35)
    reported.accepted(restarted, 3)
    reported.command(restarted, RESTART, 2, at=60, applied_at=61)
    reported.accepted(restarted, 64)
    reported.call(restarted, 65)

    report = report_of(fleet, here).json

    assert set(report) == set(ReportAnswer().fields)
    assert (report["job_id"], report["location_id"], report["until"]) == (None, here, "accepted")
    assert [
        (one["charger_id"], one["outcome"], one["reason_code"], one["seconds"]) for one in report["chargers"]
    ] == [
        (created, "passed", None, 2.0),
        (restarted, "passed", None, 4.0),
        (stopped, "skipped", "stopped", None),
        (failed, "failed", "image_unavailable", None),
    ]
    assert report["frames"]["total"] == 2
    assert "<h1>Location Here</h1>" in report_of(fleet, here, format="html").text


def test_an_update_that_replaced_the_start_decides_what_became_of_it(reported: Reported) -> None:
    fleet, location_id = reported.fleet, reported.fleet.locate()
    ids = {name: started(fleet, location_id, name) for name in ("open", "failed", "good")}
    for name, status in (("open", "applied"), ("failed", "failed"), ("good", "succeeded")):
        newest = reported.command(ids[name], "update_charger", 2, at=30)
        error = {"code": "image_unavailable", "message": "Gone"} if status == "failed" else None
        finished_at = None if status == "applied" else NOON
        with fleet.sessions.begin() as session:
            changed = update(Command).where(Command.id == newest)
            session.execute(changed.values(status=status, error=error, finished_at=finished_at))
            session.execute(
                update(Charger)
                .where(Charger.id == ids[name])
                .values(newest_command_id=newest, generation=2, publish_at=NOON)
            )
    reported.accepted(ids["good"], 31)

    found = {one["identity"]: one for one in report_of(fleet, location_id).json["chargers"]}

    assert {name: one["outcome"] for name, one in found.items()} == {
        "open": "open",
        "failed": "failed",
        "good": "passed",
    }
    assert found["failed"]["reason"] == "Gone"


def test_frames_are_counted_of_the_last_day_by_default(reported: Reported) -> None:
    location_id = reported.fleet.locate()
    started(reported.fleet, location_id, "CP-1")

    report = reported.fleet.get(f"/ocpp/locations/{location_id}/report").json

    assert report["range"]["end"] == report["generated_at"]
    assert report["range"]["start"] > "2026-04-10"


def test_an_empty_location_has_an_empty_report(fleet: Fleet) -> None:
    location_id = fleet.locate()

    report = fleet.get(f"/ocpp/locations/{location_id}/report").json

    assert (report["total"], report["seconds"], report["chargers"]) == (0, None, [])
    assert report["frames"]["by_action"] == []


def test_a_location_with_too_many_chargers_is_refused(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    location_id = fleet.locate()
    for number in range(3):
        fleet.create(identity=f"CP-{number}", location_id=location_id)
    for module in (chargers, read):
        monkeypatch.setattr(module, "MAX_CHARGERS", 2)

    answer = fleet.get(f"/ocpp/locations/{location_id}/report")

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["path", "location_id"]


def test_a_deleted_location_has_no_report(fleet: Fleet) -> None:
    location_id = fleet.locate()
    fleet.delete(f"/ocpp/locations/{location_id}")

    assert fleet.get(f"/ocpp/locations/{location_id}/report").status_code == 404
