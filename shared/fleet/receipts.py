"""The receipt of a stored command: what the answer is rendered from, and the message for the queue."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any
from uuid import UUID

from shared.models import Charger
from shared.queues import TASK_OF, Message, TaskName, message
from shared.vocabulary import EventType, Placement, ProvisioningStatus


@dataclass(frozen=True, slots=True)
class CommandReceipt:
    """A stored command, as of its commit. Plain values, so it can be stored itself."""

    charger_id: str
    identity: str
    ocpp_version: str
    event_type: str
    command_id: UUID
    generation: int
    desired_count: int
    service_status: str | None
    provisioning_status: str
    workflow_run_id: str
    placement: str = Placement.DEDICATED.value
    host_id: str | None = None  #: of a shared charger that a worker has placed
    repeated: bool = False  #: the charger's newest command already requests this
    open: bool = True  #: the command is not final
    replayed: bool = False  #: an earlier request with the same Idempotency-Key got this receipt

    @property
    def messages(self) -> tuple[tuple[TaskName, Message], ...]:
        """The messages to publish after the commit. A repeat has one too: the first message may be lost.

        None for a command that is final: a rename of a stopped charger publishes no stop.
        """
        if not self.open:
            return ()
        hint = message(
            charger_id=self.charger_id,
            command_id=self.command_id,
            event_type=self.event_type,
            generation=self.generation,
            desired_count=self.desired_count,
        )
        return ((TASK_OF[EventType(self.event_type)], hint),)

    def stored(self) -> dict[str, Any]:
        """The receipt as plain JSON."""
        return asdict(self) | {"command_id": str(self.command_id)}

    @staticmethod
    def replay(stored: Mapping[str, Any]) -> "CommandReceipt":
        """The receipt that was stored, or that belongs to the answer that was stored, marked as replayed."""
        if "provisioning_status" not in stored:
            return _receipt_of_answer(stored)
        # A newer version may have stored fields that this one does not know.
        known = {field.name: stored[field.name] for field in fields(CommandReceipt) if field.name in stored}
        return CommandReceipt(**{**known, "command_id": UUID(known["command_id"]), "replayed": True})


def _receipt_of_answer(body: Mapping[str, Any]) -> CommandReceipt:
    """The receipt for an answer that an earlier version stored. What that answer does not show is left empty."""
    payload = body.get("payload", {})
    return CommandReceipt(
        charger_id=body["charger_id"] if "charger_id" in body else body["id"],
        identity=body.get("identity", ""),
        ocpp_version=body.get("ocpp_version", ""),
        event_type=body.get("event_type", EventType.CREATE_CHARGER),
        command_id=UUID(body["command_id"]),
        generation=body["generation"],
        desired_count=payload.get("desired_count", 1),
        service_status=payload.get("status"),
        provisioning_status=body.get("status", ProvisioningStatus.READY),
        workflow_run_id=body.get("workflow_run_id", ""),
        replayed=True,
    )


def receipt_of(charger: Charger, *, repeated: bool = False) -> CommandReceipt:
    """The charger's newest command, as just written or, for a repeat, as it stands."""
    return CommandReceipt(
        charger_id=charger.id,
        identity=charger.identity,
        ocpp_version=charger.ocpp_version,
        event_type=charger.newest_event_type,
        command_id=charger.newest_command_id,
        generation=charger.generation,
        desired_count=charger.desired_count,
        service_status=charger.service_status,
        provisioning_status=charger.provisioning_status,
        workflow_run_id=charger.workflow_run_id,
        placement=charger.placement,
        host_id=charger.host_id,
        repeated=repeated,
        open=charger.settled_generation < charger.generation,
    )
