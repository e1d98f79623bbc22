"""Labels and the time after which a charger goes away: given, shown, changed and removed."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.fleet import NEW_CHARGER, NEW_LOCATION, Fleet


def lifetime(charger: Any, since: str) -> timedelta:
    return datetime.fromisoformat(charger["expires_at"]) - datetime.fromisoformat(charger[since])


def test_a_charger_shows_its_labels_and_when_it_goes_away(fleet: Fleet) -> None:
    charger_id = fleet.create(labels={"run": "1234", "smoke": ""}, ttl_seconds=3600)

    charger = fleet.get(f"/ocpp/chargers/{charger_id}").json
    row = fleet.get("/ocpp/chargers").json["data"][0]

    assert charger["labels"] == row["labels"] == {"run": "1234", "smoke": ""}
    assert lifetime(charger, "created_at") == timedelta(hours=1)
    assert row["expires_at"] == charger["expires_at"]


def test_an_update_replaces_the_labels_and_counts_the_time_from_now_on(fleet: Fleet) -> None:
    charger_id = fleet.ready(labels={"run": "1234"}, ttl_seconds=3600)
    path = f"/ocpp/chargers/{charger_id}"

    changed = fleet.put(path, json={"labels": {"team": "a"}, "ttl_seconds": 7200}).json
    kept = fleet.put(path, json={"name": "Bay 1"}).json
    cleared = fleet.put(path, json={"labels": None, "ttl_seconds": None}).json

    assert changed["labels"] == kept["labels"] == {"team": "a"}
    assert lifetime(changed, "updated_at") == timedelta(hours=2)
    assert kept["expires_at"] == changed["expires_at"]
    assert (cleared["labels"], cleared["expires_at"]) == ({}, None)
    assert cleared["runtime"]["generation"] == 1  # none of it reaches the charger


def test_a_repeated_create_is_recognized_by_its_labels_and_its_time(fleet: Fleet) -> None:
    body = NEW_CHARGER | {"labels": {"run": "1"}, "ttl_seconds": 600}
    first = fleet.post("/ocpp/chargers", json=body)

    again = fleet.post("/ocpp/chargers", json=body)
    others = [
        fleet.post("/ocpp/chargers", json=body | other)
        for other in ({"labels": {"run": "2"}}, {"ttl_seconds": 601}, {"ttl_seconds": None})
    ]

    assert again.json["charger_id"] == first.json["charger_id"]
    assert [answer.status_code for answer in others] == [400, 400, 400]


@pytest.mark.parametrize(
    ("field", "value", "place", "type_"),
    [
        ("labels", {"run number": "1"}, ["labels", "run number"], "string_pattern_mismatch"),
        ("labels", {"r" * 64: "1"}, ["labels", "r" * 64], "string_pattern_mismatch"),
        ("labels", {"run": "1,2"}, ["labels", "run"], "value_error"),
        ("labels", {"run": "1" * 256}, ["labels", "run"], "string_too_long"),
        ("labels", {"run": 1234}, ["labels", "run"], "string_type"),
        ("labels", {str(number): "" for number in range(21)}, ["labels"], "too_long"),
        ("labels", ["run"], ["labels"], "dict_type"),
        ("ttl_seconds", 59, ["ttl_seconds"], "greater_than_equal"),
        ("ttl_seconds", 31_536_001, ["ttl_seconds"], "less_than_equal"),
        ("ttl_seconds", "60", ["ttl_seconds"], "int_type"),
    ],
)
def test_a_bad_label_or_time_is_named_and_changes_nothing(
    fleet: Fleet, field: str, value: Any, place: list[str], type_: str
) -> None:
    charger_id = fleet.ready(labels={"run": "1"}, ttl_seconds=60)
    before = fleet.row(charger_id)

    refused = fleet.put(f"/ocpp/chargers/{charger_id}", json={field: value})

    item = refused.json["detail"][0]
    assert (refused.status_code, item["loc"], item["type"]) == (422, ["body", *place], type_)
    after = fleet.row(charger_id)
    assert (after.labels, after.expires_at) == (before.labels, before.expires_at)


def test_the_bound_of_a_large_number_is_written_out(fleet: Fleet) -> None:
    refused = fleet.post("/ocpp/chargers", json=NEW_CHARGER | {"ttl_seconds": 1_000_000_000})

    assert refused.json["detail"][0]["msg"] == "Input should be less than or equal to 31536000"


def test_lists_counts_and_jobs_are_filtered_by_labels(fleet: Fleet) -> None:
    fleet.ready(identity="CP-1", labels={"run": "1", "smoke": ""})
    fleet.ready(identity="CP-2", labels={"run": "1"})
    fleet.ready(identity="CP-3", labels={"run": "2"})
    fleet.ready("globex", identity="CP-1", labels={"run": "1"})

    def listed(labels: str) -> list[str]:
        page = fleet.get("/ocpp/chargers", query_string={"labels": labels, "sort": "identity"}).json
        summary = fleet.get("/ocpp/chargers/summary", query_string={"labels": labels}).json
        assert page["total"] == summary["total"] == len(page["data"])
        return [row["identity"] for row in page["data"]]

    assert listed("run:1") == ["CP-1", "CP-2"]
    assert listed("run") == ["CP-1", "CP-2", "CP-3"]
    assert listed("run:1,smoke") == listed("smoke:") == ["CP-1"]
    assert listed("run:1,run:2") == listed("run:3") == []
    job = fleet.post("/ocpp/chargers/stop", json={"filters": {"labels": "run:1"}})
    assert (job.status_code, job.json["total"]) == (202, 2)
    refused = fleet.get("/ocpp/chargers?labels=run number")
    assert refused.json["detail"][0]["loc"] == ["query", "labels"]


def test_pages_by_cursor_belong_to_their_labels(fleet: Fleet) -> None:
    for number in range(3):
        fleet.ready(identity=f"CP-{number}", labels={"run": "1"})

    first = fleet.get("/ocpp/chargers?labels=run:1&limit=2&cursor=").json
    rest = fleet.get(f"/ocpp/chargers?labels=run:1&limit=2&cursor={first['next_cursor']}").json
    other = fleet.get(f"/ocpp/chargers?labels=run:2&limit=2&cursor={first['next_cursor']}")

    assert [row["identity"] for row in first["data"] + rest["data"]] == ["CP-2", "CP-1", "CP-0"]
    assert other.status_code == 422


def test_a_change_of_labels_and_of_the_time_reaches_the_feed(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    cursor = fleet.get("/ocpp/changes").json["cursor"]

    for change in ({"labels": {"run": "1"}}, {"ttl_seconds": 60}):
        fleet.put(f"/ocpp/chargers/{charger_id}", json=change)
        changes = fleet.get(f"/ocpp/changes?after={cursor}").json
        cursor = changes["cursor"]
        assert [row["id"] for row in changes["chargers"]] == [charger_id]
    assert changes["chargers"][0]["labels"] == {"run": "1"}
    assert changes["chargers"][0]["expires_at"] is not None


def test_a_location_has_labels_and_a_time_of_its_own_and_is_found_by_them(fleet: Fleet) -> None:
    first = fleet.post(
        "/ocpp/locations", json=NEW_LOCATION | {"labels": {"run": "1"}, "ttl_seconds": 3600}
    ).json
    fleet.post("/ocpp/locations", json=NEW_LOCATION | {"labels": {"run": "2"}})
    fleet.post("/ocpp/locations", organization="globex", json=NEW_LOCATION | {"labels": {"run": "1"}})
    path = f"/ocpp/locations/{first['id']}"

    found = fleet.get("/ocpp/locations?labels=run:1").json
    changed = fleet.put(path, json={"labels": {"team": "a"}, "ttl_seconds": 7200}).json
    cleared = fleet.put(path, json={"labels": None, "ttl_seconds": None}).json
    refused = fleet.put(path, json={"labels": {"run": "a,b"}, "ttl_seconds": 59})

    assert lifetime(first, "created_at") == timedelta(hours=1)
    assert ([row["id"] for row in found["data"]], found["total"]) == ([first["id"]], 1)
    assert changed["labels"] == {"team": "a"}
    assert lifetime(changed, "updated_at") == timedelta(hours=2)
    assert (cleared["labels"], cleared["expires_at"]) == ({}, None)
    assert [item["loc"] for item in refused.json["detail"]] == [
        ["body", "labels", "run"],
        ["body", "ttl_seconds"],
    ]
