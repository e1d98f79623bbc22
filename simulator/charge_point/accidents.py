"""What comes upon a charger from outside, on purpose: its power fails, its clock is wrong."""

from collections.abc import Callable

from simulator.charge_point.maintenance.maintenance import Maintenance
from simulator.charge_point.memory import Memory
from simulator.charge_point.reboots import Reboots
from simulator.charge_point.registration import Registration
from simulator.clock import Clock
from simulator.station.station import Station


class Accidents:
    """A Victim."""

    def __init__(
        self,
        *,
        clock: Clock,
        station: Station,
        reboots: Reboots,
        registration: Registration,
        maintenance: Maintenance,
        memory: Memory,
        power_on: Callable[[], None],
        connect_now: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._station = station
        self._reboots = reboots
        self._registration = registration
        self._maintenance = maintenance
        self._memory = memory
        self._power_on = power_on
        self.connect_now = connect_now

    def lose_power(self) -> None:
        """What ran ends as after a kill, and is reported after the next boot; cars stay plugged in."""
        self._station.close()
        self._station.power_off()
        self._registration.start_over()  # nothing is sent before the next boot
        self._station.transactions.end_interrupted("PowerLoss", self._clock.now())
        self._reboots.cancel()
        self._memory.save()

    def regain_power(self) -> None:
        self._reboots.reason = "PowerUp"
        self._power_on()

    def follow_skew(self) -> None:
        self._station.follow_clock()
        self._maintenance.follow_clock()
