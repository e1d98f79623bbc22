"""Faults: they come, and they are repaired."""

from typing import Any

from simulator.actions.charger import Charger
from simulator.actions.fields import Field
from simulator.actions.outcome import Rejected
from simulator.actions.place import PLACE, describe_place, find_connector
from simulator.actions.row import Event, Result, action
from simulator.station.model import Connector

#: OCPP 1.6's error code by the name of a fault. 1.6's own codes are names, too.
FAULTS = {
    "GroundFault": "GroundFailure",
    "OverCurrent": "OverCurrentFailure",
    "OverVoltage": "OverVoltage",
    "UnderVoltage": "UnderVoltage",
    "OverTemperature": "HighTemperature",
    "InternalError": "InternalError",
    "ConnectorLockFailure": "ConnectorLockFailure",
    "EVCommunicationError": "EVCommunicationError",
    "PowerMeterFailure": "PowerMeterFailure",
    "WeakSignal": "WeakSignal",
    "PowerSwitchFailure": "PowerSwitchFailure",
    "ReaderFailure": "ReaderFailure",
    "OtherError": "OtherError",
}


def _plain(name: str) -> str:
    """Letter case and separators do not matter: `over_current` is OverCurrent."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


CODE_OF_NAME = {_plain(name): code for name, code in FAULTS.items()}
CODE_OF_NAME |= {_plain(code): code for code in FAULTS.values()}


def code_of(name: str) -> str | None:
    """OCPP 1.6's error code; None for a name that no fault has."""
    return CODE_OF_NAME.get(_plain(name))


FAULT_RESULT = (
    Field(name="msg", type="string", required=True),
    Field(name="fault_type", type="string", nullable=True),
    Field(name="evse_id", type="integer", nullable=True),
    Field(name="connector_id", type="integer", nullable=True),
    Field(name="status", type="string", nullable=True, description="Of the connector, from now on."),
)


@action(
    Field(
        name="fault_type",
        type="string",
        required=True,
        min_length=1,
        max_length=50,
        description=f"One of {', '.join(FAULTS)}, or an error code of OCPP 1.6; letter case does not matter.",
    ),
    *PLACE,
    Field(
        name="info",
        type="string",
        nullable=True,
        max_length=50,
        description="The `info` of OCPP 1.6's StatusNotification; the error code unless it is given.",
    ),
    example={"fault_type": "OverCurrent", "connector_id": 1},
    answer="result",
    result_fields=FAULT_RESULT,
    result_example={
        "msg": "OverCurrentFailure at connector 1",
        "fault_type": "OverCurrent",
        "evse_id": None,
        "connector_id": 1,
        "status": "Faulted",
    },
)
def inject_fault(charger: Charger, event: Event) -> Result:
    """A connector gets a fault: Faulted. A transaction ends."""
    code = code_of(event["fault_type"])
    if code is None:
        raise Rejected(f"fault_type is not one of {', '.join(FAULTS)}")
    connector = find_connector(charger, event)
    charger.station.availability.set_fault(connector, code, event.get("info"))
    return _describe(charger, connector, f"{code} at connector {connector.number}", event["fault_type"])


@action(
    *PLACE,
    example={"connector_id": 1},
    answer="result",
    result_fields=FAULT_RESULT,
    result_example={
        "msg": "OverCurrentFailure at connector 1 is repaired",
        "fault_type": "OverCurrentFailure",
        "evse_id": None,
        "connector_id": 1,
        "status": "Available",
    },
)
def clear_fault(charger: Charger, event: Event) -> Result:
    """The fault of a connector is repaired. Without a place: the first connector that has one."""
    connector = find_connector(charger, event, lambda each: each.fault)
    fault = connector.fault
    if fault is None:
        raise Rejected(f"connector {connector.number} has no fault")
    charger.station.availability.set_fault(connector, None)
    return _describe(charger, connector, f"{fault} at connector {connector.number} is repaired", fault)


def _describe(charger: Charger, connector: Connector, msg: str, fault_type: str | None) -> dict[str, Any]:
    return {
        "msg": msg,
        "fault_type": fault_type,
        **describe_place(charger, connector),
        "status": charger.status_of(connector.number),
    }


@action(
    *PLACE,
    example={"connector_id": 1},
    method="GET",
    answer="result",
    path="fault-status",
    result_fields=(
        *FAULT_RESULT,
        Field(name="faulted", type="boolean", required=True),
        Field(name="info", type="string", nullable=True),
    ),
    result_example={
        "msg": "connector 1 has no fault",
        "fault_type": None,
        "evse_id": None,
        "connector_id": 1,
        "status": "Available",
        "faulted": False,
        "info": None,
    },
)
def get_fault_status(charger: Charger, event: Event) -> Result:
    """Whether a connector has a fault, and which."""
    connector = find_connector(charger, event, lambda each: each.fault)
    msg = f"connector {connector.number} has {'no fault' if connector.fault is None else connector.fault}"
    described = _describe(charger, connector, msg, connector.fault)
    return described | {"faulted": connector.fault is not None, "info": connector.fault_info}
