"""The person and the car, for scripts: a CSMS's test moves them by DataTransfer (docs/ocpp.md)."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from simulator.station.model import Connector, Token
from simulator.station.station import Station

VENDOR_ID = "chargehand"


class Outcome(NamedTuple):
    status: str  #: in the words of DataTransfer's answer
    data: str | None = None


class Driver:
    def __init__(self, station: Station) -> None:
        self._station = station

    def perform(self, name: str, data: object) -> Outcome:
        """Does what `data` (an object, or its JSON text) says about one connector, the first by default."""
        act = ACTS.get(name)
        if act is None:
            return Outcome("UnknownMessageId", f"one of {', '.join(ACTS)}")
        wish = _read(data)
        if wish is None:
            return Outcome("Rejected", "data is a JSON object")
        connector = self._station.connector(wish.get("connector", 1))
        if connector is None:
            return Outcome("Rejected", "no such connector")
        try:
            done = act(self._station, connector, wish)
        except (LookupError, TypeError, ValueError) as error:
            return Outcome("Rejected", f"data is wrong: {error!r}"[:200])
        if isinstance(done, str):
            return Outcome("Accepted", done)
        return Outcome(
            "Accepted" if done else "Rejected", None if done else f"not now: {_describe(connector)}"
        )


Wish = dict[str, Any]


def _read(data: object) -> Wish | None:
    if isinstance(data, str):
        try:
            data = json.loads(data or "{}")
        except ValueError:
            return None
    wish = {} if data is None else data
    if not isinstance(wish, dict) or not isinstance(wish.get("connector", 1), int):
        return None
    return wish


def _plug_in(station: Station, connector: Connector, wish: Wish) -> bool:
    if not station.plug(connector):
        return False
    if "energyWh" in wish and connector.ev:
        connector.ev.wanted_wh = float(wish["energyWh"])
        station.settle()
    return True


def _present_token(station: Station, connector: Connector, wish: Wish) -> bool:
    return station.present_token(connector, Token(str(wish["idToken"])[:36], wish.get("type", "ISO14443")))


def _set_power(station: Station, connector: Connector, wish: Wish) -> bool:
    power_w = wish["powerW"]
    station.set_power(connector, None if power_w is None else max(float(power_w), 0.0))
    return True


def _set_fault(station: Station, connector: Connector, wish: Wish) -> bool:
    station.set_fault(connector, str(wish.get("fault") or "OtherError")[:50])
    return True


def _clear_fault(station: Station, connector: Connector, _: Wish) -> bool:
    had = connector.fault is not None
    station.set_fault(connector, None)
    return had


def _state(station: Station, connector: Connector, _: Wish) -> str:
    station.read_meters()
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
            "fault": connector.fault,
        }
    )


#: By the messageId of the DataTransfer. True and False: done, or not possible now; text is the answer's data.
ACTS: dict[str, Callable[[Station, Connector, Wish], bool | str]] = {
    "PlugIn": _plug_in,
    "Unplug": lambda station, connector, _: station.unplug(connector),
    "PresentToken": _present_token,
    "RequestEnergy": lambda station, connector, _: station.request_energy(connector, True),
    "StopEnergy": lambda station, connector, _: station.request_energy(connector, False),
    "SetPower": _set_power,
    "Fault": _set_fault,
    "ClearFault": _clear_fault,
    "State": _state,
}
