"""The lean schema check gives the verdicts of the library's own."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp.messages import Draft4Validator  # type: ignore[import-untyped]

from simulator import schemas
from simulator.schemas import SCHEMA_ROOT, SchemaSet, SchemaViolation

FILES = [
    (schema_set, path)
    for schema_set in get_args(SchemaSet)
    for path in sorted((SCHEMA_ROOT / schema_set).rglob("*.json"))
]


def test_every_schema_of_the_library_is_understood() -> None:
    for schema_set, path in FILES:
        action, answer = _message(path.stem)
        with pytest.raises(SchemaViolation):
            schemas.check_payload(schema_set, action, "not an object", answer=answer)


def _message(stem: str) -> tuple[str, bool]:
    return stem.removesuffix("Response").removesuffix("Request"), stem.endswith("Response")


@st.composite
def _mutated(draw: st.DrawFn) -> tuple[SchemaSet, str, bool, Any, dict[str, Any]]:
    """A payload that is nearly right for some message, or right."""
    schema_set, path = draw(st.sampled_from(FILES))
    schema = json.loads(path.read_text("utf-8-sig"))
    payload = draw(_values(schema, schema.get("definitions", {})))
    return schema_set, *_message(path.stem), payload, schema


TENTHS = st.integers(0, 1000).map(lambda tenths: tenths / 10)
JUNK: st.SearchStrategy[Any] = st.sampled_from([None, True, 3, -1, 0.5, "", "ab", "x" * 600, [], {}])
SCALARS: dict[str | None, st.SearchStrategy[Any]] = {
    "integer": st.integers(-2, 120),
    "number": st.one_of(st.integers(0, 100), TENTHS),
    "boolean": st.booleans(),
    None: JUNK,
}


def _values(schema: dict[str, Any], definitions: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    right = _right_values(schema, definitions, depth)
    return st.integers(0, 24).flatmap(lambda die: JUNK if die == 0 else right)


def _right_values(schema: dict[str, Any], definitions: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object":
            required = schema.get("required", [])
            known = {
                name: st.deferred(lambda part=part: _values(part, definitions, depth + 1))  # type: ignore[misc]
                for name, part in schema.get("properties", {}).items()
                if depth < 4 or name in required
            }
            return st.integers(0, 24).flatmap(
                lambda die: st.fixed_dictionaries(
                    {name: known[name] for name in required if die != 1 and name in known},
                    optional={
                        name: value for name, value in known.items() if name not in required or die == 1
                    }
                    | ({"surplus": st.just(1)} if die == 0 else {}),
                )
            )
        case "array":
            return st.lists(_values(schema["items"], definitions, depth + 1), max_size=3)
        case kind:
            longest = min(schema.get("maxLength", 20) + 1, 60)
            return st.text(max_size=longest) if kind == "string" else SCALARS[kind]


@settings(max_examples=400, deadline=None)
@given(_mutated())
def test_a_payload_is_valid_exactly_when_jsonschema_says_so(
    case: tuple[SchemaSet, str, bool, Any, dict[str, Any]],
) -> None:
    schema_set, action, answer, payload, schema = case
    theirs = {error.validator for error in Draft4Validator(_one_decimal(schema)).iter_errors(payload)}

    try:
        schemas.check_payload(schema_set, action, payload, answer=answer)
        ours = None
    except SchemaViolation as violation:
        ours = violation.keyword

    assert (ours in theirs) if theirs else (ours is None)


def _one_decimal(schema: Any) -> Any:
    """`multipleOf: 0.1` with binary floats is what the library works around with decimals; likewise here."""
    if isinstance(schema, dict):
        return {key: _one_decimal(value) for key, value in schema.items() if key != "multipleOf"}
    return [_one_decimal(value) for value in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize(
    ("limit", "valid"), [(16, True), (21.4, True), (0.1, True), (4.11, False), (1e-7, False)]
)
def test_a_16_schedule_limit_has_at_most_one_decimal(limit: float, valid: bool) -> None:
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        },
    }

    def check() -> None:
        schemas.check_payload(
            "v16", "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile}, answer=False
        )

    if valid:
        check()
    else:
        with pytest.raises(SchemaViolation, match="multipleOf"):
            check()


@pytest.mark.parametrize(
    "action", ["", "../v201/schemas/Reset", "Reset.json", "ResetResponse", "reset\0", "Nonsense", "É"]
)
def test_what_is_not_an_action_names_no_file(action: str) -> None:
    assert not schemas.is_known_action("v16", action)
