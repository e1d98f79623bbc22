"""The queries of the routes under /ocpp/commands."""

from dataclasses import dataclass
from typing import Any, cast

from marshmallow import fields, post_load

from api.http.fields.fields import Choice, Choices, Query, QueryInteger, Text
from api.http.fields.label_fields import LabelFilter
from api.http.queries import PageQuery, PageQuerySchema
from shared.fleet.actions.read import ActionFilters
from shared.fleet.actions.record import Target
from shared.fleet.actions.table import ActionKind, Field
from shared.vocabulary import ActionStatus

RESULT_WAIT_S = 5  # that a request for a charger's result waits for it, at least
EXPIRES_IN_S = 30
MAX_WAIT_S = 60

_CHARGER_ID: dict[str, Any] = {"min_length": 1, "max_length": 64}


@dataclass(frozen=True, slots=True)
class ActionQuery:
    """How long to wait for an action, and how long it may take to reach its charger."""

    wait_s: int
    expires_in_s: int


@dataclass(frozen=True, slots=True)
class DirectQuery(ActionQuery):
    """Of a request without a body: the target and the event too."""

    target: Target
    event: dict[str, Any]


class _ActionQuerySchema(Query):
    expires_in = QueryInteger(
        minimum=1,
        maximum=300,
        metadata={
            "description": "Seconds that it may take to reach the charger; after that it is `expired`. Beyond the contract."
        },
    )


class QueuedQuerySchema(_ActionQuerySchema):
    wait = QueryInteger(
        minimum=0,
        maximum=MAX_WAIT_S,
        load_default=0,
        metadata={
            "description": "Seconds to hold the answer until the commands of all chargers are final, at most. When too "
            "many requests wait already, the answer comes at once, with the header `Wait-Skipped: true`. Beyond the "
            "contract."
        },
    )

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> ActionQuery:
        return ActionQuery(data["wait"], data.get("expires_in", EXPIRES_IN_S))


class ResultQuerySchema(_ActionQuerySchema):
    wait = QueryInteger(
        minimum=0,
        maximum=MAX_WAIT_S,
        load_default=RESULT_WAIT_S,
        metadata={
            "description": f"Seconds to wait for the charger's result, at most; {RESULT_WAIT_S} at least. Beyond the "
            "contract."
        },
    )

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> ActionQuery:
        wait_s = max(data["wait"], RESULT_WAIT_S)
        return ActionQuery(wait_s, data.get("expires_in", wait_s))


class _DirectQuerySchema(ResultQuerySchema):
    charger_id = Text(required=True, **_CHARGER_ID)

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> DirectQuery:
        wait_s = max(data.pop("wait"), RESULT_WAIT_S)
        expires_in_s = data.pop("expires_in", wait_s)
        return DirectQuery(wait_s, expires_in_s, Target(data.pop("charger_id")), data)


def query_of(kind: ActionKind) -> type[Query]:
    """The schema of the operation's query. Without a body, its event and its target are in the query."""
    if kind.method == "POST":
        return QueuedQuerySchema if kind.answer == "queued" else ResultQuerySchema
    members = {member.name: _parameter(member) for member in kind.fields}
    return cast(type[Query], _DirectQuerySchema.from_dict(members, name=f"{kind.name}_query"))


def _parameter(member: Field) -> fields.Field[Any]:
    metadata = {"description": member.description} if member.description else {}
    common: dict[str, Any] = {"required": member.required, "metadata": metadata}
    if member.type == "integer":
        lowest = 0 if member.minimum is None else int(member.minimum)
        bounds: dict[str, Any] = {} if member.maximum is None else {"maximum": int(member.maximum)}
        return QueryInteger(minimum=lowest, **bounds, **common)
    if member.type != "string":
        raise TypeError(
            f"{member.name} is in a query, which takes integers and texts only, not {member.type}"
        )
    if member.choices:
        return Choice(member.choices, **common)
    return Text(min_length=member.min_length or 0, max_length=member.max_length or 255, **common)


@dataclass(frozen=True, slots=True)
class ActionListQuery(PageQuery):
    """A page of a list of actions."""

    filters: ActionFilters


class ActionListQuerySchema(PageQuerySchema):
    charger_id = Text(load_default=None, **_CHARGER_ID)
    location_id = Text(
        min_length=1,
        max_length=128,
        load_default=None,
        metadata={"description": "Only chargers that have this location_id now."},
    )
    status = Choices(
        ActionStatus,
        load_default=None,
        metadata={"description": "One status, or several by comma.", "example": "rejected,failed"},
    )
    labels = LabelFilter(
        load_default=None,
        metadata={"description": "Only chargers that have all these labels now, such as `run:1234,smoke`."},
    )

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> ActionListQuery:
        filters = ActionFilters(data["charger_id"], data["location_id"], data["status"], data["labels"])
        return ActionListQuery(data["page"], data["limit"], filters)
