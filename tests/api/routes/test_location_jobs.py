"""Creating the chargers of a location: what is accepted, refused, repeated and shown."""

import re
from typing import Any

import pytest
from sqlalchemy import func, select, update

from shared.fleet.jobs.accept import MAX_CHARGERS
from shared.models import Charger, Job, JobItem
from shared.vocabulary import ItemResult
from tests.support.fleet import Fleet

RANDOM = "SITE_A_RANDOM"  #: 8 hex digits
TEMPLATE = {
    "brand_slug": "wallbox",
    "model_slug": "wallbox-pulsar-plus",
    "connector_type": "Type2",
    "ws_url": "ws://csms.test/ocpp",
    "identity_prefix": "SITE_A_",
    "template_name": "Bay",
}


@pytest.fixture
def location(fleet: Fleet) -> str:
    return fleet.locate()


def group(*suffixes: str, number: int | None = None, **template: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"template": TEMPLATE | template}
    if suffixes:
        found["charger_ids"] = list(suffixes)
    if number is not None:
        found["chargers_number"] = number
    return found


def create(fleet: Fleet, location: str, *groups: Any, query: str = "", **kwargs: Any) -> Any:
    return fleet.post(f"/ocpp/locations/{location}/chargers{query}", json=list(groups), **kwargs)


def accepted(fleet: Fleet, location: str, *groups: Any, **kwargs: Any) -> Any:
    answer = create(fleet, location, *groups, **kwargs)
    assert answer.status_code == 202, answer.text
    return answer.json


def items(fleet: Fleet, job_id: str) -> list[JobItem]:
    with fleet.sessions() as session:
        of_job = select(JobItem).where(JobItem.job_id == int(job_id)).order_by(JobItem.position)
        return list(session.scalars(of_job))


def identities(fleet: Fleet, job_id: str) -> list[str]:
    return [item.identity for item in items(fleet, job_id)]


def rows(fleet: Fleet, model: type[Any] = Job) -> int:
    with fleet.sessions() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def end(fleet: Fleet, job_id: str, **results: str) -> None:
    """What workers write when every item has ended: `results` by identity, the others failed."""
    with fleet.sessions.begin() as session:
        numbers = dict.fromkeys(ItemResult, 0)
        for item in session.scalars(select(JobItem).where(JobItem.job_id == int(job_id))):
            item.result = results.get(item.identity, ItemResult.FAILED)
            if item.result == ItemResult.FAILED:
                item.reason, item.reason_code = "Identity already exists", "identity_taken"
            numbers[ItemResult(item.result)] += 1
        counts = {result.value: number for result, number in numbers.items()}
        session.execute(
            update(Job)
            .where(Job.id == int(job_id))
            .values(**counts, status="finished", finished_at=func.now(), next_at=None)
        )


def test_a_job_is_accepted_with_an_item_for_each_charger(fleet: Fleet, location: str) -> None:
    answer = create(fleet, location, group("001", "002"), group("003", identity_prefix=None))

    assert answer.status_code == 202
    job_id = answer.json["job_id"]
    url = f"/ocpp/locations/{location}/chargers/jobs/{job_id}"
    run = answer.json["workflow_run_id"]
    assert run.startswith("wfr_")
    assert answer.json == {
        "job_id": job_id,
        "status": "PENDING",
        "workflow_run_id": run,
        "status_url": url,
        "total": 3,
    }
    assert answer.headers["Location"] == url
    assert identities(fleet, job_id) == ["SITE_A_001", "SITE_A_002", "003"]
    shown = fleet.get(url).json
    created_at = shown.pop("created_at")
    assert created_at.endswith("Z")
    assert shown == {
        "job_id": job_id,
        "job_type": "location_chargers_create",
        "status": "PENDING",
        "workflow_run_id": run,
        "error": None,
        "results": None,
        "provisioned_at": None,
        "total": 3,
        "counts": dict.fromkeys(ItemResult, 0) | {"waiting": 3},
        "rate_per_second": None,
        "eta_s": None,
        "waits_for": None,
    }
    assert fleet.get(f"/ocpp/jobs/{job_id}").json["action"] == "create"
    assert rows(fleet, Charger) == 0


@pytest.mark.parametrize(
    ("suffixes", "number", "expected"),
    [
        (["1", "2"], None, ["SITE_A_1", "SITE_A_2"]),
        ([], 3, [RANDOM] * 3),
        (["1"], 3, ["SITE_A_1", RANDOM, RANDOM]),
        (["1", "2", "3"], 2, ["SITE_A_1", "SITE_A_2"]),
    ],
)
def test_a_list_is_cut_or_filled_up_to_the_number(
    fleet: Fleet, location: str, suffixes: list[str], number: int | None, expected: list[str]
) -> None:
    job = accepted(fleet, location, group(*suffixes, number=number))

    found = identities(fleet, job["job_id"])
    assert len(set(found)) == len(found)
    assert [re.sub(r"(?<=_)[0-9a-f]{8}$", "RANDOM", identity) for identity in found] == expected


