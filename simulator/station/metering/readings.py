"""What the meter of a connector shows: the readings of a list of measurands, in all or by phase."""

from collections.abc import Callable, Sequence
from math import sqrt
from typing import NamedTuple

from simulator.configuration import Options, split_phase
from simulator.station.model import Connector, Electrics, Reading

#: Hertz. OCPP 1.6 has no unit for it (part 1, 7.31).
GRID_FREQUENCY = 50.0


class Meter:
    """Reads the lists of measurands that the options `sampled`, `aligned`, `started`, `ended`, `aligned_ended` have."""

    def __init__(self, options: Options, electrics: Electrics) -> None:
        self._options = options
        self._electrics = electrics

    def read(self, connector: Connector, name: str, context: str) -> list[Reading]:
        """What the list of that name has and the connector can measure now: SoC takes a DC charger and a car."""
        readings: list[Reading] = []
        for member in self._options.members(name):
            measurand, phase = split_phase(member)
            if measurand == "Energy.Active.Import.Interval":
                value = _interval_wh(connector, name, context)
                readings += [] if value is None else [Reading(measurand, round(value), "Wh")]
            else:
                readings += self._measure(connector, measurand, phase)
        return readings

    def _measure(self, connector: Connector, measurand: str, phase: str | None) -> list[Reading]:
        kind, electrics = KINDS[measurand], self._electrics
        phases = [phase] if phase or electrics.phases == 1 else kind.phases
        values = ((each, self._value(connector, kind, each)) for each in phases)
        return [
            Reading(measurand, round(value, kind.digits), kind.unit, each)
            for each, value in values
            if value is not None
        ]

    def _value(self, connector: Connector, kind: "Kind", phase: str | None) -> float | None:
        """None for a phase that the charger does not have."""
        if phase is None:
            return kind.whole(connector, self._electrics)
        line = int(phase[1])
        if self._electrics.is_dc or line > self._electrics.phases or kind.line is None:
            return None
        value = kind.line(connector, self._electrics)
        return 0.0 if kind.needs_current and line > connector.phases else value


def _interval_wh(connector: Connector, name: str, context: str) -> float | None:
    """The energy since the last reading of this list; None in a reading that ends no interval."""
    start_wh = connector.interval_start_wh.get(name)
    return None if start_wh is None or not context.startswith("Sample.") else connector.energy_wh - start_wh


Measure = Callable[[Connector, Electrics], float | None]


class Kind(NamedTuple):
    unit: str | None
    whole: Measure  #: of all phases
    line: Measure | None = None  #: of a phase that the car uses
    needs_current: bool = True  #: so that it is 0 on a phase that the car does not use
    phases: Sequence[str | None] = (None,)  #: what a charger with three phases reports unless one is named
    digits: int | None = 1  #: behind the point; None: a whole number


def _reactive(power_w: float, electrics: Electrics) -> float | None:
    """In var; an AC charger's."""
    return None if electrics.is_dc else power_w * sqrt(1 / electrics.power_factor**2 - 1)


def _line_w(connector: Connector) -> float:
    return connector.power_w / connector.phases


def _amperes(connector: Connector, electrics: Electrics) -> float:
    return electrics.amperes(connector.power_w, connector.phases)


def _offered_w(connector: Connector) -> float:
    return connector.limit_w if connector.transaction else 0.0


KINDS = {
    "Current.Import": Kind("A", _amperes, _amperes, phases=("L1", "L2", "L3")),
    "Current.Offered": Kind("A", lambda c, e: e.amperes(_offered_w(c), c.limit_phases)),
    "Energy.Active.Import.Register": Kind("Wh", lambda c, _: c.energy_wh, digits=None),
    "Frequency": Kind(None, lambda _, e: None if e.is_dc else GRID_FREQUENCY),
    "Power.Active.Import": Kind("W", lambda c, _: c.power_w, lambda c, _: _line_w(c)),
    "Power.Factor": Kind(None, lambda _, e: None if e.is_dc else e.power_factor, digits=3),
    "Power.Offered": Kind("W", lambda c, _: _offered_w(c)),
    "Power.Reactive.Import": Kind(
        "var", lambda c, e: _reactive(c.power_w, e), lambda c, e: _reactive(_line_w(c), e)
    ),
    "SoC": Kind("Percent", lambda c, e: c.ev.soc_percent if c.ev and e.is_dc else None),
    "Voltage": Kind(
        "V",
        lambda _, e: e.voltage_v,
        lambda _, e: e.voltage_v,
        needs_current=False,
        phases=("L1-N", "L2-N", "L3-N"),
    ),
}
