"""What can be asked of a charger, and what becomes of it."""

from datetime import timedelta
from enum import StrEnum


class EventType(StrEnum):
    """The change that a command asks for. start, stop and reset are the contract's names."""

    CREATE_CHARGER = "create_charger"
    UPDATE_CHARGER = "update_charger"
    DELETE_CHARGER = "delete_charger"
    START_CHARGER = "start_charger"
    STOP_CHARGER = "stop_charger"
    RESET_CHARGER = "reset_charger"


class CommandStatus(StrEnum):
    """Moves forward only: queued, applied, then one of FINAL."""

    QUEUED = "queued"  #: accepted, not yet in ECS
    APPLIED = "applied"  #: ECS accepted it
    SUCCEEDED = "succeeded"  #: observed: what runs is what was asked for
    FAILED = "failed"  #: see its error
    SUPERSEDED = "superseded"  #: a newer command made it moot


OPEN = (CommandStatus.QUEUED, CommandStatus.APPLIED)
FINAL = (CommandStatus.SUCCEEDED, CommandStatus.FAILED, CommandStatus.SUPERSEDED)


class ProvisioningStatus(StrEnum):
    """How far a new charger is. READY and FAILED are final (contract 4.0)."""

    PENDING = "PENDING"
    PROVISIONING = "PROVISIONING"
    READY = "READY"
    FAILED = "FAILED"


class ObservedState(StrEnum):
    """What the counts of a charger's ECS service mean. The database's observed_state() gives the same words."""

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
    """The charger's link to its CSMS, as its log tells."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"  #: the WebSocket is open
    ACCEPTED = "accepted"  #: the CSMS accepted its BootNotification
    REJECTED = "rejected"


#: How long a published command may stay unmoved before the sweep publishes it again: longer than an
#: ordinary hand-over, shorter than anybody's patience.
PUBLISH_GRACE = timedelta(seconds=3)
