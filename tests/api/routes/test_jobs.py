"""One request for many chargers: what is accepted, refused, previewed, shown and changed."""

from typing import Any

import pytest
from sqlalchemy import func, select, update

from api.http.jobs.schemas import MAX_JOB_BODY_BYTES
from shared.fleet.jobs.accept import MAX_CHARGERS
from shared.models import Charger, Command, Job, JobItem
from shared.vocabulary import ItemResult
from tests.support.fleet import Fleet

ACTIONS = ["start", "stop", "restart", "delete"]


@pytest.fixture
def three(fleet: Fleet) -> list[str]:
    """Three chargers that run, in the order of their creation."""
    return [fleet.ready(identity=f"CP-{number}", charge_point_name=f"Bay {number}") for number in (1, 2, 3)]


def rows(fleet: Fleet, model: type[Any] = JobItem) -> int:
    with fleet.sessions() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def accept(fleet: Fleet, action: str = "stop", **body: Any) -> str:
    answer = fleet.post(f"/ocpp/chargers/{action}", json=body or {"filters": {}})
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json["job_id"]
    return job_id


def write_results(fleet: Fleet, job_id: str, *results: ItemResult) -> None:
    """What a worker writes when the commands of the first items have ended so; the others wait."""
    with fleet.sessions.begin() as session:
        for position, result in enumerate(results, 1):
            session.execute(
                update(JobItem)
                .where(JobItem.job_id == int(job_id), JobItem.position == position)
                .values(result=result, reason="The image is gone" if result == ItemResult.FAILED else None)
            )
            changed = {"waiting": Job.waiting - 1, result.value: getattr(Job, result) + 1}
            session.execute(update(Job).where(Job.id == int(job_id)).values(changed))


def finish(fleet: Fleet, job_id: str) -> None:
    with fleet.sessions.begin() as session:
        session.execute(
            update(Job)
            .where(Job.id == int(job_id))
            .values(status="finished", finished_at=func.now(), next_at=None)
        )


@pytest.mark.parametrize("action", ACTIONS)
def test_a_job_is_accepted_for_chargers_in_the_order_of_their_ids(
    fleet: Fleet, three: list[str], action: str
) -> None:
    answer = fleet.post(f"/ocpp/chargers/{action}", json={"charger_ids": [three[2], three[0], three[2]]})

    assert answer.status_code == 202
    job_id = answer.json["job_id"]
    assert answer.json == {
        "job_id": job_id,
        "action": action,
        "total": 2,
        "status_url": f"/ocpp/jobs/{job_id}",
    }
    assert answer.headers["Location"] == f"/ocpp/jobs/{job_id}"
    items = fleet.get(f"/ocpp/jobs/{job_id}/items").json
    assert [(item["identity"], item["result"]) for item in items["data"]] == [
        ("CP-3", "waiting"),
        ("CP-1", "waiting"),
    ]
    assert rows(fleet, Command) == 3, "accepting records no command"


def test_a_job_is_shown_as_the_contract_of_jobs_says(fleet: Fleet, three: list[str]) -> None:
    job_id = accept(fleet, charger_ids=three, rate_per_second=2)

    job = fleet.get(f"/ocpp/jobs/{job_id}").json

    created_at = job.pop("created_at")
    assert created_at.endswith("Z")
    assert job == {
        "id": job_id,
        "action": "stop",
        "location_id": None,
        "status": "running",
        "total": 3,
        "counts": dict.fromkeys(ItemResult, 0) | {"waiting": 3},
        "rate_per_second": 2.0,
        "requested_by": "tester",
        "retry_of": None,
        "finished_at": None,
        "eta_s": 1.5,
        "waits_for": None,
    }


