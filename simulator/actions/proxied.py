"""The messages that a charge point may send, in each version."""

from simulator.actions.outcome import Rejected
from simulator.link import schemas
from simulator.versions import Version

#: In both versions.
COMMON = (
    "Authorize",
    "BootNotification",
    "DataTransfer",
    "FirmwareStatusNotification",
    "Heartbeat",
    "LogStatusNotification",
    "MeterValues",
    "SecurityEventNotification",
    "SignCertificate",
    "StatusNotification",
)
#: By the version's name on the wire.
NAMES_OF_VERSION = {
    "ocpp1.6": (
        *COMMON,
        "DiagnosticsStatusNotification",
        "SignedFirmwareStatusNotification",
        "StartTransaction",
        "StopTransaction",
    ),
    "ocpp2.0.1": (
        *COMMON,
        "ClearedChargingLimit",
        "Get15118EVCertificate",
        "GetCertificateStatus",
        "NotifyChargingLimit",
        "NotifyCustomerInformation",
        "NotifyDisplayMessages",
        "NotifyEVChargingNeeds",
        "NotifyEVChargingSchedule",
        "NotifyEvent",
        "NotifyMonitoringReport",
        "NotifyReport",
        "PublishFirmwareStatusNotification",
        "ReportChargingProfiles",
        "ReservationStatusUpdate",
        "TransactionEvent",
    ),
}


def find_action(version: Version, name: str) -> str:
    """The message of that name, in snake_case or CamelCase. Raises Rejected."""
    names = NAMES_OF_VERSION[version.subprotocol]
    found = {schemas.plain(each): each for each in names}.get(schemas.plain(name))
    if found is None:
        raise Rejected(f"action {name} is no message that a charge point of {version.name} sends")
    return found
