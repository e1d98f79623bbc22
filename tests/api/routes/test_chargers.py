"""Create, read, update and delete."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.vocabulary import ProvisioningStatus
from tests.support.fleet import NEW_CHARGER, Fleet

FIELDS = {
    "id",
    "identity",
    "name",
    "vendor_name",
    "model",
    "image_url",
    "ocpp_version",
    "number_of_connectors",
    "max_charging_power",
    "connector_type",
    "location_id",
    "location_name",
    "brand_slug",
    "model_slug",
    "labels",
    "expires_at",
    "ws_url",
    "error",
    "command",
    "created_at",
    "updated_at",
    "status",
    "runtime",
}
FIELDS_OF_ONE = FIELDS | {"spec", "connectors", "control"}


def test_a_create_is_accepted_with_a_path_to_its_status(fleet: Fleet) -> None:
    answer = fleet.post("/ocpp/chargers", json=NEW_CHARGER)

    assert answer.status_code == 202
    charger_id = answer.json["charger_id"]
    assert answer.json == {
        "charger_id": charger_id,
        "identity": "CP-TEST-001",
        "status": "PENDING",
        "workflow_run_id": fleet.row(charger_id).workflow_run_id,
        "status_url": f"/ocpp/chargers/{charger_id}/status",
        "command_id": str(fleet.commands(charger_id)[0].id),
        "generation": 1,
    }
    assert answer.headers["Location"] == answer.json["status_url"]


def test_a_created_charger_can_be_read_at_once(fleet: Fleet) -> None:
    charger_id = fleet.create(
        ocpp_version="OCPP2.0.1",
        charge_point_name="Bay A01",
        location_id="4090477f-a416-4515-a302-97aa344a0a2a",
        location_name="La Defense Charging Hub",
    )

    answer = fleet.get(f"/ocpp/chargers/{charger_id}")

    assert answer.status_code == 200
    assert answer.json.keys() == FIELDS_OF_ONE
    shown = {
        name: value
        for name, value in answer.json.items()
        if name not in {"created_at", "updated_at", "runtime", "command", "spec", "connectors", "control"}
    }
    assert shown == {
        "id": charger_id,
        "identity": "CP-TEST-001",
        "name": "Bay A01",
        "vendor_name": "Wallbox",
        "model": "Pulsar Plus",
        "image_url": None,
        "status": "PENDING",
        "ocpp_version": "OCPP2.0.1",
        "number_of_connectors": 1,
        "max_charging_power": 22000,
        "connector_type": "Type2",
        "location_id": "4090477f-a416-4515-a302-97aa344a0a2a",
        "location_name": "La Defense Charging Hub",
        "brand_slug": "wallbox",
        "model_slug": "wallbox-pulsar-plus",
        "labels": {},
        "expires_at": None,
        "ws_url": NEW_CHARGER["ws_url"],
        "error": None,
    }
    assert answer.json["command"]["event_type"] == "create_charger"


def test_timestamps_are_in_utc_and_say_so(fleet: Fleet) -> None:
    answer = fleet.get(f"/ocpp/chargers/{fleet.create()}")

    assert answer.json["created_at"].endswith("Z")
    created_at = datetime.fromisoformat(answer.json["created_at"])
    assert timedelta() <= datetime.now(UTC) - created_at < timedelta(minutes=1)


def test_a_charger_speaks_ocpp_1_6_by_default(fleet: Fleet) -> None:
    assert fleet.row(fleet.create()).ocpp_version == "OCPP1.6"
    assert fleet.row(fleet.create(identity="CP-2", ocpp_version=None)).ocpp_version == "OCPP1.6"
    assert fleet.row(fleet.create(identity="CP-3", ocpp_version="ocpp2.0.1")).ocpp_version == "OCPP2.0.1"


@pytest.mark.parametrize("identity", ["CP-TEST-001", "a", "x" * 48, "*-_=:+|@.", "...", "RDAM 123"])
def test_every_identifier_of_ocpp_is_an_identity(fleet: Fleet, identity: str) -> None:
    assert fleet.row(fleet.create(identity=identity)).identity == identity


def test_a_repeated_create_makes_no_second_charger(fleet: Fleet) -> None:
    first = fleet.post("/ocpp/chargers", json=NEW_CHARGER)

    again = fleet.post("/ocpp/chargers", json=NEW_CHARGER)

    assert again.status_code == 202
    assert again.json == first.json
    assert fleet.get("/ocpp/chargers").json["total"] == 1


def test_an_identity_is_taken_within_an_organization_only(fleet: Fleet) -> None:
    fleet.ready()

    taken = fleet.post("/ocpp/chargers", json=NEW_CHARGER)
    elsewhere = fleet.post("/ocpp/chargers", organization="globex", json=NEW_CHARGER)

    assert taken.status_code == 400
    assert isinstance(taken.json["detail"], str)
    assert elsewhere.status_code == 202


@pytest.mark.parametrize(
    "fields",
    [
        {"brand_slug": "nobody"},
        {"model_slug": "nothing"},
        {"brand_slug": "abb"},
        {"connector_type": "CHAdeMO"},
    ],
    ids=["unknown brand", "unknown model", "model of another brand", "connector that the model has not"],
)
def test_the_catalog_is_binding(fleet: Fleet, fields: dict[str, str]) -> None:
    answer = fleet.post("/ocpp/chargers", json=NEW_CHARGER | fields)

    assert answer.status_code == 400
    assert isinstance(answer.json["detail"], str)
    assert fleet.get("/ocpp/chargers").json["total"] == 0


@pytest.mark.parametrize("name", ["id", "organization_id", "status", "generation", "created_at", "colour"])
def test_an_unknown_key_is_refused_by_its_name_and_changes_nothing(fleet: Fleet, name: str) -> None:
    charger_id = fleet.ready(identity="CP-2")

    created = fleet.post("/ocpp/chargers", json=NEW_CHARGER | {name: "evil"})
    updated = fleet.put(f"/ocpp/chargers/{charger_id}", json={"name": "Bay 2", name: "evil"})

    assert created.status_code == updated.status_code == 422
    [item] = created.json["detail"]
    assert item == {"loc": ["body", name], "msg": "This object has no such key", "type": "extra_forbidden"}
    assert updated.json["detail"] == [item]
    assert [charger["name"] for charger in fleet.get("/ocpp/chargers").json["data"]] == [None]


def test_the_websocket_url_is_stored_in_its_normal_form(fleet: Fleet) -> None:
    charger_id = fleet.create(ws_url="WS://CSMS.Test:80/Ocpp?x=1")

    assert fleet.row(charger_id).ws_url == "ws://csms.test/Ocpp?x=1"


def test_the_status_covers_provisioning_only(fleet: Fleet) -> None:
    charger_id = fleet.create()
    pending = fleet.get(f"/ocpp/chargers/{charger_id}/status")
    provisioned_at = datetime(2026, 4, 2, 9, 15, 30, tzinfo=UTC)
    fleet.settle(charger_id, provisioning_status=ProvisioningStatus.READY, provisioned_at=provisioned_at)

    ready = fleet.get(f"/ocpp/chargers/{charger_id}/status")

    run_id = fleet.row(charger_id).workflow_run_id
    unfinished = {"charger_id": charger_id, "workflow_run_id": run_id, "error": None}
    assert pending.json == unfinished | {"status": "PENDING", "provisioned_at": None}
    assert ready.json == unfinished | {"status": "READY", "provisioned_at": "2026-04-02T09:15:30Z"}


def test_a_failed_status_says_why(fleet: Fleet) -> None:
    charger_id = fleet.create()
    error = {
        "code": "image_unavailable",
        "message": "The image cannot be pulled",
        "step": "wait",
        "param": None,
        "doc_url": None,
        "retryable": True,
    }
    fleet.settle(charger_id, provisioning_status=ProvisioningStatus.FAILED, error=error)

    answer = fleet.get(f"/ocpp/chargers/{charger_id}/status")

    assert answer.json["status"] == "FAILED"
    assert answer.json["error"] == error


def test_chargers_are_listed_newest_first_page_by_page(fleet: Fleet) -> None:
    ids = [fleet.create(identity=f"CP-{number}") for number in range(5)]

    first = fleet.get("/ocpp/chargers?limit=2")
    last = fleet.get("/ocpp/chargers?limit=2&page=3")
    beyond = fleet.get("/ocpp/chargers?limit=2&page=4")

    assert [row["id"] for row in first.json["data"]] == [ids[4], ids[3]]
    assert {name: first.json[name] for name in ("total", "page", "limit")} == {
        "total": 5,
        "page": 1,
        "limit": 2,
    }
    assert [row["id"] for row in last.json["data"]] == [ids[0]]
    assert beyond.json == {"data": [], "total": 5, "page": 4, "limit": 2, "next_cursor": None}


def test_a_list_has_at_most_fifty_chargers_by_default(fleet: Fleet) -> None:
    answer = fleet.get("/ocpp/chargers")

    assert answer.json == {"data": [], "total": 0, "page": 1, "limit": 50, "next_cursor": None}


def test_a_list_can_be_of_one_location(fleet: Fleet) -> None:
    here = fleet.create(identity="CP-1", location_id="here")
    fleet.create(identity="CP-2", location_id="there")
    fleet.create(identity="CP-3")

    answer = fleet.get("/ocpp/chargers?location_id=here")
    unknown = fleet.get("/ocpp/chargers?location_id=nowhere")

    assert [row["id"] for row in answer.json["data"]] == [here]
    assert answer.json["total"] == 1
    assert unknown.json["data"] == []


def test_an_update_changes_only_the_keys_that_are_present(fleet: Fleet) -> None:
    charger_id = fleet.ready(charge_point_name="Bay A01", location_id="here")
    before = fleet.get(f"/ocpp/chargers/{charger_id}").json

    answer = fleet.put(f"/ocpp/chargers/{charger_id}", json={"charge_point_name": "Bay A02"})

    assert answer.status_code == 200
    assert answer.json["name"] == "Bay A02"
    assert answer.json["location_id"] == "here"
    assert answer.json["created_at"] == before["created_at"]
    assert answer.json["updated_at"] > before["updated_at"]


def test_charge_point_name_wins_over_name(fleet: Fleet) -> None:
    charger_id = fleet.ready()

    answer = fleet.put(f"/ocpp/chargers/{charger_id}", json={"charge_point_name": "this", "name": "that"})

    assert answer.json["name"] == "this"


def test_a_charger_is_only_put_into_a_location_of_its_organization_that_exists(fleet: Fleet) -> None:
    charger_id, here = fleet.ready(), fleet.locate()
    fleet.post("/ocpp/chargers", json=NEW_CHARGER | {"identity": "CP-HERE", "location_id": here})
    foreign, deleted = fleet.locate("globex"), fleet.locate()
    fleet.delete(f"/ocpp/locations/{deleted}")

    for location_id in ("nowhere", foreign, deleted):
        created = fleet.post(
            "/ocpp/chargers", json=NEW_CHARGER | {"identity": "X", "location_id": location_id}
        )
        moved = fleet.put(f"/ocpp/chargers/{charger_id}", json={"name": "x", "location_id": location_id})
        for answer in (created, moved):
            assert answer.status_code == 400
            assert answer.json == {"detail": f"Location {location_id} not found"}
    moved = fleet.put(f"/ocpp/chargers/{charger_id}", json={"location_id": here})

    assert (moved.status_code, moved.json["location_id"], moved.json["name"]) == (200, here, None)
    assert fleet.get(f"/ocpp/chargers?location_id={here}").json["total"] == 2
    assert fleet.get("/ocpp/chargers").json["total"] == 2


def test_null_clears_a_name_and_a_location(fleet: Fleet) -> None:
    charger_id = fleet.ready(charge_point_name="Bay", location_id="here", location_name="Here")

    answer = fleet.put(
        f"/ocpp/chargers/{charger_id}", json={"name": None, "location_id": None, "location_name": None}
    )

    assert answer.status_code == 200
    assert (answer.json["name"], answer.json["location_id"]) == (None, None)
    assert fleet.row(charger_id).location_name is None


@pytest.mark.parametrize("name", ["connector_type", "ocpp_version", "ws_url"])
def test_null_does_not_clear_what_a_charger_needs(fleet: Fleet, name: str) -> None:
    charger_id = fleet.ready()

    answer = fleet.put(f"/ocpp/chargers/{charger_id}", json={name: None})

    assert answer.status_code == 422
    assert answer.json["detail"] == [
        {"loc": ["body", name], "msg": "Input should be a valid string", "type": "string_type"}
    ]


def test_an_update_without_changes_requests_nothing_of_ecs(fleet: Fleet) -> None:
    charger_id = fleet.ready()

    answer = fleet.put(f"/ocpp/chargers/{charger_id}", json={})

    assert answer.status_code == 200
    assert len(fleet.commands(charger_id)) == 1


def test_another_websocket_url_redeploys_the_charger(fleet: Fleet) -> None:
    charger_id = fleet.ready()

    answer = fleet.put(f"/ocpp/chargers/{charger_id}", json={"ws_url": "wss://other.test/"})

    assert answer.status_code == 200
    assert answer.json["runtime"]["generation"] == 2
    assert [command.event_type for command in fleet.commands(charger_id)] == [
        "create_charger",
        "update_charger",
    ]


def test_identity_brand_and_model_cannot_change(fleet: Fleet) -> None:
    charger_id = fleet.ready()

    answer = fleet.put(
        f"/ocpp/chargers/{charger_id}",
        json={"identity": "other", "brand_slug": "abb", "model_slug": "terra-184"},
    )

    assert answer.status_code == 422
    row = fleet.row(charger_id)
    assert (row.identity, row.brand_slug, row.model_slug) == ("CP-TEST-001", "wallbox", "wallbox-pulsar-plus")


def test_an_update_to_a_connector_that_the_model_lacks_is_refused(fleet: Fleet) -> None:
    charger_id = fleet.ready()

    answer = fleet.put(f"/ocpp/chargers/{charger_id}", json={"connector_type": "CCS2", "name": "new"})

    assert answer.status_code == 400
    assert fleet.row(charger_id).name is None


@pytest.mark.parametrize("prepare", [Fleet.create, Fleet.ready], ids=["while it is provisioned", "later"])
def test_a_deleted_charger_is_gone_at_once_for_every_route(fleet: Fleet, prepare: Any) -> None:
    charger_id = prepare(fleet)

    answer = fleet.delete(f"/ocpp/chargers/{charger_id}")

    assert (answer.status_code, answer.data) == (204, b"")
    path = f"/ocpp/chargers/{charger_id}"
    afterwards = {
        fleet.get(path).status_code,
        fleet.put(path, json={"name": "x"}).status_code,
        fleet.delete(path).status_code,
        fleet.get(f"{path}/status").status_code,
        fleet.get(f"{path}/logs").status_code,
        fleet.get(f"{path}/commands").status_code,
        fleet.post(f"{path}/start-charger").status_code,
    }
    assert afterwards == {404}
    assert fleet.get("/ocpp/chargers").json["total"] == 0


def test_a_deleted_identity_can_be_used_again(fleet: Fleet) -> None:
    first = fleet.ready()
    fleet.delete(f"/ocpp/chargers/{first}")

    second = fleet.create()

    assert second != first
