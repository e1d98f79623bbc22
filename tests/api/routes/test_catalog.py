"""Brands and models: the routes, and the data that they serve."""

import json
from typing import Any

import pytest

from shared.database.catalog import CATALOG_FILE
from tests.support.fleet import Fleet

CATALOG: list[dict[str, Any]] = json.loads(CATALOG_FILE.read_text())
MODELS = [(brand, model) for brand in CATALOG for model in brand["models"]]
AC_TYPES = {"Type1", "Type2", "NACS", "Schuko"}


def test_brands_are_listed_by_name(fleet: Fleet) -> None:
    answer = fleet.get("/ocpp/catalog/brands?limit=100")

    assert answer.status_code == 200
    names = [brand["name"] for brand in answer.json["data"]]
    assert sorted(names) == sorted(brand["name"] for brand in CATALOG)
    assert answer.json["total"] == len(CATALOG)
    assert answer.json["data"][0].keys() == {"id", "slug", "name", "image_url", "created_at"}


def test_brands_come_page_by_page_without_gaps(fleet: Fleet) -> None:
    everything = fleet.get("/ocpp/catalog/brands").json["data"]

    pages = [fleet.get(f"/ocpp/catalog/brands?limit=5&page={page}").json["data"] for page in (1, 2, 3, 4)]

    assert [brand for page in pages for brand in page] == everything


def test_a_model_is_shown_with_all_its_fields(fleet: Fleet) -> None:
    answer = fleet.get("/ocpp/catalog/brands/wallbox/models/wallbox-pulsar-plus")

    assert answer.status_code == 200
    model: dict[str, Any] = answer.json
    brands = fleet.get("/ocpp/catalog/brands?limit=100").json["data"]
    assert model["brand_id"] == next(brand["id"] for brand in brands if brand["slug"] == "wallbox")
    assert isinstance(model.pop("id"), str)
    assert model.pop("created_at").endswith("Z")
    del model["brand_id"]
    assert model == {
        "slug": "wallbox-pulsar-plus",
        "name": "Pulsar Plus",
        "brand_slug": "wallbox",
        "image_url": None,
        "connector_count": 1,
        "current_type": "ac",
        "supported_kwh": [7.4, 22],
        "connector_types": ["Type2"],
    }


def test_the_models_of_a_brand_are_listed_by_name(fleet: Fleet) -> None:
    answer = fleet.get("/ocpp/catalog/brands/abb/models?limit=2&page=2")

    assert answer.status_code == 200
    assert [model["slug"] for model in answer.json["data"]] == ["terra-360", "terra-54"]
    assert (answer.json["total"], answer.json["page"], answer.json["limit"]) == (7, 2, 2)
    assert {model["brand_slug"] for model in answer.json["data"]} == {"abb"}


@pytest.mark.parametrize(
    "path",
    [
        "/ocpp/catalog/brands/nobody/models",
        "/ocpp/catalog/brands/nobody/models/terra-184",
        "/ocpp/catalog/brands/abb/models/nothing",
        "/ocpp/catalog/brands/wallbox/models/terra-184",
    ],
)
def test_an_unknown_brand_or_model_is_not_found(fleet: Fleet, path: str) -> None:
    answer = fleet.get(path)

    assert answer.status_code == 404
    assert isinstance(answer.json["detail"], str)


def test_an_admin_needs_no_organization_to_read_the_catalog(fleet: Fleet) -> None:
    answer = fleet.client.get("/ocpp/catalog/brands", headers=fleet.headers(role="admin"))

    assert answer.status_code == 200


def test_the_file_has_enough_brands_and_models() -> None:
    assert len(CATALOG) >= 12
    assert len(MODELS) >= 30
    slugs = {(brand["slug"], model["slug"]) for brand, model in MODELS}
    assert len(slugs) == len(MODELS)
    assert slugs >= {
        ("wallbox", "wallbox-pulsar-plus"),
        ("schneider", "evlink-pro-ac-22kw"),
        ("abb", "terra-184"),
    }


@pytest.mark.parametrize(("brand", "model"), MODELS, ids=[f"{b['slug']}/{m['slug']}" for b, m in MODELS])
def test_each_model_is_possible(brand: dict[str, Any], model: dict[str, Any]) -> None:
    assert model["connector_count"] in range(1, 5)
    assert model["supported_kwh"] == sorted(model["supported_kwh"])
    assert all(0 < power_kw <= 400 for power_kw in model["supported_kwh"])
    if model["current_type"] == "ac":
        assert set(model["connector_types"]) <= AC_TYPES
        assert max(model["supported_kwh"]) <= 43
    else:
        assert model["current_type"] == "dc"
        assert {"CCS1", "CCS2", "CHAdeMO", "NACS"} & set(model["connector_types"])
