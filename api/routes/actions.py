"""The routes under /ocpp/commands: what happens to running chargers. Each row of the table of actions is one."""

from collections.abc import Mapping
from typing import Any

from flask.typing import ResponseReturnValue

from api.http.actions import answers
from api.http.actions.examples import describe, examples_of
from api.http.actions.queries import (
    ActionListQuery,
    ActionListQuerySchema,
    ActionQuery,
    DirectQuery,
    query_of,
)
from api.http.actions.schemas import body_of, result_of
from api.http.auth import requester
from api.http.document.operations import Access, Operations
from api.http.queries import WaitQuery, WaitQuerySchema
from api.http.waits import wait_for
from api.live.watcher import Actions
from api.resources import resources
from api.routes.perform import answer_with_counts, answer_with_message, answer_with_result
from shared.fleet.actions import read
from shared.fleet.actions.table import ActionKind, load_kinds
from shared.models import Action
from shared.vocabulary import OPEN_ACTION

operations = Operations(
    "actions",
    __name__,
    url_prefix="/ocpp/commands",
    access=Access.TENANT,
    description="What happens to running chargers: cables, tokens, faults, messages.",
)

_ANSWERS = {"queued": answer_with_counts, "result": answer_with_result, "message": answer_with_message}
_FINAL = "With `wait`: the commands of all chargers are final."


def _register(kind: ActionKind) -> None:
    answer = _ANSWERS[kind.answer]
    schemas = {"queued": answers.LocationCommand, "message": answers.QueuedAction}

    def with_body(body: Mapping[str, Any], query: ActionQuery) -> ResponseReturnValue:
        return answer(kind, body["target"], body["event"], query)

    def without_body(query: DirectQuery) -> ResponseReturnValue:
        return answer(kind, query.target, query.event, query)

    view: Any = with_body if kind.method == "POST" else without_body
    view.__name__ = kind.name
    view.__doc__ = describe(kind)
    operations.operation(
        kind.method,
        f"/{kind.path}",
        status=200 if kind.answer == "result" else 202,
        query=query_of(kind),
        body=body_of(kind) if kind.method == "POST" else None,
        answer=schemas.get(kind.answer) or result_of(kind),
        errors=(404,) + ((400,) if kind.rejected_status == 400 else ()),
        examples=examples_of(kind),
        when_final=_FINAL if kind.answer == "queued" else "",
    )(view)


for _kind in load_kinds():
    _register(_kind)


@operations.operation("GET", "", query=ActionListQuerySchema, answer=answers.ActionPage)
def list_actions(query: ActionListQuery) -> ResponseReturnValue:
    """List actions

    The newest 10,000 that match all filters, newest first. An action is kept for a limited time after its end
    (`ACTIONS_KEPT_DAYS`, docs/settings.md). Beyond the contract.
    """
    with resources().reads() as session:
        found = read.list_actions(
            session,
            organization_id=requester().organization_id,
            filters=query.filters,
            page=query.page,
            limit=query.limit,
        )
    return {"data": found.rows, "total": found.total, "page": query.page, "limit": query.limit}


@operations.operation(
    "GET", "/<action_id:action_id>", query=WaitQuerySchema, answer=answers.ActionAnswer, errors=(404,)
)
def get_action(query: WaitQuery, action_id: str) -> Action:
    """Get an action

    `applied`, `rejected`, `expired` and `failed` are final. Beyond the contract.
    """
    action = _read_action(int(action_id))
    if query.wait_s and action.status in OPEN_ACTION and wait_for(Actions((action.id,)), query.wait_s):
        action = _read_action(action.id)
    return action


def _read_action(action_id: int) -> Action:
    with resources().reads() as session:
        return read.get_action(session, organization_id=requester().organization_id, action_id=action_id)
