"""A location with the chargers of a template, in one request."""

from typing import Any

import pytest
from sqlalchemy import func, select

from api.resources import Resources
from shared.fleet.locations.templates import load_templates
from shared.models import Job, JobItem, Location
from tests.support.fleet import NEW_LOCATION, Fleet

WS_URL = "ws://csms.test/ocpp"
FROM_TEMPLATE = NEW_LOCATION | {"template_slug": "highway-dc-station", "ws_url": WS_URL}


def create(fleet: Fleet, **kwargs: Any) -> Any:
    answer = fleet.post("/ocpp/locations", **kwargs)
    assert answer.status_code == 201, answer.text
    return answer


def items(fleet: Fleet, job_id: str) -> list[Any]:
    found: list[Any] = fleet.get(f"/ocpp/jobs/{job_id}/items").json["data"]
    return found


def rows(fleet: Fleet, model: type[Any]) -> int:
    with fleet.sessions() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def test_a_location_of_a_template_is_stored_with_a_job_that_creates_its_chargers(fleet: Fleet) -> None:
    created = create(fleet, json=FROM_TEMPLATE | {"identity_prefix": "A7-", "labels": {"run": "1"}}).json

    job_id = created["job_id"]
    assert created["status_url"] == f"/ocpp/locations/{created['id']}/chargers/jobs/{job_id}"
    job = fleet.get(created["status_url"]).json
    assert (job["status"], job["total"]) == ("PENDING", 7)
    assert [item["identity"] for item in items(fleet, job_id)] == [
        f"A7-{number:03}" for number in range(1, 8)
    ]
    with fleet.sessions() as session:
        groups = session.get_one(Job, int(job_id)).input["groups"]  # type: ignore[index]
        last = session.scalars(select(JobItem.input).order_by(JobItem.position.desc()).limit(1)).one()
    assert [(group["columns"]["model_slug"], group["columns"]["connector_type"]) for group in groups] == [
        ("hyc300", "CCS2"),
        ("hyc50", "CHAdeMO"),
    ]
    assert (
        groups[0]["columns"].items()
        >= {
            "brand_slug": "alpitronic",
            "ocpp_version": "OCPP2.0.1",
            "ws_url": WS_URL,
            "location_name": NEW_LOCATION["name"],
            "labels": {"run": "1"},
        }.items()
    )
    assert last == {"group": 1, "name": "Bay 007"}


def test_without_a_prefix_two_locations_of_a_template_have_no_identity_in_common(fleet: Fleet) -> None:
    two = [create(fleet, json=FROM_TEMPLATE).json for _ in range(2)]

    identities = [{item["identity"] for item in items(fleet, location["job_id"])} for location in two]
    assert not identities[0] & identities[1]
    assert f"{two[0]['slug'][-8:]}-001" in identities[0]


def test_a_repeat_with_its_key_makes_nothing_and_names_the_same_job(fleet: Fleet) -> None:
    key = {"Idempotency-Key": "once"}
    first = create(fleet, json=FROM_TEMPLATE, headers=key)

    again = create(fleet, json=FROM_TEMPLATE, headers=key)

    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (rows(fleet, Location), rows(fleet, Job)) == (1, 1)


def test_a_location_is_not_stored_when_its_job_is_one_too_many(fleet: Fleet, resources: Resources) -> None:
    for _ in range(resources.settings.open_jobs_per_organization):
        create(fleet, json=FROM_TEMPLATE)
    before = rows(fleet, Location)

    refused = fleet.post("/ocpp/locations", json=FROM_TEMPLATE)

    assert refused.status_code == 429
    assert rows(fleet, Location) == before


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"template_slug": "urban-ac-hub"}, ["ws_url"]),
        ({"template_slug": "nowhere", "ws_url": WS_URL}, ["template_slug"]),
        ({"template_slug": "urban-ac-hub", "ws_url": "http://csms.test"}, ["ws_url"]),
        (
            {"template_slug": "urban-ac-hub", "ws_url": WS_URL, "identity_prefix": "a/b"},
            ["identity_prefix"],
        ),
        (
            {"template_slug": "urban-ac-hub", "ws_url": WS_URL, "identity_prefix": "a" * 46},
            ["identity_prefix"],
        ),
        ({"ws_url": WS_URL, "identity_prefix": "A"}, ["ws_url", "identity_prefix"]),
    ],
)
def test_a_request_for_chargers_that_cannot_be_made_is_refused(
    fleet: Fleet, given: dict[str, str], names: list[str]
) -> None:
    answer = fleet.post("/ocpp/locations", json=NEW_LOCATION | given)

    assert answer.status_code == 422
    assert [item["loc"] for item in answer.json["detail"]] == [["body", name] for name in names]
    assert rows(fleet, Location) == 0


def test_every_template_makes_a_location(fleet: Fleet) -> None:
    """Each for an organization of its own, which may have a limited number of open jobs."""
    for template in load_templates():
        body = NEW_LOCATION | {"template_slug": template.slug, "ws_url": WS_URL}

        created = create(fleet, json=body, organization=template.slug).json

        job = fleet.get(created["status_url"], organization=template.slug).json
        assert job["total"] == sum(group.count for group in template.chargers)
