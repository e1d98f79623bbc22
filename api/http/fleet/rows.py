"""The parts of a charger's row in answers that are computed: its runtime and its newest command. Beyond the contract."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from marshmallow import Schema, fields

from api.http import charger_state
from api.http.charger_state import newest_command_of, runtime_of
from api.http.fields.fields import Instant, instant_text
from shared.vocabulary import CommandStatus, EventType, ObservedState, OcppState, Placement


def doc(description: str = "", *, enum: Iterable[str | None] = (), **more: Any) -> dict[str, Any]:
    """Metadata that only the document shows."""
    if description:
        more["description"] = description
    if values := [value and str(value) for value in enum]:
        more["enum"] = values
    return more


class ErrorDetail(Schema):
    """Why it failed, as a code and in words."""

    code = fields.String(required=True, metadata=doc("See docs/errors.md."))
    message = fields.String(required=True)
    step = fields.String(allow_none=True)
    param = fields.String(allow_none=True)
    doc_url = fields.String(allow_none=True)
    retryable = fields.Boolean(allow_none=True)


class NewestCommand(Schema):
    """The newest command of a charger."""

    id = fields.UUID(required=True)
    event_type = fields.String(required=True, metadata=doc(enum=[*EventType]))
    status = fields.String(required=True, metadata=doc(enum=[*CommandStatus]))
    reason = fields.String(allow_none=True, metadata=doc("Why ECS has not accepted it yet."))
    error = fields.Nested(ErrorDetail, allow_none=True, metadata=doc("When the status is failed."))
    attempts = fields.Integer(required=True, metadata=doc("Attempts at ECS so far."))
    held = fields.Boolean(required=True, metadata=doc("The rate budget holds it back."))
    next_attempt_at = Instant(
        allow_none=True, metadata=doc("No worker tries it before; null when nothing delays it.")
    )
    requested_by = fields.String(required=True)
    created_at = Instant(required=True)
    applied_at = Instant(allow_none=True, metadata=doc("When ECS accepted it."))
    finished_at = Instant(allow_none=True)


class Ocpp(Schema):
    """The charger's link to its CSMS, as it reports it over the control link, or else as its log says."""

    state = fields.String(allow_none=True, metadata=doc(enum=[*OcppState, None]))
    reason = fields.String(allow_none=True)
    since = Instant(allow_none=True)
    last_frame_at = Instant(allow_none=True)
    stale_reason = fields.String(
        allow_none=True, metadata=doc("Why the state may have changed since: the logs are read late.")
    )


class Runtime(Schema):
    """The desired and the observed state. Beyond the contract."""

    desired = fields.String(required=True, metadata=doc(enum=["running", "stopped"]))
    observed = fields.String(required=True, metadata=doc(enum=[*ObservedState]))
    observed_since = Instant(required=True, metadata=doc("Since when it is in the state of `observed`."))
    desired_count = fields.Integer(required=True)
    running_count = fields.Integer(required=True)
    pending_count = fields.Integer(required=True)
    generation = fields.Integer(required=True, metadata=doc("+1 with every requested change."))
    observed_generation = fields.Integer(required=True, metadata=doc("The newest that ECS accepted."))
    observed_at = Instant(allow_none=True)
    stale = fields.Boolean(required=True, metadata=doc("Not observed for a while."))
    stale_at = Instant(
        required=True,
        allow_none=True,
        metadata=doc("When it becomes stale unless it is observed again; null while it was never observed."),
    )
    attention = fields.Boolean(
        required=True,
        metadata=doc(
            "Its provisioning failed, or for 30 s it has been starting, stopping or not observed, or has run without "
            "being accepted by its CSMS."
        ),
    )
    attention_at = Instant(
        required=True,
        allow_none=True,
        metadata=doc("When `attention` becomes true, if nothing changes; past while it is."),
    )
    attention_reason = fields.String(
        required=True, allow_none=True, metadata=doc("Why, and since when; null without `attention`.")
    )
    reason = fields.String(allow_none=True, metadata=doc("Why it does not run as desired."))
    reason_code = fields.String(allow_none=True, metadata=doc("The same, as a code of docs/errors.md."))
    placement = fields.String(
        required=True,
        metadata=doc("`dedicated`: an ECS service of its own; `shared`: on a host.", enum=[*Placement]),
    )
    host_id = fields.String(
        required=True, allow_none=True, metadata=doc("Of a shared charger, once a worker has placed it.")
    )
    ocpp = fields.Nested(Ocpp, required=True)


class _OfRow(fields.Nested):
    """Computed from the charger's row. The schema is for the document: a list would take half as long again with it."""

    def __init__(self, schema: type[Schema], compute: Callable[[Any], Any], **kwargs: Any) -> None:
        super().__init__(schema, **kwargs)
        self._compute = compute

    def get_value(self, obj: Any, *_: Any, **__: Any) -> Any:
        return self._compute(obj)

    def _serialize(self, nested_obj: Any, *_: Any, **__: Any) -> Any:  # type: ignore[override]  # as Nested does
        return nested_obj and written(nested_obj)


RuntimeOfRow = partial(_OfRow, Runtime, runtime_of)
NewestCommandOfRow = partial(_OfRow, NewestCommand, newest_command_of)


def written(record: Any) -> dict[str, Any]:
    """The members of a dataclass as JSON has them: what the schema of the same names would write."""
    return {name: plain(getattr(record, name)) for name in record.__slots__}


def plain(value: Any) -> Any:
    """A time, an id or one of our dataclasses as JSON has it; anything else as it is."""
    write = _WRITERS.get(type(value))
    return write(value) if write is not None else value


_WRITERS: dict[type, Callable[[Any], Any]] = {
    datetime: instant_text,
    UUID: str,
    charger_state.Ocpp: written,
    charger_state.Runtime: written,
    charger_state.NewestCommand: written,
}
