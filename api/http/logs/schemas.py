"""The entries of a charger's log, and their pages."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields

from api.http.fields.fields import Instant, OneOf
from shared.fleet.logs import Direction
from shared.vocabulary import LogKind, OcppState, RemarkLevel


def _doc(description: str = "", **more: Any) -> dict[str, Any]:
    """Metadata that only the document shows."""
    return {"description": description, **more} if description else more


class _Entry(Schema):
    """What entries have in pages by cursor and as lines. Beyond the contract."""

    id = fields.String(metadata=_doc("Stable, of one entry of the log. In pages by cursor."))
    kind = fields.String(metadata=_doc("In pages by cursor.", enum=[str(kind) for kind in LogKind]))


_TRUNCATED = _doc("True when the message is too long for a page and was cut. Beyond the contract.")


class LogEntry(_Entry):
    """An OCPP message that the charger sent or received."""

    direction = fields.String(required=True, metadata=_doc(enum=[str(one) for one in Direction]))
    action = fields.String(required=True)
    message = fields.String(allow_none=True, metadata=_doc("The OCPP-J frame as text."))
    truncated = fields.Boolean(metadata=_TRUNCATED)
    timestamp = Instant(allow_none=True)
    message_type = fields.Integer(
        allow_none=True,
        metadata=_doc(
            "2 is a call, 3 its result, 4 its error; null if the frame is not OCPP-J. In pages by cursor."
        ),
    )
    message_id = fields.String(
        allow_none=True, metadata=_doc("The same of a call and of its answer. In pages by cursor.")
    )


class Remark(_Entry):
    """What the charger could not do or accept, and why. Beyond the contract."""

    level = fields.String(required=True, metadata=_doc(enum=[str(level) for level in RemarkLevel]))
    message = fields.String(allow_none=True)
    truncated = fields.Boolean(metadata=_TRUNCATED)
    timestamp = Instant(required=True)


class ConnectionEvent(_Entry):
    """A change of the charger's link to its CSMS. Beyond the contract."""

    state = fields.String(required=True, metadata=_doc(enum=[str(state) for state in OcppState]))
    reason = fields.String(
        required=True, allow_none=True, metadata=_doc("A word to compare; docs/ocpp.md has them all.")
    )
    message = fields.String(allow_none=True, metadata=_doc("The reason in plain words."))
    truncated = fields.Boolean(metadata=_TRUNCATED)
    timestamp = Instant(required=True)


_ONE = OneOf(LogEntry, Remark, ConnectionEvent)


def log_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry as clients get it."""
    shown: dict[str, Any] = _ONE.serialize("entry", {"entry": entry})
    return shown


class LogPage(Schema):
    data = fields.List(_ONE, required=True)
    total = fields.Integer(
        required=True, allow_none=True, metadata=_doc("Matches over all pages; null in pages by cursor.")
    )
    limit = fields.Integer(required=True)
    offset = fields.Integer(required=True, allow_none=True, metadata=_doc("Null in pages by cursor."))
    next_offset = fields.Integer(
        required=True,
        allow_none=True,
        metadata=_doc("Where the next page begins; null after the last one. Beyond the contract."),
    )
    next_cursor = fields.String(
        allow_none=True,
        metadata=_doc(
            "Of the page that follows, null after the last one. In pages by cursor. Beyond the contract."
        ),
    )
    previous_cursor = fields.String(
        allow_none=True,
        metadata=_doc(
            "Of the page before, also for what is stored later; null of an empty log. In pages by cursor. "
            "Beyond the contract."
        ),
    )
    searched_until = Instant(
        allow_none=True,
        metadata=_doc(
            "Not null: the page ends at this time because the filters left out very many entries. More may match: "
            "continue at `next_cursor`. In pages by cursor. Beyond the contract."
        ),
    )
