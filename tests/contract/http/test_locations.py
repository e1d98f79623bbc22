"""What the SDK makes of our answers about locations, their chargers and templates: status codes, shapes, pages."""

from typing import Any

import pytest
from ocpplab import (
    ChargerGroup,
    ChargerTemplate,
    Coordinates,
    DeleteLocationChargersResponse,
    LocationChargerBulkAcceptedResponse,
    LocationResponse,
    UpdateLocationChargerItem,
    UpdateLocationChargersResponse,
)
from ocpplab.errors import BadRequestError, NotFoundError, UnprocessableEntityError

from tests.contract.http.conftest import Sdk

PARIS: dict[str, Any] = {
    "name": "La Defense Charging Hub",
    "address": "14 Rue de la Paix",
    "city": "Paris",
    "country": "FR",
    "coordinates": Coordinates(latitude=48.8566, longitude=2.3522),
    "timezone": "Europe/Paris",
    "owner_name": "VINCI Autoroutes",
    "public": True,
}
CHARGER: dict[str, Any] = {
    "brand_slug": "wallbox",
    "model_slug": "wallbox-pulsar-plus",
    "connector_type": "Type2",
    "ws_url": "wss://ocpp.example.com",
}

pytestmark = pytest.mark.usefixtures("backend")


def test_the_published_example_of_a_location_is_created_read_changed_and_deleted(sdk: Sdk) -> None:
    created = sdk("locations.with_raw_response.create", **PARIS)
    location = created.data
    assert created.status_code == 201
    assert isinstance(location, LocationResponse)
    assert location.slug is not None
    assert location.slug.startswith("la-defense-charging-hub-")
    assert (location.country, location.public, location.status) == ("FR", True, "active")
    assert location.coordinates == Coordinates(latitude=48.8566, longitude=2.3522)
    assert sdk("locations.get", location_id=location.id) == location

    updated = sdk(
        "locations.update", location_id=location.id, name="La Defense Charging Hub - West", public=False
    )
    assert (updated.name, updated.public, updated.slug) == (
        "La Defense Charging Hub - West",
        False,
        location.slug,
    )
    assert (updated.timezone, updated.created_at) == ("Europe/Paris", location.created_at)
    assert sdk("locations.update", location_id=location.id, owner_name=None).owner_name is None

    assert sdk("locations.with_raw_response.delete", location_id=location.id).status_code == 204
    assert sdk("locations.delete", location_id=location.id) is None
    with pytest.raises(NotFoundError):
        sdk("locations.get", location_id=location.id)


def test_locations_come_in_pages_newest_first(sdk: Sdk) -> None:
    made = [sdk("locations.create", **PARIS | {"name": name}).id for name in ("one", "two", "three")]

    first, second = (sdk("locations.list", page=page, limit=2) for page in (1, 2))

    assert (first.total, first.page, first.limit, second.page) == (3, 1, 2, 2)
    assert [row.id for row in [*first.data, *second.data]] == made[::-1]


@pytest.mark.parametrize(
    "wrong", [{"country": "France"}, {"coordinates": Coordinates(latitude=91, longitude=0)}]
)
def test_a_location_that_is_nowhere_is_unprocessable(sdk: Sdk, wrong: dict[str, Any]) -> None:
    with pytest.raises(UnprocessableEntityError):
        sdk("locations.create", **PARIS | wrong)
    assert sdk("locations.list").total == 0


@pytest.mark.parametrize("operation", ["get", "update", "delete"])
def test_an_unknown_location_is_not_found(sdk: Sdk, operation: str) -> None:
    with pytest.raises(NotFoundError):
        sdk(f"locations.{operation}", location_id="4090477f-a416-4515-a302-97aa344a0a2a")


def test_templates_are_listed_by_power_family_and_version(sdk: Sdk) -> None:
    everything = sdk("location_templates.list")
    assert len(everything["data"]) >= 10
    assert {"urban-ac-hub", "highway-dc-station", "residential-ac-single"} <= {
        row["slug"] for row in everything["data"]
    }

    fast = sdk("location_templates.list", type="DC")
    assert {row["type"] for row in fast["data"]} == {"DC"}
    newer = sdk("location_templates.list", ocpp_version="OCPP2.0.1")
    assert {row["ocpp_version"] for row in newer["data"]} <= {"OCPP2.0.1", None}
    with pytest.raises(UnprocessableEntityError):
        sdk("location_templates.list", type="WIND")


@pytest.fixture
def site(sdk: Sdk) -> str:
    """The id of a location."""
    location_id: str = sdk("locations.create", **PARIS).id
    return location_id


