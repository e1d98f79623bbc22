"""Commands whose event is one of several kinds, such as misbehave."""

from typing import Any

import pytest

from shared.fleet.actions.table import Variant, load_kinds
from tests.support.control import actions_of, connect
from tests.support.fleet import Fleet

MISBEHAVE = "/ocpp/commands/misbehave"

KINDS = {kind.name: kind for kind in load_kinds()}
VARIANTS = [pytest.param(variant, id=variant.name) for variant in KINDS["misbehave"].variants]


def _body(charger_id: str, **event: Any) -> dict[str, Any]:
    return {"json": {"target": {"charger_id": charger_id}, "event": event}}


@pytest.fixture
def charger_id(fleet: Fleet) -> str:
    charger_id = fleet.ready()
    connect(fleet.sessions, charger_id)
    return charger_id


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_kind_is_queued_and_its_example_is_in_the_document(
    fleet: Fleet, charger_id: str, variant: Variant
) -> None:
    answer = fleet.post(MISBEHAVE, **_body(charger_id, **variant.example))

    [row] = actions_of(fleet.sessions, charger_id)
    assert (answer.status_code, row.event) == (202, variant.example)
    operation = fleet.get("/openapi.json").json["paths"][MISBEHAVE]["post"]
    example = operation["requestBody"]["content"]["application/json"]["examples"][variant.name]
    assert example["value"]["event"] == variant.example
    assert f"- `{variant.name}`: {variant.summary}" in operation["description"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_document_names_the_fields_of_each_kind_for_whoever_makes_a_form_of_it(
    fleet: Fleet, charger_id: str, variant: Variant
) -> None:
    schema = fleet.get("/openapi.json").json["components"]["schemas"]["MisbehaveEvent"]
    shown = schema["properties"]["kind"]["x-variants"][variant.name]

    assert set(shown["fields"]) <= set(schema["properties"])
    assert set(variant.example) <= {"kind", *shown["fields"]}
    answer = fleet.post(MISBEHAVE, **_body(charger_id, kind=variant.name))
    missing = [item["loc"][-1] for item in answer.json["detail"]] if answer.status_code == 422 else []
    assert sorted(missing) == sorted(shown["required"])


@pytest.mark.parametrize(
    ("event", "name", "type_"),
    [
        ({}, "kind", "missing"),
        ({"kind": "power_cut"}, "seconds", "missing"),
        ({"kind": "power_cut", "seconds": -1}, "seconds", "greater_than_equal"),
        (
            {"kind": "power_cut", "seconds": 1, "code": "X"},
            "code",
            "extra_forbidden",
        ),
        ({"kind": "explode"}, "kind", "literal_error"),
    ],
)
def test_an_event_with_the_wrong_fields_of_its_kind_is_refused_and_not_stored(
    fleet: Fleet, charger_id: str, event: dict[str, Any], name: str, type_: str
) -> None:
    answer = fleet.post(MISBEHAVE, **_body(charger_id, **event))

    [problem] = answer.json["detail"]
    assert (answer.status_code, problem["loc"], problem["type"]) == (422, ["body", "event", name], type_)
    assert actions_of(fleet.sessions, charger_id) == []


def test_the_example_of_a_scenario_has_each_kind_of_step(fleet: Fleet) -> None:
    example = KINDS["start_scenario"].example
    assert example is not None
    steps = [*example["steps"], *(each for step in example["steps"] for each in step.get("loop", []))]

    assert {"do", "wait_s", "wait_until", "loop"} <= {name for step in steps for name in step}
    operation = fleet.get("/openapi.json").json["paths"]["/ocpp/commands/scenario"]["post"]
    shown = operation["requestBody"]["content"]["application/json"]["examples"]["charger"]["value"]["event"]
    assert shown == example