@pytest.mark.parametrize(
    ("filters", "identities"),
    [
        ({}, ["CP-1", "CP-2", "CP-3"]),
        ({"identity": "CP-2"}, ["CP-2"]),
        ({"q": "bay 3"}, ["CP-3"]),
        ({"attention": "true"}, []),
        ({"attention": False}, ["CP-1", "CP-2", "CP-3"]),
        ({"status": "READY", "observed": "running,stopped"}, ["CP-1", "CP-2", "CP-3"]),
        ({"observed": "stopped"}, []),
        ({"location_id": "north"}, []),
    ],
)
def test_filters_choose_the_chargers_that_the_list_shows(
    fleet: Fleet, three: list[str], filters: dict[str, Any], identities: list[str]
) -> None:
    fleet.ready("other", identity="CP-2")

    query = (
        {name: str(value).lower() for name, value in filters.items()} if "attention" in filters else filters
    )
    listed = fleet.get("/ocpp/chargers", query_string={"sort": "identity", **query}).json
    preview = fleet.post("/ocpp/chargers/stop", json={"filters": filters, "dry_run": True}).json

    assert [charger["identity"] for charger in listed["data"]] == identities
    assert (preview["total"], [charger["identity"] for charger in preview["sample"]]) == (
        len(identities),
        identities,
    )


def test_the_set_is_fixed_when_the_job_is_accepted(fleet: Fleet, three: list[str]) -> None:
    job_id = accept(fleet, filters={})

    fleet.ready(identity="CP-4")

    assert fleet.get(f"/ocpp/jobs/{job_id}").json["total"] == 3


def test_a_dry_run_says_what_would_be_left_out_and_stores_nothing(fleet: Fleet, three: list[str]) -> None:
    fleet.create(identity="CP-4")
    fleet.post(f"/ocpp/chargers/{three[0]}/stop-charger")
    fleet.settle(three[0], running_count=0)

    answer = fleet.post("/ocpp/chargers/stop", json={"filters": {}, "dry_run": True, "expected_count": 4})

    assert answer.status_code == 200
    assert answer.json["total"] == 4
    assert {(item["reason"], item["count"]) for item in answer.json["left_out"]} == {
        ("The charger is stopped already", 1),
        ("The charger is not provisioned yet: it has no runtime", 1),
    }
    assert rows(fleet, Job) == 0


