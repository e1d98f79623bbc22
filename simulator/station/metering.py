"""Readings of the connectors' meters, and the intervals at which they are reported."""

import time
import zlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from simulator.settings import Settings
from simulator.station.energy import Energy
from simulator.station.model import Connector, Electrics
from simulator.station.resources import Resources

#: A used meter shows at least this much, and less than ten million watt-hours: what a public charging point
#: delivers in its first years. The value stays exact as a float and short as a text.
USED_WH = 100_000


class Reading(NamedTuple):
    measurand: str
    value: float
    unit: str


class Sampling:
    """Reports readings at the intervals of the options `sample_s` and `aligned_s`; 0 turns one off."""

    def __init__(self, resources: Resources, energy: Energy) -> None:
        self._resources = resources
        self._energy = energy

    def restart(self, connector: Connector) -> None:
        """Samples the running transaction from now on, after its start or a change of the interval."""
        interval_s = self._resources.options.number("sample_s")
        self._resources.timers.cancel(connector, "sample")
        if connector.transaction and interval_s:
            self._sample_later(connector, time.monotonic() + interval_s, interval_s)

    def _sample_later(self, connector: Connector, due_s: float, interval_s: int) -> None:
        def sample() -> None:
            if connector.transaction:
                self._energy.update_meters()
                self._resources.report_update(connector, connector.transaction, "MeterValuePeriodic")
                self._resources.reports.keep_state()
                self._sample_later(connector, due_s + interval_s, interval_s)

        self._resources.timers.start(connector, "sample", max(due_s - time.monotonic(), 0), sample)

    def restart_clock_aligned(self) -> None:
        """After a start, or a change of the interval or of the clock."""
        interval_s = self._resources.options.number("aligned_s")
        self._resources.timers.cancel(None, "aligned")
        if interval_s:
            delay_s = interval_s - self._resources.clock.now() % interval_s
            self._resources.timers.start(None, "aligned", delay_s, self._read_clock_aligned)

    def _read_clock_aligned(self) -> None:
        self._energy.update_meters()
        for connector in self._resources.connectors:
            if connector.transaction:
                self._resources.report_update(connector, connector.transaction, "MeterValueClock")
            else:
                self._resources.reports.report_meter(connector)
        self.restart_clock_aligned()


def meter_start_wh(settings: Settings, number: int) -> float:
    """The register of a new charger's connector.

    Without the setting it differs from charger to charger and from connector to connector, and is the same after
    each start without a state file: a register at 0 hides that a CSMS takes it for the energy of a session.
    """
    if settings.meter_start_wh is not None:
        return float(settings.meter_start_wh)
    spread = zlib.crc32(f"{settings.identity}/{number}".encode())
    return float(USED_WH + spread % (10_000_000 - USED_WH))


def read_meter(connector: Connector, electrics: Electrics, measurands: Iterable[str]) -> list[Reading]:
    """One reading per measurand that the connector has now: SoC takes a DC charger and a car."""
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
