"""What a connector's meter says."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from simulator.station.model import Connector, Electrics


class Reading(NamedTuple):
    measurand: str
    value: float
    unit: str


def read_meter(connector: Connector, electrics: Electrics, measurands: Iterable[str]) -> list[Reading]:
    """SoC is only known to a DC charger with a car."""
    readings = []
    for measurand in measurands:
        value = VALUES[measurand](connector, electrics)
        if value is not None:
            readings.append(Reading(measurand, round(value, 1), UNITS[measurand]))
    return readings


def _soc(connector: Connector, electrics: Electrics) -> float | None:
    return connector.ev.soc_percent if connector.ev and electrics.is_dc else None


def _offered_w(connector: Connector) -> float:
    return connector.limit_w if connector.transaction else 0.0


VALUES: dict[str, Callable[[Connector, Electrics], float | None]] = {
    "Energy.Active.Import.Register": lambda connector, _: round(connector.energy_wh),
    "Power.Active.Import": lambda connector, _: connector.power_w,
    "Current.Import": lambda connector, electrics: electrics.amperes(connector.power_w),
    "Power.Offered": lambda connector, _: _offered_w(connector),
    "Current.Offered": lambda connector, electrics: electrics.amperes(_offered_w(connector)),
    "Voltage": lambda _, electrics: electrics.voltage_v,
    "SoC": _soc,
}

UNITS = {
    "Energy.Active.Import.Register": "Wh",
    "Power.Active.Import": "W",
    "Current.Import": "A",
    "Power.Offered": "W",
    "Current.Offered": "A",
    "Voltage": "V",
    "SoC": "Percent",
}
