"""Actions of drivers and cars, which a CSMS's test performs by DataTransfer (docs/ocpp.md)."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from simulator.station.model import Connector, Token
from simulator.station.station import Station

VENDOR_ID = "chargehand"


class Outcome(NamedTuple):
    status: str  #: of DataTransfer's answer
    data: str | None = None


class Actions:
    def __init__(self, station: Station, token_length: int) -> None:
        """A longer token is cut before anybody knows it: the CSMS shall say the same about all that has its name."""
        self._station = station
        self._token_length = token_length

    def perform(self, name: str, data: object) -> Outcome:
        """Performs an action with `data`, an object or its JSON text, at its `connector` (default 1)."""
        action = ACTION_OF_NAME.get(name.lower())
        if action is None:
            return Outcome("UnknownMessageId", f"one of {', '.join(ACTIONS)}")
        fields = _read(data)
        if fields is None:
            return Outcome("Rejected", "data is a JSON object")
        if isinstance(fields.get("idToken"), str):
            fields = fields | {"idToken": fields["idToken"][: self._token_length]}
        connector = self._station.connector(fields.get("connector", 1))
        if connector is None:
            return Outcome("Rejected", "no such connector")
        try:
            done = action(self._station, connector, fields)
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            return Outcome("Rejected", f"data is wrong: {error!r}"[:200])
        if isinstance(done, str):
            return Outcome("Accepted", done)
        return Outcome(
            "Accepted" if done else "Rejected", None if done else f"not now: {_describe(connector)}"
        )


Fields = dict[str, Any]


def _read(data: object) -> Fields | None:
    """None for what is not an object, or names no connector number."""
    if isinstance(data, str):
        try:
            data = json.loads(data or "{}")
        except (ValueError, RecursionError):
            return None
    fields = {} if data is None else data
    if not isinstance(fields, dict) or type(fields.get("connector", 1)) is not int:
        return None
    return fields


def _plug_in(station: Station, connector: Connector, fields: Fields) -> bool:
    car = {
        setting: _amount(fields[name], minimum, maximum)
        for name, (setting, minimum, maximum) in CAR.items()
        if name in fields
    }
    return station.cable.plug(connector, **car)


#: IdTokenEnumType of OCPP 2.0.1; 1.6 does not have types.
TOKEN_TYPES = frozenset(
    {"Central", "eMAID", "ISO14443", "ISO15693", "KeyCode", "Local", "MacAddress", "NoAuthorization"}
)


def _present_token(station: Station, connector: Connector, fields: Fields) -> bool:
    value, kind = fields["idToken"], fields.get("type", "ISO14443")
    if not isinstance(value, str) or not value or kind not in TOKEN_TYPES:
        raise ValueError("idToken is a text, and type one of " + ", ".join(sorted(TOKEN_TYPES)))
    return station.sessions.present_token(connector, Token(value, kind))


def _set_power(station: Station, connector: Connector, fields: Fields) -> bool:
    power_w = fields["powerW"]
    station.cable.set_power(connector, None if power_w is None else _amount(power_w))
    return True


#: In watts or watt-hours: a gigawatt is more than any car has, and a number that a meter can add to.
MAX_AMOUNT = 1e9

#: What the data of PlugIn may say of the car: the setting that it stands for, its minimum and its maximum.
CAR = {
    "energyWh": ("ev_energy_wh", 0, MAX_AMOUNT),
    "batteryWh": ("ev_battery_wh", 1, MAX_AMOUNT),
    "socPercent": ("ev_soc_percent", 0, 100),
    "maxPowerW": ("ev_max_power_w", 1, MAX_AMOUNT),
    "phases": ("ev_phases", 1, 3),
}


def _amount(value: Any, minimum: float = 0, maximum: float = MAX_AMOUNT) -> float:
    """Raises an error for what is no number in these limits: a meter would never lose it again."""
    number = float(value)
    if not minimum <= number <= maximum or isinstance(value, bool):
        raise ValueError(f"not a number from {minimum:g} to {maximum:g}: {str(value)[:20]}")
    return number


def _set_fault(station: Station, connector: Connector, fields: Fields) -> bool:
    station.availability.set_fault(connector, str(fields.get("fault") or "OtherError")[:50])
    return True


def _clear_fault(station: Station, connector: Connector, _: Fields) -> bool:
    had_fault = connector.fault is not None
    station.availability.set_fault(connector, None)
    return had_fault


def _state(station: Station, connector: Connector, _: Fields) -> str:
    station.energy.update_meters()
    return _describe(connector)


def _describe(connector: Connector) -> str:
    transaction = connector.transaction
    return json.dumps(
        {
            "connector": connector.number,
            "plugged": connector.plugged,
            "authorized": connector.token.value if connector.token else None,
            "transaction": transaction.id if transaction else None,
            "energyWh": round(connector.energy_wh, 1),
            "powerW": round(connector.power_w, 1),
            "socPercent": round(connector.ev.soc_percent, 1) if connector.ev else None,
            "fault": connector.fault,
        }
    )


#: By messageId. An action returns True (done), False (not possible now), or the data of the answer.
ACTIONS: dict[str, Callable[[Station, Connector, Fields], bool | str]] = {
    "PlugIn": _plug_in,
    "Unplug": lambda station, connector, _: station.cable.unplug(connector),
    "PresentToken": _present_token,
    "RequestEnergy": lambda station, connector, _: station.cable.request_energy(connector, True),
    "StopEnergy": lambda station, connector, _: station.cable.request_energy(connector, False),
    "SetPower": _set_power,
    "Fault": _set_fault,
    "ClearFault": _clear_fault,
    "State": _state,
}

#: By messageId in lower case (CiString50 in OCPP 1.6).
ACTION_OF_NAME = {name.lower(): action for name, action in ACTIONS.items()}
