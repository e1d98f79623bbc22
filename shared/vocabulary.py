"""The names of changes and states: event types, command status, provisioning, observed state, links."""

from datetime import timedelta
from enum import StrEnum


class EventType(StrEnum):
    """The change that a command requests. The contract calls a restart reset."""

    CREATE_CHARGER = "create_charger"
    UPDATE_CHARGER = "update_charger"
    DELETE_CHARGER = "delete_charger"
    START_CHARGER = "start_charger"
    STOP_CHARGER = "stop_charger"
    RESET_CHARGER = "reset_charger"


class CommandStatus(StrEnum):
    """Moves forward only: queued, applied, then one of FINAL."""

    QUEUED = "queued"  #: stored, not yet accepted by ECS
    APPLIED = "applied"  #: ECS accepted it
    SUCCEEDED = "succeeded"  #: observed: the running count is the desired one
    FAILED = "failed"  #: see its error
    SUPERSEDED = "superseded"  #: a newer command replaced it


OPEN = (CommandStatus.QUEUED, CommandStatus.APPLIED)
FINAL = (CommandStatus.SUCCEEDED, CommandStatus.FAILED, CommandStatus.SUPERSEDED)


class ActionStatus(StrEnum):
    """Moves forward only: queued, received, then one of the others, which are final."""

    QUEUED = "queued"  #: stored, not yet with the charger
    RECEIVED = "received"  #: the charger has it
    APPLIED = "applied"  #: the charger did it
    REJECTED = "rejected"  #: the charger or its CSMS said no
    EXPIRED = "expired"  #: it did not reach the charger in time
    FAILED = "failed"  #: it could not be done: see its reason


OPEN_ACTION = (ActionStatus.QUEUED, ActionStatus.RECEIVED)
FINAL_ACTION = (ActionStatus.APPLIED, ActionStatus.REJECTED, ActionStatus.EXPIRED, ActionStatus.FAILED)


class JobAction(StrEnum):
    """What a job does to each of its chargers."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    DELETE = "delete"
    CREATE = "create"


class JobStatus(StrEnum):
    """A job is final when it has `finished_at`: a cancelled one may still have open commands."""

    RUNNING = "running"
    PAUSED = "paused"  #: records no further commands until it is resumed
    CANCELLED = "cancelled"  #: records no further commands
    FINISHED = "finished"  #: every item is final


class ItemResult(StrEnum):
    """What became of one charger of a job. Moves forward only: waiting, requested, then one of the others."""

    WAITING = "waiting"  #: its command is not recorded yet
    REQUESTED = "requested"  #: its command is open
    SUCCEEDED = "succeeded"
    FAILED = "failed"  #: see its reason
    SUPERSEDED = "superseded"  #: a newer command of the charger replaced the job's
    SKIPPED = "skipped"  #: no command was recorded: see its reason
    CANCELLED = "cancelled"  #: the job was cancelled before its command was recorded


OPEN_ITEM = (ItemResult.WAITING, ItemResult.REQUESTED)


class ProvisioningStatus(StrEnum):
    """The progress of a new charger. READY and FAILED are final (contract 4.0)."""

    PENDING = "PENDING"
    PROVISIONING = "PROVISIONING"
    READY = "READY"
    FAILED = "FAILED"


#: A new charger that is neither READY nor FAILED yet.
IN_PROGRESS = (ProvisioningStatus.PENDING, ProvisioningStatus.PROVISIONING)


class Placement(StrEnum):
    """Where a charger runs."""

    DEDICATED = "dedicated"  #: in a task of its own
    SHARED = "shared"  #: on a host, whose task runs many chargers


class HostState(StrEnum):
    """What a host does."""

    STARTING = "starting"  #: its task is on its way
    RUNNING = "running"  #: its process is connected to the control link
    DRAINING = "draining"  #: it gets no further charger
    REMOVING = "removing"  #: a worker removes its service
    UNKNOWN = "unknown"  #: its task runs, and its process is not connected


class ObservedState(StrEnum):
    """The meaning of an ECS service's counts. The database's observed_state() returns the same words."""

    RUNNING = "running"
    STOPPED = "stopped"
    STARTING = "starting"
    STOPPING = "stopping"
    UNKNOWN = "unknown"  #: not observed yet


class OcppVersion(StrEnum):
    """The spelling that is stored and shown."""

    V16 = "OCPP1.6"
    V201 = "OCPP2.0.1"


class OcppState(StrEnum):
    """The charger's link to its CSMS, as its log reports it."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"  #: the WebSocket is open
    ACCEPTED = "accepted"  #: the CSMS accepted its BootNotification
    REJECTED = "rejected"


class LogKind(StrEnum):
    """The lines of a charger's log."""

    FRAME = "frame"  #: an OCPP message that it sent or received
    REMARK = "remark"  #: what it could not do or accept, and why
    CONNECTION = "connection"  #: a change of its link to its CSMS


class RemarkLevel(StrEnum):
    """The weight of a remark."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


#: How long a published command may stay queued before the sweep publishes it again: longer than a message
#: usually takes to a worker, and short enough that a person waiting for the charger hardly notices a lost one.
PUBLISH_GRACE = timedelta(seconds=3)
