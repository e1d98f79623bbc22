"""What the body of a command may be: an error says where it is wrong, and nothing is stored."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from shared.models import Action
from tests.api.http.refusals import assert_items
from tests.support.fleet import NEW_CHARGER, Fleet

PLUG = "/ocpp/commands/plug-connector"
FAULT = "/ocpp/commands/inject-fault"
TARGET = {"charger_id": "dep-1"}


@pytest.fixture(autouse=True)
def nothing_stored(fleet: Fleet) -> Iterator[None]:
    yield
    with fleet.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Action)) == 0


@pytest.mark.parametrize(
    ("target", "loc", "type_"),
    [
        ({}, ["body", "target"], "value_error"),
        ({"charger_id": None, "location_id": None}, ["body", "target"], "value_error"),
        ({"charger_id": "dep-1", "location_id": "here"}, ["body", "target"], "value_error"),
        ({"charger_id": "dep-1", "charger_ids": ["a"]}, ["body", "target", "charger_ids"], "value_error"),
        ({"charger_ids": ["a"]}, ["body", "target"], "value_error"),
        ({"location_id": "here", "charger_ids": []}, ["body", "target", "charger_ids"], "too_short"),
        (
            {"location_id": "here", "charger_ids": ["a"] * 1001},
            ["body", "target", "charger_ids"],
            "too_long",
        ),
        ({"location_id": "here", "charger_ids": [1]}, ["body", "target", "charger_ids", 0], "string_type"),
        ({"location_id": 7}, ["body", "target", "location_id"], "string_type"),
        ({"charger_id": "a\u0000b"}, ["body", "target", "charger_id"], "value_error"),
        ({"charger_id": "dep-1", "charger": "dep-1"}, ["body", "target", "charger"], "extra_forbidden"),
        (None, ["body", "target"], "dict_type"),
        ([], ["body", "target"], "dict_type"),
    ],
    ids=str,
)
def test_a_target_that_is_none(fleet: Fleet, target: Any, loc: list[str | int], type_: str) -> None:
    assert_items(fleet.post(PLUG, json={"target": target}), (loc, type_))


@pytest.mark.parametrize(
    ("event", "loc", "type_"),
    [
        ({"connector_id": "1"}, "connector_id", "int_type"),
        ({"connector_id": True}, "connector_id", "int_type"),
        ({"connector_id": 1.5}, "connector_id", "int_type"),
        ({"connector_id": 0}, "connector_id", "greater_than_equal"),
        ({"connector_id": 1e300}, "connector_id", "less_than_equal"),
        ({"battery_wh": "60"}, "battery_wh", "float_type"),
        ({"conector_id": 1}, "conector_id", "extra_forbidden"),
    ],
    ids=str,
)
def test_an_event_that_does_not_fit(fleet: Fleet, event: Any, loc: str, type_: str) -> None:
    answer = fleet.post(PLUG, json={"target": TARGET, "event": event})

    assert_items(answer, (["body", "event", loc], type_))


@pytest.mark.parametrize(
    ("path", "body", "loc", "type_"),
    [
        (PLUG, {}, ["body", "target"], "missing"),
        (PLUG, {"target": TARGET, "event": None}, ["body", "event"], "dict_type"),
        (PLUG, {"target": TARGET, "event": [1]}, ["body", "event"], "dict_type"),
        (PLUG, {"target": TARGET, "events": {}}, ["body", "events"], "extra_forbidden"),
        (FAULT, {"target": TARGET}, ["body", "event"], "missing"),
        (FAULT, {"target": TARGET, "event": {}}, ["body", "event", "fault_type"], "missing"),
        (
            FAULT,
            {"target": {"location_id": "here"}, "event": {"fault_type": "x"}},
            ["body", "target", "charger_id"],
            "missing",
        ),
    ],
    ids=str,
)
def test_a_body_that_does_not_fit(
    fleet: Fleet, path: str, body: Any, loc: list[str | int], type_: str
) -> None:
    answer = fleet.post(path, json=body)

    assert answer.status_code == 422
    assert (loc, type_) in [(item["loc"], item["type"]) for item in answer.json["detail"]]


def _deep(levels: int) -> Any:
    return {"a": _deep(levels - 1)} if levels else 1


@pytest.mark.parametrize("payload", [{"a": ["b\0"]}, {"a\0": 1}, _deep(51)], ids=["text", "key", "levels"])
def test_what_the_database_or_a_reader_could_not_take_is_refused(fleet: Fleet, payload: Any) -> None:
    event = {"action": "data_transfer", "ocpp_version": "ocpp1.6", "payload": payload}

    message = fleet.post("/ocpp/commands/proxy-message", json={"target": TARGET, "event": event})
    charger = fleet.post("/ocpp/chargers", json=NEW_CHARGER | {"configuration": payload})

    assert_items(message, (["body", "event", "payload"], "value_error"))
    assert charger.status_code == 422
    assert charger.json["detail"][0]["loc"][:2] == ["body", "configuration"]


@pytest.mark.parametrize(
    ("query", "name", "type_"),
    [
        ("wait=61", "wait", "less_than_equal"),
        ("expires_in=0", "expires_in", "greater_than_equal"),
        ("expires_in=301", "expires_in", "less_than_equal"),
        ("charger_id=dep-1", "charger_id", "extra_forbidden"),
    ],
)
def test_a_query_that_does_not_fit(fleet: Fleet, query: str, name: str, type_: str) -> None:
    assert_items(fleet.post(f"{PLUG}?{query}", json={"target": TARGET}), (["query", name], type_))
    assert_items(
        fleet.post(f"{FAULT}?{query}", json={"target": TARGET, "event": {"fault_type": "x"}}),
        (["query", name], type_),
    )