def test_labels_times_to_live_and_settings_of_templates_are_kept_for_the_workers(
    fleet: Fleet, location: str
) -> None:
    own = group("1", labels={"run": "7"}, ttl_seconds=600, serial_number="S-1", location_name="Here")
    other = group("2", labels=None, ttl_seconds=None, ocpp_version="ocpp2.0.1")
    job = accepted(fleet, location, own, other, query="?ttl_seconds=3600")

    with fleet.sessions() as session:
        stored: Any = session.get_one(Job, int(job["job_id"])).input
    first, second = stored["groups"]
    assert (first["columns"]["labels"], first["ttl_seconds"]) == ({"run": "7"}, 600)
    assert (first["settings"], first["columns"]["location_name"]) == ({"serial_number": "S-1"}, "Here")
    assert (second["columns"]["labels"], second["ttl_seconds"], stored["ttl_seconds"]) == ({}, None, 3600)
    assert second["columns"]["ocpp_version"] == "OCPP2.0.1"
    assert second["columns"]["location_name"] == fleet.get(f"/ocpp/locations/{location}").json["name"]


def test_ten_thousand_chargers_are_accepted_in_one_request(fleet: Fleet, location: str) -> None:
    suffixes = [f"{number:05}" for number in range(MAX_CHARGERS)]

    assert accepted(fleet, location, group(*suffixes))["total"] == MAX_CHARGERS


ONE = {"template": TEMPLATE, "charger_ids": ["1"]}


