"""The charger's schema check agrees with jsonschema's."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp.messages import Draft4Validator  # type: ignore[import-untyped]

from simulator.link import schemas
from simulator.link.schemas import SCHEMA_ROOT, SchemaViolation
from simulator.versions import VERSIONS, Version
from tests.simulator.payloads import Payloads

FILES = [
    (version, path)
    for version in VERSIONS.values()
    for path in sorted((SCHEMA_ROOT / version.schema_set).rglob("*.json"))
]


def test_every_schema_of_the_library_is_supported() -> None:
    for version, path in FILES:
        action, answer = _message(path.stem)
        with pytest.raises(SchemaViolation):
            schemas.check_payload(version, action, "not an object", answer=answer)


def _message(stem: str) -> tuple[str, bool]:
    return stem.removesuffix("Response").removesuffix("Request"), stem.endswith("Response")


@st.composite
def _mutated(draw: st.DrawFn) -> tuple[Version, str, bool, Any, dict[str, Any]]:
    """A payload that is nearly right for some message, or right."""
    version, path = draw(st.sampled_from(FILES))
    schema = json.loads(path.read_text("utf-8-sig"))
    payload = draw(Payloads(schema, flaws=True).values())
    return version, *_message(path.stem), payload, schema


@settings(max_examples=250, deadline=None)
@given(_mutated())
def test_a_payload_is_valid_exactly_when_jsonschema_says_so(
    case: tuple[Version, str, bool, Any, dict[str, Any]],
) -> None:
    version, action, answer, payload, schema = case
    expected = {error.validator for error in Draft4Validator(_one_decimal(schema)).iter_errors(payload)}

    try:
        schemas.check_payload(version, action, payload, answer=answer)
        keyword = None
    except SchemaViolation as violation:
        keyword = violation.keyword

    assert (keyword in expected) if expected else (keyword is None)


@settings(max_examples=100, deadline=None)
@given(_mutated())
def test_what_is_tolerated_leaves_a_valid_payload_and_says_what_was_wrong(
    case: tuple[Version, str, bool, Any, dict[str, Any]],
) -> None:
    version, action, answer, payload, _ = case
    try:
        kept, oddities = schemas.tolerate(version, action, payload, answer=answer)
    except SchemaViolation:
        with pytest.raises(SchemaViolation):
            schemas.check_payload(version, action, payload, answer=answer)
        return

    schemas.check_payload(version, action, kept, answer=answer)
    assert (kept == payload) == (not oddities)
    assert schemas.tolerate(version, action, kept, answer=answer) == (kept, [])


def _one_decimal(schema: Any) -> Any:
    """The library checks `multipleOf: 0.1` with decimals instead of binary floats; left out here, tested below."""
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
            VERSIONS["OCPP1.6"],
            "SetChargingProfile",
            {"connectorId": 1, "csChargingProfiles": profile},
            answer=False,
        )

    if valid:
        check()
    else:
        with pytest.raises(SchemaViolation, match="multipleOf"):
            check()


@pytest.mark.parametrize(
    "action", ["", "../v201/schemas/Reset", "Reset.json", "ResetResponse", "reset\0", "Nonsense", "É"]
)
def test_an_unknown_action_names_no_file(action: str) -> None:
    assert not schemas.is_known_action(VERSIONS["OCPP1.6"], action)