@pytest.mark.parametrize(
    ("body", "loc", "message"),
    [
        ({}, ["body", "charger_ids"], "Give either 'charger_ids' or 'filters'"),
        ({"charger_ids": ["dep-1"], "filters": {}}, ["body", "charger_ids"], "Give either"),
        ({"charger_ids": []}, ["body", "charger_ids"], "at least 1 item"),
        ({"charger_ids": ["dep-1", 5]}, ["body", "charger_ids", 1], "the id of a charger"),
        ({"charger_ids": ["dep 1"]}, ["body", "charger_ids", 0], "the id of a charger"),
        ({"charger_ids": ["dep-1"] * (MAX_CHARGERS + 1)}, ["body", "charger_ids"], "at most 10000 items"),
        ({"charger_ids": "dep-1"}, ["body", "charger_ids"], "valid list"),
        ({"filters": {"colour": "red"}}, ["body", "filters", "colour"], "no such key"),
        ({"filters": {"observed": "gone"}}, ["body", "filters", "observed"], "Input should be"),
        ({"filters": {"page": "1"}}, ["body", "filters", "page"], "no such key"),
        ({"filters": []}, ["body", "filters"], "valid dictionary"),
        ({"filters": None}, ["body", "filters"], "valid dictionary"),
        ({"charger_ids": None}, ["body", "charger_ids"], "valid list"),
        ({"filters": {"q": None}}, ["body", "filters", "q"], "valid string"),
        ({"filters": {"q": 5}}, ["body", "filters", "q"], "valid string"),
        ({"filters": {"attention": "perhaps"}}, ["body", "filters", "attention"], "true"),
        ({"filters": {}, "expected_count": 2}, ["body", "expected_count"], "has 3 chargers now, not 2"),
        ({"filters": {}, "rate_per_second": 0}, ["body", "rate_per_second"], "greater than or equal"),
        ({"filters": {}, "rate_per_second": "2"}, ["body", "rate_per_second"], "valid number"),
        ({"filters": {}, "dry_run": 1}, ["body", "dry_run"], "valid boolean"),
        ({"filters": {"identity": "CP-9"}}, ["body", "filters"], "No charger matches"),
        ({"charger_ids": ["dep-x", "dep-y"]}, ["body", "charger_ids"], "Chargers not found: dep-x, dep-y."),
        ({"filters": {}, "more": 1}, ["body", "more"], "no such key"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence_and_stores_nothing(
    fleet: Fleet, three: list[str], body: Any, loc: list[Any], message: str
) -> None:
    answer = fleet.post("/ocpp/chargers/stop", json=body)

    assert answer.status_code == 422, answer.text
    assert answer.json["detail"][0]["loc"] == loc
    assert message in answer.json["detail"][0]["msg"]
    assert (rows(fleet, Job), rows(fleet)) == (0, 0)


def test_ten_of_many_unknown_ids_are_named(fleet: Fleet, three: list[str]) -> None:
    ids = [*three, *(f"dep-{number:02}" for number in range(12))]

    answer = fleet.post("/ocpp/chargers/stop", json={"charger_ids": ids})

    assert answer.json["detail"][0]["msg"].endswith("dep-08, dep-09 and 2 more. Nothing was changed")


def test_a_charger_of_another_organization_is_unknown(fleet: Fleet, three: list[str]) -> None:
    theirs = fleet.ready("other")

    answer = fleet.post("/ocpp/chargers/stop", json={"charger_ids": [three[0], theirs]})

    assert answer.status_code == 422
    assert answer.json["detail"][0]["msg"] == f"Chargers not found: {theirs}. Nothing was changed"


def test_ten_thousand_ids_fit_into_a_body_and_a_larger_one_is_refused(fleet: Fleet) -> None:
    fleet.multiply(fleet.ready(), MAX_CHARGERS - 1)
    ids = _ids(fleet)

    answer = fleet.post("/ocpp/chargers/stop", json={"charger_ids": ids})
    too_large = fleet.post("/ocpp/chargers/stop", data=b" " * (MAX_JOB_BODY_BYTES + 1))
    elsewhere = fleet.post("/ocpp/chargers", data=b" " * (64 * 1024 + 1))

    assert (answer.status_code, answer.json["total"]) == (202, MAX_CHARGERS)
    assert (too_large.status_code, elsewhere.status_code) == (413, 413)


def test_more_chargers_than_a_job_may_have_are_refused(fleet: Fleet) -> None:
    fleet.multiply(fleet.ready(), MAX_CHARGERS)

    answer = fleet.post("/ocpp/chargers/stop", json={"filters": {}})

    assert answer.status_code == 422
    assert answer.json["detail"][0]["msg"].startswith("More than 10000 chargers match")
    assert rows(fleet, Job) == 0


def _ids(fleet: Fleet) -> list[str]:
    with fleet.sessions() as session:
        return list(session.scalars(select(Charger.id)))


def test_a_repeat_with_the_same_idempotency_key_is_the_same_job(fleet: Fleet, three: list[str]) -> None:
    headers = {"Idempotency-Key": "key-1"}
    body: Any = {"filters": {}}

    first = fleet.post("/ocpp/chargers/stop", json=body, headers=headers)
    again = fleet.post("/ocpp/chargers/stop", json=body, headers=headers)
    other = fleet.post("/ocpp/chargers/stop", json={"charger_ids": three}, headers=headers)

    assert (again.status_code, again.json) == (202, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert other.status_code == 422
    assert rows(fleet, Job) == 1


def test_a_key_can_be_used_again_after_a_refusal(fleet: Fleet, three: list[str]) -> None:
    headers = {"Idempotency-Key": "key-1"}
    body = {"filters": {}, "expected_count": 4}
    refused = fleet.post("/ocpp/chargers/stop", json=body, headers=headers)
    fleet.ready(identity="CP-4")

    answer = fleet.post("/ocpp/chargers/stop", json=body, headers=headers)

    assert (refused.status_code, answer.status_code) == (422, 202)


def test_jobs_are_listed_newest_first_and_by_state(fleet: Fleet, three: list[str]) -> None:
    ended = accept(fleet, "stop")
    finish_all(fleet, ended)
    running = accept(fleet, "start")

    both = fleet.get("/ocpp/jobs").json
    by_status = fleet.get("/ocpp/jobs?status=finished,paused").json
    by_action = fleet.get("/ocpp/jobs?action=start").json
    second = fleet.get("/ocpp/jobs?page=2&limit=1").json

    assert [job["id"] for job in both["data"]] == [running, ended]
    assert ([job["id"] for job in by_status["data"]], by_status["total"]) == ([ended], 1)
    assert [job["id"] for job in by_action["data"]] == [running]
    assert ([job["id"] for job in second["data"]], second["total"]) == ([ended], 2)


def finish_all(fleet: Fleet, job_id: str) -> None:
    write_results(fleet, job_id, ItemResult.SUCCEEDED, ItemResult.FAILED, ItemResult.SKIPPED)
    finish(fleet, job_id)


def test_items_are_listed_by_result_with_their_reasons(fleet: Fleet, three: list[str]) -> None:
    job_id = accept(fleet)
    write_results(fleet, job_id, ItemResult.SUCCEEDED, ItemResult.FAILED)

    failed = fleet.get(f"/ocpp/jobs/{job_id}/items?result=failed").json
    two = fleet.get(f"/ocpp/jobs/{job_id}/items?result=failed,waiting&limit=1&page=2").json

    assert failed["total"] == 1
    assert failed["data"][0] == {
        "position": 2,
        "charger_id": three[1],
        "identity": "CP-2",
        "result": "failed",
        "reason": "The image is gone",
        "reason_code": None,
        "command_id": None,
        "requested_at": None,
        "finished_at": None,
    }
    assert ([item["identity"] for item in two["data"]], two["total"]) == (["CP-3"], 2)


def test_a_job_is_paused_resumed_and_cancelled_and_says_by_whom(fleet: Fleet, three: list[str]) -> None:
    job_id = accept(fleet)
    tom = {"Authorization": f"Bearer {fleet.token(subject='tom')}"}

    paused = fleet.post(f"/ocpp/jobs/{job_id}/pause", headers=tom)
    again = fleet.post(f"/ocpp/jobs/{job_id}/pause")
    resumed = fleet.post(f"/ocpp/jobs/{job_id}/resume")
    cancelled = fleet.post(f"/ocpp/jobs/{job_id}/cancel", headers=tom)

    assert (paused.status_code, paused.json["status"], paused.json["waits_for"]) == (
        200,
        "paused",
        "Paused by tom",
    )
    assert again.json["waits_for"] == "Paused by tom", "a repeat changes nothing"
    assert (resumed.json["status"], resumed.json["waits_for"]) == ("running", None)
    assert (cancelled.json["status"], cancelled.json["finished_at"]) == ("cancelled", None)
    assert cancelled.json["waits_for"].startswith("Cancelled by tom")


@pytest.mark.parametrize("change", ["pause", "resume", "cancel"])
def test_a_job_that_has_ended_is_not_changed(fleet: Fleet, three: list[str], change: str) -> None:
    job_id = accept(fleet)
    finish_all(fleet, job_id)

    answer = fleet.post(f"/ocpp/jobs/{job_id}/{change}")

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["path", "job_id"]
    assert fleet.get(f"/ocpp/jobs/{job_id}").json["status"] == "finished"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/items"),
        ("GET", "/events"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
    ],
)
def test_no_route_shows_or_changes_a_job_of_another_organization(
    fleet: Fleet, three: list[str], method: str, path: str
) -> None:
    job_id = accept(fleet)
    write_results(fleet, job_id, ItemResult.FAILED)
    before = fleet.get(f"/ocpp/jobs/{job_id}").json

    answer = fleet.request(method, f"/ocpp/jobs/{job_id}{path}", organization="other")

    assert answer.status_code == 404, answer.text
    assert fleet.get("/ocpp/jobs", organization="other").json["total"] == 0
    assert fleet.get(f"/ocpp/jobs/{job_id}").json == before


def test_a_waiting_request_is_answered_when_the_job_is_final(
    fleet: Fleet, three: list[str], begin: Any
) -> None:
    job_id = accept(fleet)

    waiting = begin("GET", f"/ocpp/jobs/{job_id}?wait=30")
    finish_all(fleet, job_id)

    assert waiting.result(10).json["status"] == "finished"
