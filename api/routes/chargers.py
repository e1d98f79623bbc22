"""The routes under /ocpp/chargers: parse, call, answer."""

from typing import Any

from flask import Response
from flask.typing import ResponseReturnValue

from api.http import schemas
from api.http.auth import requester
from api.http.examples import (
    ACCEPTED,
    ACCEPTED_CREATE,
    ACCEPTED_RESET,
    ACCEPTED_START,
    CHARGER,
    CHARGER_PAGE,
    CREATE_EXAMPLES,
    FINISHED_CREATE,
    FINISHED_RESET,
    FINISHED_START,
    FINISHED_STOP,
    LIFECYCLE_BODIES,
    LOGS,
    RESET,
    START,
    STATUS,
    STOP,
    UPDATE_EXAMPLES,
    UPDATED,
)
from api.http.operations import Access, Operations
from api.limits.waits import wait_for
from api.live.watcher import Provisioning
from api.resources import resources
from api.routes import charger_list as lists
from api.routes.submit import accept, accept_once, asked_by
from api.routes.waiting import StopQuery, WaitUntilQuery, answer_create, answer_lifecycle, wait_for_charger
from shared.fleet import chargers, commands, logs
from shared.fleet.commands import LifecycleRequest
from shared.fleet.idempotency import Answer
from shared.fleet.receipts import CommandReceipt
from shared.models import Charger
from shared.vocabulary import EventType

operations = Operations(
    "chargers",
    __name__,
    url_prefix="/ocpp/chargers",
    access=Access.TENANT,
    description="Simulated charging stations, each an ECS service.",
)

LIFECYCLE_ERRORS = (401, 403, 404, 413, 415, 422, 500, 503)
LOCATION_HEADER = {"Location": "Where to watch what becomes of it."}


@operations.operation(
    "GET",
    "",
    query=lists.ListChargersQuery,
    answer=lists.ChargerPage,
    errors=(401, 403, 422, 500, 503),
    example=CHARGER_PAGE,
    summary="List chargers",
    described="Newest first, unless `sort` says otherwise. A charger is listed if all filters fit it. Numbered pages "
    "count their matches; use `cursor` for long lists.",
)
def list_chargers(query: dict[str, Any]) -> ResponseReturnValue:
    with resources().reads() as session:
        return lists.read_page(session, requester().organization_id, query)


@operations.operation(
    "POST",
    "",
    status=202,
    query=WaitUntilQuery,
    body=schemas.CreateCharger,
    answer=schemas.ChargerAccepted,
    errors=(400, 401, 403, 413, 415, 422, 500, 503),
    example=ACCEPTED,
    final_example=FINISHED_CREATE,
    accepted_example=ACCEPTED_CREATE,
    examples=CREATE_EXAMPLES,
    headers=LOCATION_HEADER,
    summary="Create charger",
    described="Answers as soon as the charger is stored; poll `status_url` until it is READY or FAILED, or "
    "`wait` for that here, or with `until=accepted` for the CSMS to accept it.",
)
def create_charger(body: dict[str, Any], query: dict[str, Any]) -> ResponseReturnValue:
    resources().open_quota.check(requester().organization_id)
    answer = accept_once(
        lambda session: chargers.create_charger(
            session, **asked_by(), **body, most_chargers=resources().settings.chargers_per_organization
        ),
        _created,
    )
    return answer_create(answer, query)


@operations.operation(
    "GET",
    "/<charger_id:charger_id>",
    query=WaitUntilQuery,
    answer=schemas.ChargerAnswer,
    errors=(401, 403, 404, 422, 500, 503),
    example=CHARGER,
    summary="Get charger",
    described="With `wait`: as soon as its newest command is final, or with `until=accepted` as soon as its CSMS has "
    "accepted the boot of the process that runs. As it is, when the time is up or that cannot come.",
)
def get_charger(query: dict[str, Any], charger_id: str) -> Any:
    charger = _charger(charger_id)
    if query["wait"]:
        wait_for_charger(charger_id, query)
        charger = _charger(charger_id)
    return charger


