"""The field of a charger's scenario, which is checked as far as that is possible without the charger."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from marshmallow import ValidationError

from api.http.actions.schemas import event_of
from api.http.fields.fields import Metadata, Problem
from api.http.fields.spec_fields import Json
from shared.fleet.actions.secrets import mask_event
from shared.fleet.actions.table import ActionKind, load_kinds

KINDS_OF_STEP = ("do", "wait_s", "wait_until", "loop")
MAX_DEPTH = 5  # loops within each other

_ONE_KIND = Problem(f"A step has exactly one of {', '.join(KINDS_OF_STEP)}", "value_error")
_NO_ACTION = Problem("There is no such action", "value_error")
_NO_SECRET = Problem("A scenario is shown as it is, so it cannot have a secret", "value_error")
_TOO_DEEP = Problem(f"At most {MAX_DEPTH} loops are within each other", "value_error")

Problems = dict[Any, Any]


class Scenario(Json):
    """An object with steps, or a list of them (docs/scenarios.md). Loads as it is."""

    def __init__(self, *, metadata: Metadata, **kwargs: Any) -> None:
        shown = {
            "type": ["object", "array"],
            "minItems": 1,
            "minProperties": 1,
            "items": {"type": "object"},
            "example": _kinds()["start_scenario"].example,
            **metadata,
        }
        super().__init__((dict, list), metadata=shown, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        super()._deserialize(value, attr, data, **kwargs)
        is_list = isinstance(value, list)
        problems = _check({"steps": value} if is_list else value, depth=0)
        if problems:
            raise ValidationError(problems["steps"] if is_list else problems)
        return value


@cache
def _kinds() -> Mapping[str, ActionKind]:
    return {kind.name: kind for kind in load_kinds()}


def _check(scenario: Mapping[str, Any], *, depth: int) -> Problems:
    """What is wrong, by the name or the number of each part."""
    problems: Problems = event_of("start_scenario")().validate(dict(scenario))
    if problems:
        return problems
    wrong = {number: _check_step(step, depth) for number, step in enumerate(scenario["steps"])}
    steps = {number: found for number, found in wrong.items() if found}
    return {"steps": steps} if steps else {}


def _check_step(step: Mapping[str, Any], depth: int) -> Problems | list[Problem]:
    kinds = [name for name in KINDS_OF_STEP if name in step]
    if len(kinds) != 1:
        return [_ONE_KIND]
    if "do" in step:
        return _check_event(step["do"], step.get("with", {}))
    if "loop" not in step:
        return {}
    found = {"steps": [_TOO_DEEP]} if depth == MAX_DEPTH else _check({"steps": step["loop"]}, depth=depth + 1)
    return {"loop": found["steps"]} if found else {}


def _check_event(action: str, event: dict[str, Any]) -> Problems:
    kind = _kinds().get(action)
    if kind is None or kind.name in ("start_scenario", "stop_scenario"):
        return {"do": [_NO_ACTION]}
    problems = event_of(action)().validate(event)
    if not problems and mask_event(event, kind.fields) != event:
        return {"with": [_NO_SECRET]}
    return {"with": problems} if problems else {}