@pytest.mark.parametrize(
    ("body", "loc", "message"),
    [
        ([], [], "at least 1 item"),
        ({}, [], "valid list"),
        ("x", [], "valid list"),
        ([1], [0], "valid dictionary"),
        ([ONE, {"charger_ids": ["1"]}], [1, "template"], "required"),
        ([{"template": TEMPLATE}], [0, "chargers_number"], "Give 'charger_ids'"),
        ([group(number=0)], [0, "chargers_number"], "greater than or equal to 1"),
        ([ONE | {"charger_ids": []}], [0, "charger_ids"], "at least 1 item"),
        ([ONE | {"charger_ids": ["1", 2]}], [0, "charger_ids", 1], "valid string"),
        ([group("1", "a b ")], [0, "charger_ids", 1], "is no identity"),
        ([group("x" * 42)], [0, "charger_ids", 0], "is no identity"),
        ([group("1", number=2, identity_prefix="x" * 41)], [0, "template"], "is no identity"),
        ([group("1", brand_slug=None)], [0, "template", "brand_slug"], "valid string"),
        ([group("1"), group("2", model_slug="none")], [1, "template", "model_slug"], "has no model none"),
        ([group("1", connector_type="CCS2")], [0, "template", "connector_type"], "no CCS2 connector"),
        ([group("1", connectors={"types": ["CCS2"]})], [0, "template", "connectors"], "no CCS2 connector"),
        ([group("1", ws_url="http://a")], [0, "template", "ws_url"], "ws"),
        ([group("1", security={"profile": 1})], [0, "template", "security"], "needs a password"),
        ([group("1", colour="red")], [0, "template", "colour"], "no such key"),
        ([group("1", ttl_seconds=59)], [0, "template", "ttl_seconds"], "greater than or equal to 60"),
        ([ONE | {"number": 1}], [0, "number"], "no such key"),
        ([group(number=MAX_CHARGERS), ONE], [], "at most 10000 chargers together, not 10001"),
        ([ONE] * 1001, [], "at most 1000 items"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place_and_stores_nothing(
    fleet: Fleet, location: str, body: Any, loc: list[Any], message: str
) -> None:
    answer = fleet.post(f"/ocpp/locations/{location}/chargers", json=body)

    assert answer.status_code == 422, answer.text
    assert answer.json["detail"][0]["loc"] == ["body", *loc]
    assert message in answer.json["detail"][0]["msg"]
    assert rows(fleet) == 0


@pytest.mark.parametrize("where", ["unknown", "deleted", "of another organization"])
def test_a_location_that_the_organization_does_not_have_is_not_found(fleet: Fleet, where: str) -> None:
    location = fleet.locate("globex" if where == "of another organization" else "acme")
    if where == "deleted":
        fleet.delete(f"/ocpp/locations/{location}")

    answer = create(fleet, "somewhere" if where == "unknown" else location, ONE)

    assert answer.status_code == 404
    assert rows(fleet) == 0


def test_the_same_body_while_the_job_is_open_is_the_same_job(fleet: Fleet, location: str) -> None:
    """The SDK repeats a POST whose answer it lost."""
    first = accepted(fleet, location, group(number=3))

    again = accepted(fleet, location, group(number=3))
    other = accepted(fleet, location, group(number=4))
    elsewhere = accepted(fleet, fleet.locate(), group(number=3))
    ramp = accepted(fleet, location, group(number=3), query="?rate_per_second=1")
    end(fleet, first["job_id"])
    later = accepted(fleet, location, group(number=3))

    assert again == first
    assert len({job["job_id"] for job in (first, other, elsewhere, ramp, later)}) == 5


def test_the_same_body_after_a_cancelled_job_is_another_job(fleet: Fleet, location: str) -> None:
    first = accepted(fleet, location, group("1"))
    fleet.post(f"/ocpp/jobs/{first['job_id']}/cancel")

    assert accepted(fleet, location, group("1"))["job_id"] != first["job_id"]


def test_a_repeat_with_the_same_idempotency_key_is_the_same_job_also_when_it_has_ended(
    fleet: Fleet, location: str
) -> None:
    headers = {"Idempotency-Key": "key-1"}
    first = accepted(fleet, location, group(number=3), headers=headers)
    end(fleet, first["job_id"])

    again = create(fleet, location, group(number=3), headers=headers)
    other = create(fleet, location, group(number=4), headers=headers)

    assert (again.json, again.headers["Idempotent-Replayed"]) == (first, "true")
    assert other.status_code == 422
    assert rows(fleet) == 1


def test_a_secret_of_a_template_is_stored_sealed_and_never_shown(fleet: Fleet, location: str) -> None:
    job = accepted(fleet, location, group("1", security={"profile": 1, "password": "geheim-42"}))

    with fleet.sessions() as session:
        stored = session.get_one(Job, int(job["job_id"])).input
    assert "geheim-42" not in str(stored)
    assert list(stored["groups"][0]["sealed"]) == ["password"]  # type: ignore[index]
    assert "geheim-42" not in fleet.get(job["status_url"]).text


def test_a_ready_job_shows_each_charger_that_was_created_and_why_the_others_were_not(
    fleet: Fleet, location: str
) -> None:
    charger_id = fleet.ready(identity="SITE_A_1")
    job = accepted(fleet, location, group("1", "2", "3"))
    with fleet.sessions.begin() as session:
        first = update(JobItem).where(JobItem.identity == "SITE_A_1")
        session.execute(first.values(charger_id=charger_id))
    end(fleet, job["job_id"], SITE_A_1="succeeded", SITE_A_3="cancelled")

    shown = fleet.get(job["status_url"]).json

    assert (shown["status"], shown["error"]) == ("READY", None)
    assert shown["provisioned_at"].endswith("Z")
    results = shown["results"]
    assert (results["created_count"], results["failed_count"]) == (1, 2)
    listed = fleet.get("/ocpp/chargers").json["data"]
    unsteady = {"runtime", "command"}
    assert [{k: v for k, v in one.items() if k not in unsteady} for one in results["created"]] == [
        {k: v for k, v in one.items() if k not in unsteady} for one in listed
    ]
    assert results["failed"] == [
        {"identity": "SITE_A_2", "error": "Identity already exists", "reason_code": "identity_taken"},
        {
            "identity": "SITE_A_3",
            "error": "The job was cancelled before the charger was created",
            "reason_code": None,
        },
    ]


def test_a_waiting_request_is_answered_when_the_job_is_ready(fleet: Fleet, location: str, begin: Any) -> None:
    job = accepted(fleet, location, group("1"))

    waiting = begin("GET", f"{job['status_url']}?wait=30")
    end(fleet, job["job_id"])

    assert waiting.result(10).json["status"] == "READY"


def test_a_job_is_found_only_at_its_location_and_by_its_organization(fleet: Fleet, location: str) -> None:
    job = accepted(fleet, location, group("1"))
    fleet.ready()
    stop = fleet.post("/ocpp/chargers/stop", json={"filters": {}}).json
    here = f"/ocpp/locations/{location}/chargers/jobs"

    answers = [
        fleet.get(f"/ocpp/locations/{fleet.locate()}/chargers/jobs/{job['job_id']}"),
        fleet.get(job["status_url"], organization="globex"),
        fleet.get(f"{here}/{stop['job_id']}"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]


def test_a_retry_creates_what_failed_with_the_same_identities_and_new_ids(
    fleet: Fleet, location: str
) -> None:
    job = accepted(fleet, location, group("1", "2", "3"), query="?rate_per_second=5")
    before = items(fleet, job["job_id"])
    nothing = fleet.post(f"/ocpp/jobs/{job['job_id']}/retry")
    end(fleet, job["job_id"], SITE_A_2="succeeded")

    answer = fleet.post(f"/ocpp/jobs/{job['job_id']}/retry")

    assert nothing.status_code == 422
    assert nothing.json["detail"][0]["msg"] == f"Job {job['job_id']} has no failed item"
    assert (answer.status_code, answer.json["total"], answer.json["action"]) == (202, 2, "create")
    retried = fleet.get(answer.headers["Location"]).json
    assert (retried["retry_of"], retried["rate_per_second"]) == (job["job_id"], 5)
    new = items(fleet, retried["id"])
    assert [item.identity for item in new] == ["SITE_A_1", "SITE_A_3"]
    assert not {item.charger_id for item in new} & {item.charger_id for item in before}
    assert fleet.get(f"/ocpp/locations/{location}/chargers/jobs/{retried['id']}").status_code == 200


def test_more_open_jobs_than_an_organization_may_have_are_refused(fleet: Fleet, location: str) -> None:
    for number in range(1, 21):
        accepted(fleet, location, group(number=number))

    assert create(fleet, location, group(number=21)).status_code == 429
    assert create(fleet, location, group(number=20)).status_code == 202, "a repeat is no further job"
