"""The routes under /ocpp/chargers: parse, call, answer."""

from functools import partial

from flask import Response
from flask.typing import ResponseReturnValue

from api.http import schemas
from api.http.auth import requester
from api.http.document.operations import Access, Operations
from api.http.fleet.examples import SUMMARY
from api.http.fleet.schemas import FleetSummary
from api.http.queries import (
    FiltersSchema,
    ListQuery,
    ListQuerySchema,
    StopQuerySchema,
    Until,
    WaitQuery,
    WaitQuerySchema,
    WaitUntilQuery,
    WaitUntilQuerySchema,
)
from api.http.waits import wait_for
from api.live.watcher import Link, Provisioning, Settled
from api.resources import resources
from api.routes.charger_list import read_page
from api.routes.respond import respond_to_command, respond_to_create
from api.routes.submit import requested_by, submit, submit_delete, submit_update
from shared.fleet import chargers
from shared.fleet.chargers import ChargerChanges, CreateRequest, DeleteRequest, NewCharger, UpdateRequest
from shared.fleet.commands import LifecycleRequest
from shared.fleet.listing import Filters, Summary, summarize
from shared.models import Charger
from shared.vocabulary import IN_PROGRESS, EventType

operations = Operations(
    "chargers",
    __name__,
    url_prefix="/ocpp/chargers",
    access=Access.TENANT,
    description="Simulated charging stations, each an ECS service.",
)
lifecycle_operation = partial(
    operations.operation, "POST", status=202, body=schemas.Ignored, answer=schemas.QueuedCommand
)


@operations.operation("GET", "", query=ListQuerySchema, answer=schemas.ChargerPage)
def list_chargers(query: ListQuery) -> ResponseReturnValue:
    """List chargers

    Newest first unless `sort` is given. A charger is listed if it matches all filters. Numbered pages
    count all matches; use `cursor` for long lists.
    """
    with resources().reads() as session:
        return read_page(session, requester().organization_id, query)


@operations.operation("GET", "/summary", query=FiltersSchema, answer=FleetSummary, examples=SUMMARY)
def summarize_chargers(query: Filters) -> Summary:
    """Count chargers by state

    Of the chargers that match all filters. Beyond the contract.
    """
    with resources().reads() as session:
        return summarize(session, requester().organization_id, query)


@operations.operation(
    "POST",
    "",
    status=202,
    query=WaitUntilQuerySchema,
    body=schemas.CreateCharger,
    answer=schemas.ChargerAccepted,
)
def create_charger(charger: NewCharger, query: WaitUntilQuery) -> ResponseReturnValue:
    """Create charger

    Answers as soon as the charger is stored. Poll `status_url` until it is READY or FAILED, or wait here with `wait`;
    with `until=accepted`, until the CSMS accepts it.
    """
    receipt = submit(CreateRequest(charger, **requested_by()))
    return respond_to_create(receipt, query)


@operations.operation(
    "GET", "/<charger_id:charger_id>", query=WaitUntilQuerySchema, answer=schemas.ChargerDetail
)
def get_charger(query: WaitUntilQuery, charger_id: str) -> Charger:
    """Get charger

    With `wait`, answers when its newest command is final, or with `until=accepted` when its CSMS has accepted the
    boot of the running process; in any case when the time is up or that can no longer happen.
    """
    charger = _read_charger(charger_id)
    if query.wait_s:
        wait_for(Link(charger_id) if query.until == Until.ACCEPTED else Settled(charger_id), query.wait_s)
        charger = _read_charger(charger_id)
    return charger


@operations.operation(
    "GET", "/<charger_id:charger_id>/status", query=WaitQuerySchema, answer=schemas.ChargerStatus
)
def get_charger_status(query: WaitQuery, charger_id: str) -> ResponseReturnValue:
    """Get charger provisioning status

    Provisioning only: whether the charger runs now is in its `runtime`.
    """
    charger = _read_charger(charger_id)
    in_progress = charger.provisioning_status in IN_PROGRESS
    if query.wait_s and in_progress and wait_for(Provisioning(charger_id), query.wait_s):
        charger = _read_charger(charger_id)
    return {
        "charger_id": charger.id,
        "status": charger.provisioning_status,
        "workflow_run_id": charger.workflow_run_id,
        "error": charger.error,
        "provisioned_at": charger.provisioned_at,
    }


@operations.operation(
    "PUT", "/<charger_id:charger_id>", body=schemas.UpdateCharger, answer=schemas.ChargerDetail
)
def update_charger(changes: ChargerChanges, charger_id: str) -> Charger:
    """Update charger

    Only the keys that are present change. A running charger follows within a second or so over the control link; a charger
    without it is redeployed. What is more than a setting (the version, the connectors) reboots the charger.
    """
    return submit_update(UpdateRequest(charger_id, changes, **requested_by()))


@operations.operation("DELETE", "/<charger_id:charger_id>", status=204)
def delete_charger(charger_id: str) -> Response:
    """Delete charger

    The charger disappears at once; its ECS service is removed in the background.
    """
    submit_delete(DeleteRequest(charger_id, **requested_by()))
    return Response(status=204)


@lifecycle_operation("/<charger_id:charger_id>/start-charger", query=WaitUntilQuerySchema)
def start_charger(_body: object, query: WaitUntilQuery, charger_id: str) -> ResponseReturnValue:
    """Start charger runtime"""
    return _submit_lifecycle(EventType.START_CHARGER, query, charger_id)


@lifecycle_operation("/<charger_id:charger_id>/stop-charger", query=StopQuerySchema)
def stop_charger(_body: object, query: WaitUntilQuery, charger_id: str) -> ResponseReturnValue:
    """Stop charger runtime"""
    return _submit_lifecycle(EventType.STOP_CHARGER, query, charger_id)


@lifecycle_operation("/<charger_id:charger_id>/reset-charger", query=WaitUntilQuerySchema)
def reset_charger(_body: object, query: WaitUntilQuery, charger_id: str) -> ResponseReturnValue:
    """Restart charger runtime

    The running task stops, then a new one starts. A stopped charger starts.
    """
    return _submit_lifecycle(EventType.RESET_CHARGER, query, charger_id)


@lifecycle_operation("/<charger_id:charger_id>/restart-charger", query=WaitUntilQuerySchema)
def restart_charger(_body: object, query: WaitUntilQuery, charger_id: str) -> ResponseReturnValue:
    """Restart charger runtime

    The same as reset-charger. Beyond the contract.
    """
    return _submit_lifecycle(EventType.RESET_CHARGER, query, charger_id)


def _submit_lifecycle(event_type: EventType, query: WaitUntilQuery, charger_id: str) -> ResponseReturnValue:
    receipt = submit(LifecycleRequest(event_type, charger_id, **requested_by()))
    return respond_to_command(receipt, query)


def _read_charger(charger_id: str) -> Charger:
    with resources().reads() as session:
        return chargers.get_charger(
            session, organization_id=requester().organization_id, charger_id=charger_id
        )