@operations.operation(
    "GET",
    "/<charger_id:charger_id>/status",
    query=schemas.WaitQuery,
    answer=schemas.ChargerStatus,
    errors=(401, 403, 404, 422, 500, 503),
    example=STATUS,
    summary="Get charger provisioning status",
    described="Provisioning only: whether the charger runs now is in its `runtime`.",
)
def get_charger_status(query: dict[str, Any], charger_id: str) -> ResponseReturnValue:
    charger = _charger(charger_id)
    in_progress = charger.provisioning_status in chargers.IN_PROGRESS
    if query["wait"] and in_progress and wait_for(Provisioning(charger_id), query["wait"]):
        charger = _charger(charger_id)
    return {
        "charger_id": charger.id,
        "status": charger.provisioning_status,
        "workflow_run_id": charger.workflow_run_id,
        "error": charger.error,
        "provisioned_at": charger.provisioned_at,
    }


@operations.operation(
    "PUT",
    "/<charger_id:charger_id>",
    body=schemas.UpdateCharger,
    answer=schemas.ChargerAnswer,
    errors=(400, 401, 403, 404, 413, 415, 422, 500, 503),
    example=UPDATED,
    examples=UPDATE_EXAMPLES,
    summary="Update charger",
    described="Only the keys that are present change. What the charger's process is told redeploys it.",
)
def update_charger(body: dict[str, Any], charger_id: str) -> Any:
    resources().open_quota.check(requester().organization_id)
    if "charge_point_name" in body:
        body["name"] = body.pop("charge_point_name")
    return accept(
        lambda session: chargers.update_charger(session, **asked_by(), charger_id=charger_id, changes=body)
    ).charger


@operations.operation(
    "DELETE",
    "/<charger_id:charger_id>",
    status=204,
    errors=(401, 403, 404, 500, 503),
    summary="Delete charger",
    described="It is gone at once; its ECS service is removed in the background.",
)
def delete_charger(charger_id: str) -> ResponseReturnValue:
    accept(lambda session: chargers.delete_charger(session, **asked_by(), charger_id=charger_id))
    return Response(status=204)


@operations.operation(
    "POST",
    "/<charger_id:charger_id>/start-charger",
    status=202,
    query=WaitUntilQuery,
    body=schemas.Ignored,
    answer=schemas.QueuedCommand,
    errors=LIFECYCLE_ERRORS,
    example=START,
    final_example=FINISHED_START,
    accepted_example=ACCEPTED_START,
    examples=LIFECYCLE_BODIES,
    headers=LOCATION_HEADER,
    summary="Start charger runtime",
)
def start_charger(_body: dict[str, Any], query: dict[str, Any], charger_id: str) -> ResponseReturnValue:
    return _lifecycle(EventType.START_CHARGER, query, charger_id)


@operations.operation(
    "POST",
    "/<charger_id:charger_id>/stop-charger",
    status=202,
    query=StopQuery,
    body=schemas.Ignored,
    answer=schemas.QueuedCommand,
    errors=LIFECYCLE_ERRORS,
    example=STOP,
    final_example=FINISHED_STOP,
    examples=LIFECYCLE_BODIES,
    headers=LOCATION_HEADER,
    summary="Stop charger runtime",
)
def stop_charger(_body: dict[str, Any], query: dict[str, Any], charger_id: str) -> ResponseReturnValue:
    return _lifecycle(EventType.STOP_CHARGER, query, charger_id)


