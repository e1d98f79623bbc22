"""The examples of the operations on actions, from the table of actions."""

from typing import Any

from api.http.document.examples import Examples
from shared.fleet.actions.table import ActionKind, Variant

_ID = "4711"


def describe(kind: ActionKind) -> str:
    """The text about an operation: its summary, and below it the rest and the variants."""
    variants = "\n".join(f"- `{variant.name}`: {_in_words(variant)}" for variant in kind.variants)
    return "\n\n".join(filter(None, (kind.summary.removesuffix("."), kind.description, variants)))


def _in_words(variant: Variant) -> str:
    names = [f"`{field.name}`" + ("*" if field.required else "") for field in variant.fields]
    return f"{variant.summary} Fields: {', '.join(names)}."


def examples_of(kind: ActionKind) -> Examples:
    """A body to try, and the answers to it."""
    bodies = {variant.name: _variant(variant) for variant in kind.variants} or {
        "charger": {"summary": "One charger", "value": _body(kind, {"charger_id": "dep-123"})}
    }
    if kind.target == "charger_or_location":
        location = {"location_id": "4090477f-a416-4515-a302-97aa344a0a2a"}
        bodies["location"] = {"summary": "All chargers of a location", "value": _body(kind, location)}
    shown = bodies if kind.method == "POST" else None
    if kind.answer == "result":
        return Examples(dict(kind.result_example or {}), bodies=shown)
    if kind.answer == "message":
        outcome = {"status": "applied", "result": dict(kind.result_example or {}), "reason": None}
        return Examples(_queued(kind) | outcome, bodies=shown)
    return Examples(_counts(kind, {}), _counts(kind, _outcome(kind)), bodies=shown)


def _variant(variant: Variant) -> dict[str, Any]:
    body = {"target": {"charger_id": "dep-123"}, "event": dict(variant.example)}
    return {"summary": variant.summary, "value": body}


def _body(kind: ActionKind, target: dict[str, Any]) -> dict[str, Any]:
    event = {} if kind.example is None else {"event": dict(kind.example)}
    return {"target": target, **event}


def _queued(kind: ActionKind) -> dict[str, Any]:
    event = dict(kind.example or {})
    is_message = kind.answer == "message"
    return {
        "id": _ID,
        "event_type": event["action"] if is_message else kind.name,
        "ocpp_version": "ocpp1.6",
        "payload": event["payload"] if is_message else event,
        "status_url": f"/ocpp/commands/{_ID}",
    }


def _counts(kind: ActionKind, outcome: dict[str, Any]) -> dict[str, Any]:
    result = {"charger_id": "dep-123", "identity": "CP-TEST-001", "command": _queued(kind), **outcome}
    failure = {
        "identity": "CP-TEST-002",
        "error": "The charger is stopped: start it first",
        "charger_id": "dep-124",
        "code": "charger_stopped",
        "command_id": "4712",
    }
    return {
        "targeted_count": 2,
        "queued_count": 1,
        "failed_count": 1,
        "results": [result],
        "failed": [failure],
    }


def _outcome(kind: ActionKind) -> dict[str, Any]:
    result = None if kind.result_example is None else dict(kind.result_example)
    return {"status": "applied", "result": result, "reason": None}
