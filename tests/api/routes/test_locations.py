"""Locations: what clients store, change and delete, and what is refused."""

from typing import Any

import pytest

from tests.api.http.refusals import assert_items
from tests.support.fleet import NEW_LOCATION, Fleet


def test_a_location_is_stored_with_a_slug_of_its_name_and_shown(fleet: Fleet) -> None:
    created = fleet.post("/ocpp/locations", json=NEW_LOCATION | {"timezone": "Europe/Paris"})

    assert created.status_code == 201
    location: dict[str, Any] = created.json
    assert location["slug"].rpartition("-")[0] == "la-defense-charging-hub"
    assert len(location["slug"].rpartition("-")[2]) == 8
    assert location.items() >= (NEW_LOCATION | {"timezone": "Europe/Paris", "status": "active"}).items()
    assert (location["public"], location["owner_name"]) == (True, None)
    assert location["created_at"].endswith("Z")
    assert fleet.get(f"/ocpp/locations/{location['id']}").json == location


def test_a_location_shows_how_many_of_its_chargers_are_in_which_state(fleet: Fleet) -> None:
    here, empty = fleet.locate(), fleet.locate()
    accepted = fleet.ready(identity="CP-1", location_id=here)
    fleet.link(accepted, "accepted")
    stopped = fleet.ready(identity="CP-2", location_id=here)
    fleet.post(f"/ocpp/chargers/{stopped}/stop-charger")
    fleet.settle(stopped, running_count=0)
    fleet.create(identity="CP-3", location_id=here)
    fleet.delete(f"/ocpp/chargers/{fleet.ready(identity='CP-4', location_id=here)}")
    fleet.ready(identity="CP-5")
    fleet.ready("globex", identity="CP-1", location_id=here)

    shown = fleet.get(f"/ocpp/locations/{here}").json["chargers"]
    listed = {row["id"]: row["chargers"] for row in fleet.get("/ocpp/locations").json["data"]}
    summary = fleet.get(f"/ocpp/chargers/summary?location_id={here}").json

    assert (shown["total"], listed[empty]["total"]) == (3, 0)
    assert {state: n for state, n in shown["observed"].items() if n} == {
        "running": 1, "stopped": 1, "unknown": 1,
    }  # fmt: skip
    assert shown == listed[here] == {name: summary[name] for name in shown}
    assert listed[empty].keys() == shown.keys()


def test_locations_are_listed_newest_first_and_those_of_others_are_not(fleet: Fleet) -> None:
    fleet.locate("globex")
    older, newer = fleet.locate(), fleet.locate()

    first = fleet.get("/ocpp/locations?limit=1").json
    second = fleet.get("/ocpp/locations?limit=1&page=2").json

    assert [row["id"] for row in first["data"] + second["data"]] == [newer, older]
    assert (first["total"], second["page"], second["limit"]) == (2, 2, 1)


def test_an_update_changes_what_it_names_and_the_slug_stays(fleet: Fleet) -> None:
    location_id = fleet.locate(owner_name="VINCI Autoroutes")
    before = fleet.get(f"/ocpp/locations/{location_id}").json
    changes = {"name": "West", "timezone": "Europe/Paris", "public": False, "owner_name": None}

    after = fleet.put(f"/ocpp/locations/{location_id}", json=changes)
    again = fleet.put(f"/ocpp/locations/{location_id}", json=changes)

    assert after.status_code == 200
    assert after.json == before | changes | {"updated_at": after.json["updated_at"]}
    assert after.json["updated_at"] > before["updated_at"]
    assert again.json == after.json


def test_a_slug_is_free_text_and_unique_among_the_locations_that_exist(fleet: Fleet) -> None:
    first, second, foreign = fleet.locate(), fleet.locate(), fleet.locate("globex")
    fleet.put(f"/ocpp/locations/{first}", json={"slug": "Hub.1"})

    refused = fleet.put(f"/ocpp/locations/{second}", json={"slug": "Hub.1", "city": "Lyon"})

    assert_items(refused, (["body", "slug"], "value_error"))
    assert fleet.get(f"/ocpp/locations/{second}").json["city"] == "Paris"
    other = fleet.put(f"/ocpp/locations/{foreign}", json={"slug": "Hub.1"}, organization="globex")
    assert other.status_code == 200
    fleet.delete(f"/ocpp/locations/{first}")
    assert fleet.put(f"/ocpp/locations/{second}", json={"slug": "Hub.1"}).status_code == 200


def test_a_deleted_location_is_gone_and_a_second_deletion_is_a_204_too(fleet: Fleet) -> None:
    location_id = fleet.locate()

    answers = [fleet.delete(f"/ocpp/locations/{location_id}") for _ in range(2)]

    assert [(answer.status_code, answer.data) for answer in answers] == [(204, b"")] * 2
    assert fleet.get(f"/ocpp/locations/{location_id}").status_code == 404
    assert fleet.put(f"/ocpp/locations/{location_id}", json={"name": "x"}).status_code == 404
    assert fleet.get("/ocpp/locations").json["total"] == 0
    assert fleet.delete("/ocpp/locations/never-seen").status_code == 404


def test_a_repeat_with_the_key_of_a_create_makes_no_second_location(fleet: Fleet) -> None:
    key = {"Idempotency-Key": "site-1"}

    first, second = (fleet.post("/ocpp/locations", json=NEW_LOCATION, headers=key) for _ in range(2))

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json == first.json
    assert second.headers["Idempotent-Replayed"] == "true"
    assert fleet.get("/ocpp/locations").json["total"] == 1


@pytest.mark.parametrize(
    ("changes", "path", "type_"),
    [
        ({"country": "fr"}, ["country"], "literal_error"),
        ({"country": "XX"}, ["country"], "literal_error"),
        ({"timezone": "Paris"}, ["timezone"], "literal_error"),
        ({"timezone": "../etc/passwd"}, ["timezone"], "literal_error"),
        ({"coordinates": {"latitude": 90.1, "longitude": 0}}, ["coordinates", "latitude"], "less_than_equal"),
        ({"coordinates": {"latitude": 1}}, ["coordinates", "longitude"], "missing"),
        ({"coordinates": "48,2"}, ["coordinates"], "dict_type"),
        ({"public": "yes"}, ["public"], "bool_type"),
        ({"name": ""}, ["name"], "string_too_short"),
        ({"name": "  "}, ["name"], "string_pattern_mismatch"),
        ({"name": "a\x00b"}, ["name"], "value_error"),
        ({"colour": "red"}, ["colour"], "extra_forbidden"),
    ],
)
def test_what_no_location_can_be_is_refused(
    fleet: Fleet, changes: dict[str, Any], path: list[str], type_: str
) -> None:
    location_id = fleet.locate()
    before = fleet.get(f"/ocpp/locations/{location_id}").json

    created = fleet.post("/ocpp/locations", json=NEW_LOCATION | changes)
    updated = fleet.put(f"/ocpp/locations/{location_id}", json={"city": "Lyon"} | changes)

    assert_items(created, (["body", *path], type_))
    assert_items(updated, (["body", *path], type_))
    assert fleet.get("/ocpp/locations").json["data"] == [before]
