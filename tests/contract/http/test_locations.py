"""What the SDK makes of our answers about locations, their chargers and templates: status codes, shapes, pages."""

from typing import Any

import pytest
from ocpplab import Coordinates, LocationResponse
from ocpplab.errors import NotFoundError, UnprocessableEntityError

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
