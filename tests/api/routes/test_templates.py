"""The gallery of locations: what it shows, and that the catalog has all of it."""

from typing import Any

import pytest

from shared.fleet.locations.templates import LocationTemplate, load_templates
from tests.api.routes.test_catalog import MODELS
from tests.support.fleet import Fleet

URL = "/ocpp/templates/locations"

each_template = pytest.mark.parametrize("template", load_templates(), ids=lambda template: template.slug)


def slugs(fleet: Fleet, **query: str) -> list[str]:
    answer = fleet.get(URL, query_string=query)
    assert answer.status_code == 200
    assert answer.json["total"] == len(answer.json["data"])
    return [template["slug"] for template in answer.json["data"]]


@each_template
def test_every_charger_of_a_template_is_one_of_the_catalog(template: LocationTemplate) -> None:
    for group in template.chargers:
        [model] = [
            model
            for brand, model in MODELS
            if (brand["slug"], model["slug"]) == (group.brand_slug, group.model_slug)
        ]
        assert group.connector_type in model["connector_types"]
        assert group.nominal_kw in model["supported_kwh"]
        assert group.count >= 1


def test_there_are_many_sites_and_those_that_the_gateway_api_names(fleet: Fleet) -> None:
    found = slugs(fleet)

    assert len(found) == len(set(found)) >= 10
    assert {"urban-ac-hub", "highway-dc-station", "residential-ac-single"} <= set(found)


def test_a_template_shows_the_site_and_its_groups_of_chargers(fleet: Fleet) -> None:
    shown = {template["slug"]: template for template in fleet.get(URL).json["data"]}

    station: dict[str, Any] = shown["highway-dc-station"]
    assert station.pop("name") and station.pop("description")
    assert station == {
        "slug": "highway-dc-station",
        "type": "DC",
        "country": "DE",
        "parking_type": "ALONG_MOTORWAY",
        "ocpp_version": "OCPP2.0.1",
        "chargers": [
            {
                "brand_slug": "alpitronic",
                "model_slug": "hyc300",
                "connector_type": "CCS2",
                "ocpp_version": "OCPP2.0.1",
                "count": 6,
                "nominal_kw": 300.0,
            },
            {
                "brand_slug": "alpitronic",
                "model_slug": "hyc50",
                "connector_type": "CHAdeMO",
                "ocpp_version": "OCPP2.0.1",
                "count": 1,
                "nominal_kw": 50.0,
            },
        ],
    }
    assert shown["supermarket-car-park"]["type"] == "AC-DC"
    assert shown["shopping-centre-garage"]["ocpp_version"] is None


def test_templates_are_filtered_by_power_family_and_by_version(fleet: Fleet) -> None:
    by_type = {name: set(slugs(fleet, type=name)) for name in ("AC", "DC", "AC-DC")}
    of_versions = [set(slugs(fleet, ocpp_version=version)) for version in ("OCPP1.6", "ocpp2.0.1")]

    assert set.union(*by_type.values()) == set(slugs(fleet))
    assert sum(map(len, by_type.values())) == len(slugs(fleet))
    assert "urban-ac-hub" in by_type["AC"] & of_versions[0]
    assert "highway-dc-station" in by_type["DC"] & of_versions[1]
    assert of_versions[0] & of_versions[1] == {"shopping-centre-garage"}
    assert slugs(fleet, type="AC-DC", ocpp_version="OCPP2.0.1") == ["shopping-centre-garage", "van-depot"]


def test_an_unknown_power_family_is_refused(fleet: Fleet) -> None:
    answer = fleet.get(URL, query_string={"type": "XC"})

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["query", "type"]
