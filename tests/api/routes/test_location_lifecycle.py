"""What is requested of all chargers of a location at once: start, stop, restart, and their deletion with the location."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, text, update

from api.resources import Resources
from shared.fleet.jobs.accept import MAX_CHARGERS
from shared.fleet.locations.scope import lock_location
from shared.models import Charger, Job, JobItem
from tests.api.http.refusals import assert_items
from tests.support.fleet import NEW_CHARGER, Fleet
from tests.support.waiting import wait_until

IS_BLOCKED = text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")


@pytest.fixture
def site(fleet: Fleet) -> str:
    """A location with two chargers that run; a third one is elsewhere."""
    location_id = fleet.locate()
    for number in (1, 2):
        fleet.ready(identity=f"CP-{number}", location_id=location_id)
    fleet.ready(identity="CP-ELSEWHERE", location_id="elsewhere")
    return location_id


def _items(fleet: Fleet, job_id: int | str) -> list[str]:
    with fleet.sessions() as session:
        query = select(JobItem.identity).where(JobItem.job_id == int(job_id)).order_by(JobItem.position)
        return list(session.scalars(query))


def _jobs(fleet: Fleet) -> list[Job]:
    with fleet.sessions() as session:
        return list(session.scalars(select(Job).order_by(Job.id)))


@pytest.mark.parametrize(("verb", "action"), [("start", "start"), ("stop", "stop"), ("reset", "restart")])
def test_a_job_has_all_chargers_of_the_location_and_no_other(
    fleet: Fleet, site: str, verb: str, action: str
) -> None:
    body = {"rate_per_second": 2, "expected_count": 2}

    answer = fleet.post(f"/ocpp/locations/{site}/{verb}-chargers", json=body)

    assert (answer.status_code, answer.json["action"], answer.json["total"]) == (202, action, 2)
    job = fleet.get(answer.headers["Location"]).json
    assert (job["location_id"], job["rate_per_second"]) == (site, 2)
    assert _items(fleet, answer.json["job_id"]) == ["CP-1", "CP-2"]


def test_filters_choose_some_of_the_chargers_of_the_location(fleet: Fleet, site: str) -> None:
    labelled = fleet.ready(identity="CP-3", location_id=site, labels={"row": "a"})
    fleet.ready(identity="CP-4", labels={"row": "a"})

    answer = fleet.post(f"/ocpp/locations/{site}/stop-chargers", json={"filters": {"labels": "row:a"}})

    assert answer.json["total"] == 1
    items = fleet.get(f"/ocpp/jobs/{answer.json['job_id']}/items").json["data"]
    assert [item["charger_id"] for item in items] == [labelled]


def test_a_dry_run_and_an_empty_body_are_fine(fleet: Fleet, site: str) -> None:
    path = f"/ocpp/locations/{site}/start-chargers"

    preview = fleet.post(path, json={"dry_run": True})
    assert (preview.status_code, preview.json["total"]) == (200, 2)
    assert [row["reason_code"] for row in preview.json["left_out"]] == ["already_running"]
    assert _jobs(fleet) == []

    assert fleet.post(path).json["total"] == 2


def test_a_location_that_is_empty_or_unknown_or_of_another_number_is_refused(fleet: Fleet, site: str) -> None:
    def stop(location_id: str, **body: Any) -> Any:
        return fleet.post(f"/ocpp/locations/{location_id}/stop-chargers", json=body)

    assert_items(stop(fleet.locate()), (["path", "location_id"], "value_error"))
    assert_items(stop(site, expected_count=3), (["body", "expected_count"], "value_error"))
    assert_items(stop(site, filters={"q": "ELSEWHERE"}), (["body", "filters"], "value_error"))
    assert_items(
        stop(site, filters={"location_id": "elsewhere"}),
        (["body", "filters", "location_id"], "extra_forbidden"),
    )
    for foreign in (fleet.locate("globex"), "nowhere"):
        assert stop(foreign).status_code == stop(foreign, dry_run=True).status_code == 404
    assert _jobs(fleet) == []


def test_a_deleted_location_takes_its_chargers_along(fleet: Fleet, site: str) -> None:
    assert fleet.delete(f"/ocpp/locations/{site}").status_code == 204
    [job] = _jobs(fleet)
    assert (job.action, job.location_id, job.requested_by) == ("delete", site, "tester")
    assert _items(fleet, job.id) == ["CP-1", "CP-2"]
    assert fleet.delete(f"/ocpp/locations/{site}").status_code == 204
    assert fleet.get("/ocpp/jobs").json["total"] == 1
    assert fleet.get(f"/ocpp/jobs?location_id={site}").json["data"][0]["id"] == str(job.id)
    assert fleet.get("/ocpp/jobs?location_id=elsewhere").json["total"] == 0


def test_a_location_is_deleted_beside_as_many_jobs_as_there_may_be_and_with_more_chargers_than_a_job_may_have(
    fleet: Fleet, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fleet.sessions.begin() as session:
        for _ in range(20):
            session.execute(
                text("INSERT INTO jobs (organization_id, action, total, waiting, requested_by)"
                     " VALUES ('acme', 'stop', 1, 1, 'ada')")
            )  # fmt: skip
    assert fleet.post(f"/ocpp/locations/{site}/stop-chargers").status_code == 429
    [some, *_] = fleet.get(f"/ocpp/chargers?location_id={site}").json["data"]
    fleet.multiply(some["id"], MAX_CHARGERS)

    assert fleet.delete(f"/ocpp/locations/{site}").status_code == 204

    assert _jobs(fleet)[-1].total == MAX_CHARGERS + 2


def test_a_deletion_waits_for_who_puts_a_charger_into_the_location_and_takes_it_along(
    fleet: Fleet, site: str
) -> None:
    with fleet.sessions() as creating, ThreadPoolExecutor() as threads:
        lock_location(creating, organization_id="acme", location_id=site)
        creating.execute(update(Charger).where(Charger.identity == "CP-ELSEWHERE").values(location_id=site))
        deletion = threads.submit(lambda: fleet.delete(f"/ocpp/locations/{site}"))
        wait_until(lambda: _is_blocked(fleet))
        creating.commit()
        assert deletion.result(10).status_code == 204

    assert _items(fleet, _jobs(fleet)[0].id) == ["CP-1", "CP-2", "CP-ELSEWHERE"]


def test_a_create_that_comes_during_the_deletion_finds_no_location(
    fleet: Fleet, resources: Resources, site: str
) -> None:
    with resources.sessions() as deleting, ThreadPoolExecutor() as threads:
        deleting.execute(text("SELECT FROM locations WHERE id = :id FOR UPDATE"), {"id": site})
        deleting.execute(text("UPDATE locations SET deleted_at = now() WHERE id = :id"), {"id": site})
        new = NEW_CHARGER | {"identity": "CP-LATE", "location_id": site}
        create = threads.submit(lambda: fleet.post("/ocpp/chargers", json=new))
        wait_until(lambda: _is_blocked(fleet))
        deleting.commit()
        answer = create.result(10)

    assert (answer.status_code, answer.json) == (400, {"detail": f"Location {site} not found"})


def _is_blocked(fleet: Fleet) -> bool:
    with fleet.sessions() as session:
        return bool(session.scalar(IS_BLOCKED))