@operations.operation(
    "POST",
    "/<charger_id:charger_id>/restart-charger",
    status=202,
    query=WaitUntilQuery,
    body=schemas.Ignored,
    answer=schemas.QueuedCommand,
    errors=LIFECYCLE_ERRORS,
    example=RESET,
    final_example=FINISHED_RESET,
    accepted_example=ACCEPTED_RESET,
    examples=LIFECYCLE_BODIES,
    headers=LOCATION_HEADER,
    operation_id="restart_charger",
    summary="Restart charger runtime",
    described="The same as reset-charger. Beyond the contract.",
)
@operations.operation(
    "POST",
    "/<charger_id:charger_id>/reset-charger",
    status=202,
    query=WaitUntilQuery,
    body=schemas.Ignored,
    answer=schemas.QueuedCommand,
    errors=LIFECYCLE_ERRORS,
    example=RESET,
    final_example=FINISHED_RESET,
    accepted_example=ACCEPTED_RESET,
    examples=LIFECYCLE_BODIES,
    headers=LOCATION_HEADER,
    summary="Restart charger runtime",
    described="The running task stops, then a new one starts. A stopped charger starts.",
)
def reset_charger(_body: dict[str, Any], query: dict[str, Any], charger_id: str) -> ResponseReturnValue:
    return _lifecycle(EventType.RESET_CHARGER, query, charger_id)


@operations.operation(
    "GET",
    "/<charger_id:charger_id>/logs",
    query=schemas.LogsQuery,
    answer=schemas.LogPage,
    errors=LIFECYCLE_ERRORS,
    example=LOGS,
    summary="List charger logs",
    described="The frames that the charger exchanged with its CSMS, newest first. A page of long messages is shorter "
    "than its `limit`: go on at `next_offset`.",
)
def list_charger_logs(query: dict[str, Any], charger_id: str) -> ResponseReturnValue:
    with resources().reads() as session:
        found = logs.list_logs(
            session,
            organization_id=requester().organization_id,
            charger_id=charger_id,
            max_bytes=resources().settings.log_page_bytes,
            **query,
        )
    return {
        "data": found.rows,
        "total": found.total,
        "limit": query["limit"],
        "offset": query["offset"],
        "next_offset": found.next_offset,
    }


def _created(accepted: CommandReceipt) -> Answer:
    status_url = f"/ocpp/chargers/{accepted.charger_id}/status"
    body = {
        "charger_id": accepted.charger_id,
        "identity": accepted.identity,
        "status": accepted.provisioning_status,
        "workflow_run_id": accepted.workflow_run_id,
        "status_url": status_url,
        "command_id": str(accepted.command_id),
        "generation": accepted.generation,
    }
    return Answer(body, 202, {"Location": status_url})


def _lifecycle(event_type: EventType, query: dict[str, Any], charger_id: str) -> ResponseReturnValue:
    resources().open_quota.check(requester().organization_id)
    wish = LifecycleRequest(event_type, charger_id, **asked_by())
    answer = accept_once(
        lambda session: commands.record_command(session, wish),
        _queued,
        without_key=lambda: resources().batcher.record(wish),
    )
    return answer_lifecycle(answer, query)


def _queued(accepted: CommandReceipt) -> Answer:
    status_url = f"/ocpp/chargers/{accepted.charger_id}/commands/{accepted.command_id}"
    body = {
        "id": accepted.charger_id,
        "event_type": accepted.event_type,
        "ocpp_version": accepted.ocpp_version,
        "payload": {
            "provider": "aws",
            "runtime_kind": "ecs_service",
            "service_name": resources().settings.ecs.name_prefix + accepted.charger_id,
            "desired_count": accepted.desired_count,
            # Only a provisioned charger takes commands, so its service exists, observed or not.
            "status": accepted.service_status or "ACTIVE",
        },
        "command_id": str(accepted.command_id),
        "generation": accepted.generation,
        "status_url": status_url,
    }
    return Answer(body, 202, {"Location": status_url})


def _charger(charger_id: str) -> Charger:
    with resources().reads() as session:
        return chargers.get_charger(
            session, organization_id=requester().organization_id, charger_id=charger_id
        )
