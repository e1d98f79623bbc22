"""Renders receipts as the bodies of answers."""

from typing import Any

from api.resources import resources
from shared.fleet.receipts import CommandReceipt
from shared.vocabulary import EventType, Placement

#: `runtime_kind` of an answer, by placement.
RUNTIME_KINDS = {
    Placement.DEDICATED.value: "ecs_service",
    Placement.SHARED.value: "ecs_shared_service",
}
Body = dict[str, Any]  #: plain JSON, which the answer's schema dumps


def body_of(receipt: CommandReceipt) -> Body:
    """The body of a 202, as ChargerAccepted for a create and as QueuedCommand for the other commands."""
    if receipt.event_type == EventType.CREATE_CHARGER:
        return _accepted_charger(receipt)
    return _queued_command(receipt)


def _accepted_charger(receipt: CommandReceipt) -> Body:
    return {
        "charger_id": receipt.charger_id,
        "identity": receipt.identity,
        "status": receipt.provisioning_status,
        "workflow_run_id": receipt.workflow_run_id,
        "status_url": f"/ocpp/chargers/{receipt.charger_id}/status",
        "command_id": str(receipt.command_id),
        "generation": receipt.generation,
    }


def _queued_command(receipt: CommandReceipt) -> Body:
    service = receipt.host_id if receipt.placement == Placement.SHARED else receipt.charger_id
    return {
        "id": receipt.charger_id,
        "event_type": receipt.event_type,
        "ocpp_version": receipt.ocpp_version,
        "payload": {
            "provider": "aws",
            "runtime_kind": RUNTIME_KINDS[receipt.placement],
            "service_name": service and resources().settings.ecs.name_prefix + service,
            "desired_count": receipt.desired_count,
            # Only a provisioned charger takes commands, so its service exists, observed or not, unless it has no host.
            "status": receipt.service_status or "ACTIVE" if service else "INACTIVE",
        },
        "command_id": str(receipt.command_id),
        "generation": receipt.generation,
        "status_url": f"/ocpp/chargers/{receipt.charger_id}/commands/{receipt.command_id}",
    }
