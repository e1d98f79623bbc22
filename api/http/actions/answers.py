"""The answers about actions: their schemas, and how a receipt and rows become their bodies."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields

from api.http.fields.fields import Instant
from shared.error_codes import ActionCode
from shared.fleet.actions.record import ActionReceipt, RecordedAction
from shared.models import Action
from shared.vocabulary import ActionStatus, OcppVersion

STATUSES = [str(status) for status in ActionStatus]
VERSIONS = [version.lower() for version in OcppVersion]  # the spelling of these answers (contract 1)
Body = dict[str, Any]  #: plain JSON, which the answer's schema dumps


class ActionNotApplied(Exception):
    """The charger did not do it, or has not said so in time. Its row says what is known."""

    def __init__(self, action_id: int, reason: str | None, code: str | None, *, status: int = 422) -> None:
        super().__init__(reason or "The charger gives no reason")
        self.action_id = action_id
        self.code = code
        self.status = status  #: 400 or 422, as the table of actions says


class QueuedAction(Schema):
    """QueuedCommandResponse of the contract: an action, as it was stored."""

    id = fields.String(required=True, metadata={"description": "Of the action."})
    event_type = fields.String(required=True)
    ocpp_version = fields.String(required=True, metadata={"enum": VERSIONS})
    payload = fields.Dict(required=True, metadata={"description": "The event as sent; secrets are masked."})
    status_url = fields.String(required=True, metadata={"description": "A path. Beyond the contract."})
    status = fields.String(
        metadata={"description": "Once it is final, or after `wait`. Beyond the contract.", "enum": STATUSES}
    )
    result = fields.Dict(
        allow_none=True,
        metadata={"description": "What the charger answered. With `status`. Beyond the contract."},
    )
    reason = fields.String(
        allow_none=True,
        metadata={"description": "Why it was not applied. With `status`. Beyond the contract."},
    )


class ActionResult(Schema):
    charger_id = fields.String(required=True)
    identity = fields.String(required=True)
    command = fields.Nested(QueuedAction, required=True)
    status = fields.String(metadata={"description": "After `wait`. Beyond the contract.", "enum": STATUSES})
    result = fields.Dict(
        allow_none=True,
        metadata={"description": "What the charger answered. After `wait`. Beyond the contract."},
    )
    reason = fields.String(
        allow_none=True,
        metadata={"description": "Why it was not applied. After `wait`. Beyond the contract."},
    )


class ActionFailure(Schema):
    identity = fields.String(required=True, allow_none=True)
    error = fields.String(required=True)
    charger_id = fields.String(required=True, metadata={"description": "Beyond the contract."})
    code = fields.String(
        required=True, metadata={"description": "The error as a code of docs/errors.md. Beyond the contract."}
    )
    command_id = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The action that failed. Beyond the contract."},
    )


class _Plain(fields.List[Any]):
    """A list of plain JSON that fits its schema. It is not converted: there may be thousands of items."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value


class LocationCommand(Schema):
    """LocationCommandResponse of the contract."""

    targeted_count = fields.Integer(required=True)
    queued_count = fields.Integer(required=True)
    failed_count = fields.Integer(required=True)
    results = _Plain(fields.Nested(ActionResult), required=True)
    failed = _Plain(fields.Nested(ActionFailure), required=True)


class ActionAnswer(Schema):
    """An action of a charger, and its result. Beyond the contract."""

    id = fields.String(required=True)
    charger_id = fields.String(required=True)
    identity = fields.String(required=True, attribute="charger.identity")
    event_type = fields.String(required=True, attribute="name")
    payload = fields.Dict(
        required=True,
        attribute="event",
        metadata={"description": "The event as sent; secrets are masked."},
    )
    status = fields.String(required=True, metadata={"enum": STATUSES})
    reason = fields.String(
        required=True, allow_none=True, metadata={"description": "Why it was not applied."}
    )
    reason_code = fields.String(
        required=True, allow_none=True, metadata={"description": "The same as a code of docs/errors.md."}
    )
    result = fields.Dict(
        required=True, allow_none=True, metadata={"description": "What the charger answered."}
    )
    requested_by = fields.String(required=True)
    request_id = fields.String(required=True, allow_none=True)
    created_at = Instant(required=True)
    received_at = Instant(
        required=True, allow_none=True, metadata={"description": "When the charger confirmed it."}
    )
    finished_at = Instant(required=True, allow_none=True)
    expires_at = Instant(required=True, metadata={"description": "It is not sent to the charger after that."})


class ActionPage(Schema):
    data = fields.List(fields.Nested(ActionAnswer), required=True)
    total = fields.Integer(required=True, metadata={"description": "Matches over all pages, 10000 at most."})
    page = fields.Integer(required=True)
    limit = fields.Integer(required=True)


def counts_of(receipt: ActionReceipt, rows: Mapping[int, Action] | None = None) -> Body:
    """The body of LocationCommand. With the rows, each result shows its status, result and reason too."""
    failed = [_failure(action) for action in receipt.failed]
    failed += [_missing(charger_id) for charger_id in receipt.missing]
    results = [
        {
            "charger_id": action.charger_id,
            "identity": action.identity,
            "command": queued_of(receipt, action),
            **({} if rows is None else _outcome(rows.get(action.id))),
        }
        for action in receipt.queued
    ]
    return {
        "targeted_count": len(results) + len(failed),
        "queued_count": len(results),
        "failed_count": len(failed),
        "results": results,
        "failed": failed,
    }


def queued_of(receipt: ActionReceipt, action: RecordedAction) -> Body:
    """The body of QueuedAction."""
    return {
        "id": str(action.id),
        "event_type": receipt.name,
        "ocpp_version": action.ocpp_version.lower(),
        "payload": receipt.event,
        "status_url": status_url(action.id),
    }


def status_url(action_id: int) -> str:
    return f"/ocpp/commands/{action_id}"


def _outcome(row: Action | None) -> Body:
    """Empty for a row that is gone, with its charger."""
    return {} if row is None else {"status": row.status, "result": row.result, "reason": row.reason}


def _failure(action: RecordedAction) -> Body:
    return {
        "identity": action.identity,
        "error": action.reason,
        "charger_id": action.charger_id,
        "code": action.reason_code,
        "command_id": str(action.id),
    }


def _missing(charger_id: str) -> Body:
    return {
        "identity": None,
        "error": f"The location has no charger {charger_id}",
        "charger_id": charger_id,
        "code": ActionCode.NOT_IN_LOCATION,
        "command_id": None,
    }
