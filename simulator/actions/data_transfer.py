"""DataTransfer as a door to the actions: a CSMS's test performs them (docs/ocpp.md)."""

import json
from asyncio import Future
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from simulator.actions.actions import Actions
from simulator.actions.charger import Charger
from simulator.actions.rows.fault import code_of
from simulator.actions.table import TABLE

VENDOR_ID = "chargehand"


class Answer(NamedTuple):
    status: str  #: of DataTransfer's answer
    data: str | None = None


class Alias(NamedTuple):
    """An action under the name that it had first."""

    action: str
    names: Mapping[str, str] = MappingProxyType({})  #: the event's field by that of the data


#: By messageId. `connector` is the connector of all of them.
ALIASES = {
    "PlugIn": Alias(
        "plug_connector",
        {
            "energyWh": "energy_wh",
            "batteryWh": "battery_wh",
            "socPercent": "soc_percent",
            "maxPowerW": "max_power_w",
            "phases": "phases",
        },
    ),
    "Unplug": Alias("unplug_connector"),
    "PresentToken": Alias("present_token", {"idToken": "id_tag", "type": "token_type"}),
    "RequestEnergy": Alias("ev_requests_energy"),
    "StopEnergy": Alias("ev_stops_energy"),
    "SetPower": Alias("power_update", {"powerW": "power_w"}),
    "Fault": Alias("inject_fault", {"fault": "fault_type"}),
    "ClearFault": Alias("clear_fault"),
    "State": Alias("get_ev_state"),
}

#: By messageId in lower case (CiString50 in OCPP 1.6).
ALIAS_OF_NAME = {name.lower(): alias for name, alias in ALIASES.items()}


class DataTransfer:
    def __init__(self, charger: Charger, actions: Actions) -> None:
        self._charger = charger
        self._actions = actions

    def perform(self, name: str, data: object) -> Answer:
        """Performs an action with `data`, an object or its JSON text.

        Accepted also while the CSMS's answer to what the action sends is awaited. Never raises.
        """
        fields = _read(data)
        alias = ALIAS_OF_NAME.get(name.lower())
        if alias is None and name.lower() not in TABLE:
            return Answer("UnknownMessageId", f"one of {', '.join([*ALIASES, *TABLE])}")
        if fields is None:
            return Answer("Rejected", "data is a JSON object")
        if alias is None:
            outcome = self._actions.begin(name.lower(), fields)
        else:
            outcome = self._actions.begin(alias.action, self._translate(alias, fields))
        if isinstance(outcome, Future):
            return Answer("Accepted")
        if outcome.status != "applied":
            return Answer("Rejected", outcome.reason)
        if alias is not None:
            return Answer("Accepted", self._describe(fields) if alias.action == "get_ev_state" else None)
        return Answer("Accepted", json.dumps(outcome.result) if outcome.result else None)

    def _translate(self, alias: Alias, fields: dict[str, Any]) -> dict[str, Any]:
        """The event of an alias: it ignores other fields. A token that is too long is cut, as this name always did."""
        event = {new: fields[old] for old, new in alias.names.items() if old in fields}
        event["connector_id"] = fields.get("connector", 1)
        if isinstance(event.get("id_tag"), str):
            event["id_tag"] = event["id_tag"][: self._charger.token_length]
        if alias.action == "inject_fault":
            event |= _read_fault(fields.get("fault") or "OtherError")
        return event

    def _describe(self, fields: dict[str, Any]) -> str:
        connector = self._charger.station.connectors[(fields.get("connector") or 1) - 1]
        return json.dumps(
            {
                "connector": connector.number,
                "plugged": connector.plugged,
                "authorized": connector.token.value if connector.token else None,
                "transaction": connector.transaction.id if connector.transaction else None,
                "energyWh": round(connector.energy_wh, 1),
                "powerW": round(connector.power_w, 1),
                "socPercent": round(connector.ev.soc_percent, 1) if connector.ev else None,
                "fault": connector.fault,
            }
        )


def _read_fault(fault: object) -> dict[str, object]:
    """Any text is a fault: one that no fault is called is the info of OtherError."""
    if not isinstance(fault, str) or code_of(fault):
        return {"fault_type": fault}
    return {"fault_type": "OtherError", "info": fault[:50]}


def _read(data: object) -> dict[str, Any] | None:
    """None for what is not an object."""
    if isinstance(data, str):
        try:
            data = json.loads(data or "{}")
        except (ValueError, RecursionError):
            return None
    fields = {} if data is None else data
    return fields if isinstance(fields, dict) else None
