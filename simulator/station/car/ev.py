"""The car at a connector: its battery, the energy that it requests, and the power that it takes."""

from dataclasses import dataclass
from math import ceil

#: A smaller remainder counts as none; otherwise a rounding error would repeat the last wake-up.
NEGLIGIBLE_WH = 0.01

#: The power falls in this many steps of equal energy, so a charge has no more wake-ups than these.
TAPER_STEPS = 10

#: The part of the battery that is charged with falling power: from a state of charge of 80 % on, as in
#: Linear2StageBattery of ACN-Sim, which models constant current and then constant voltage.
TAPER_SHARE = 0.2


@dataclass(slots=True)
class Ev:
    wanted_wh: float  #: it requests no more energy after this much
    battery_wh: float
    max_power_w: float
    arrival_wh: float = 0.0  #: in the battery when it came
    requested_wh: float = 0.0  #: by the last request
    drawn_wh: float = 0.0
    requests_energy: bool = True
    tapers: bool = False
    phases: int = 3  #: that its on-board charger uses at most

    def request(self, energy_wh: float) -> None:
        """Requests this much from now on. A battery with less room counts as emptier, and at last as larger."""
        self.requested_wh = energy_wh
        self.wanted_wh = self.drawn_wh + energy_wh
        self.battery_wh = max(self.battery_wh, energy_wh)
        self.arrival_wh = min(self.arrival_wh, self.battery_wh - self.wanted_wh)
        self.requests_energy = energy_wh >= NEGLIGIBLE_WH

    @property
    def remaining_wh(self) -> float:
        return max(self.wanted_wh - self.drawn_wh, 0.0)

    def set_soc(self, percent: float) -> None:
        """The battery has this much from now on; it requests no more than fits."""
        remaining_wh = min(self.remaining_wh, self.battery_wh * (100 - percent) / 100)
        self.arrival_wh = self.battery_wh * percent / 100 - self.drawn_wh
        self.wanted_wh = self.drawn_wh + remaining_wh

    @property
    def soc_percent(self) -> float:
        return max(0.0, min(100.0, 100 - 100 * self._missing_wh / self.battery_wh))

    @property
    def power_w(self) -> float:
        """What it takes at most at its state of charge: less and less from 80 % on, if it tapers."""
        return self.max_power_w * self._steps_left / TAPER_STEPS

    @property
    def until_next_step_wh(self) -> float:
        """The energy after which `power_w` changes; infinity without a taper."""
        if not self.tapers:
            return float("inf")
        return self._missing_wh - (self._steps_left - 1) * self._step_wh

    @property
    def _missing_wh(self) -> float:
        return self.battery_wh - self.arrival_wh - self.drawn_wh

    @property
    def _step_wh(self) -> float:
        return self.battery_wh * TAPER_SHARE / TAPER_STEPS

    @property
    def _steps_left(self) -> int:
        if not self.tapers:
            return TAPER_STEPS
        return max(1, min(TAPER_STEPS, ceil((self._missing_wh - NEGLIGIBLE_WH) / self._step_wh)))