@pytest.fixture
def two(sdk: Sdk, site: str) -> list[str]:
    """The ids of two chargers there, CP-1 and CP-2."""
    return [
        sdk("chargers.create", **CHARGER, identity=identity, location_id=site).charger_id
        for identity in ("CP-1", "CP-2")
    ]


@pytest.fixture
def elsewhere(sdk: Sdk) -> str:
    """The id of a charger without a location."""
    charger_id: str = sdk("chargers.create", **CHARGER, identity="CP-ELSEWHERE").charger_id
    return charger_id


def test_the_chargers_of_a_location_are_listed_all_or_some(
    sdk: Sdk, site: str, two: list[str], elsewhere: str
) -> None:
    everything = sdk("location_chargers.list", location_id=site)
    assert (everything.total, [row.id for row in everything.data]) == (2, two[::-1])
    some = sdk("location_chargers.list", location_id=site, charger_ids=[two[0]])
    assert [row.identity for row in some.data] == ["CP-1"]
    with pytest.raises(BadRequestError):
        sdk("location_chargers.list", location_id=site, charger_ids=[two[0], elsewhere])


def test_many_chargers_are_changed_and_those_that_cannot_be_are_named(
    sdk: Sdk, site: str, two: list[str], elsewhere: str
) -> None:
    items = [
        UpdateLocationChargerItem(charger_id=two[0], charge_point_name="Bay 1"),
        UpdateLocationChargerItem(charger_id=elsewhere, charge_point_name="Bay 2"),
    ]

    answer = sdk("location_chargers.with_raw_response.update", location_id=site, chargers=items)

    assert answer.status_code == 200
    assert isinstance(answer.data, UpdateLocationChargersResponse)
    assert (answer.data.updated_count, answer.data.failed_count) == (1, 1)
    assert [(row.id, row.name) for row in answer.data.updated] == [(two[0], "Bay 1")]
    assert [row.charger_id for row in answer.data.failed] == [elsewhere]
    assert answer.data.failed[0].error
    assert sdk("chargers.get", charger_id=elsewhere).name is None


def test_many_chargers_are_deleted_and_never_all_by_mistake(
    sdk: Sdk, site: str, two: list[str], elsewhere: str
) -> None:
    with pytest.raises(UnprocessableEntityError):
        sdk("location_chargers.delete", location_id=site)
    assert sdk("location_chargers.list", location_id=site).total == 2

    answer = sdk(
        "location_chargers.with_raw_response.delete", location_id=site, charger_ids=[two[1], elsewhere]
    )

    assert answer.status_code == 200
    assert isinstance(answer.data, DeleteLocationChargersResponse)
    assert (answer.data.deleted_count, answer.data.failed_count) == (1, 1)
    assert answer.data.deleted == [two[1]]
    assert [row.charger_id for row in answer.data.failed] == [elsewhere]
    assert [row.id for row in sdk("location_chargers.list", location_id=site).data] == [two[0]]


def test_many_chargers_are_accepted_as_a_job(sdk: Sdk, site: str) -> None:
    template = ChargerTemplate(**CHARGER, identity_prefix="SITE_A_", template_name="Bay")
    groups = [ChargerGroup(template=template, charger_ids=["001", "002"], chargers_number=5)]

    answer = sdk("location_chargers.with_raw_response.create", location_id=site, request=groups)

    accepted = answer.data
    assert answer.status_code == 202
    assert isinstance(accepted, LocationChargerBulkAcceptedResponse)
    assert accepted.status in {"PENDING", "PROVISIONING"}
    assert accepted.status_url == f"/ocpp/locations/{site}/chargers/jobs/{accepted.job_id}"
    repeated = sdk("location_chargers.create", location_id=site, request=groups)
    assert repeated.job_id == accepted.job_id

    job = sdk("location_chargers.get_bulk_job", location_id=site, job_id=accepted.job_id)
    assert (job.job_id, job.error, job.results, job.provisioned_at) == (accepted.job_id, None, None, None)
    other = sdk("locations.create", **PARIS).id
    with pytest.raises(NotFoundError):
        sdk("location_chargers.get_bulk_job", location_id=other, job_id=accepted.job_id)


@pytest.mark.parametrize("groups", [[], [ChargerGroup(template=ChargerTemplate(**CHARGER))]])
def test_groups_of_no_chargers_are_unprocessable(sdk: Sdk, site: str, groups: list[ChargerGroup]) -> None:
    with pytest.raises(UnprocessableEntityError):
        sdk("location_chargers.create", location_id=site, request=groups)
