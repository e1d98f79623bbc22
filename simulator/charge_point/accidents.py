"""What comes upon a charger from outside, on purpose: its power fails, its clock is wrong."""

from typing import Protocol

from simulator.charge_point.maintenance.maintenance import Maintenance
from simulator.charge_point.memory import Memory
from simulator.charge_point.reboots import Reboots
from simulator.charge_point.registration import Registration
from simulator.charge_point.upkeep import Upkeep
from simulator.clock import Clock
from simulator.station.station import Station


class Injured(Protocol):
    """The charge point, as its accidents use it."""

    clock: Clock
    station: Station
    reboots: Reboots
    registration: Registration
    maintenance: Maintenance
    memory: Memory
    upkeep: Upkeep

    def power_on(self) -> None: ...


class Accidents:
    """A Victim."""

    def __init__(self, injured: Injured) -> None:
        self._injured = injured

    def connect_now(self) -> None:
        self._injured.upkeep.connect_now()

    def lose_power(self) -> None:
        """What ran ends as after a kill, and is reported after the next boot; cars stay plugged in."""
        station = self._injured.station
        station.close()
        station.power_off()
        self._injured.registration.start_over()  # nothing is sent before the next boot
        station.transactions.end_interrupted("PowerLoss", self._injured.clock.now())
        self._injured.reboots.cancel()
        self._injured.memory.save()

    def regain_power(self) -> None:
        self._injured.reboots.reason = "PowerUp"
        self._injured.power_on()

    def follow_skew(self) -> None:
        self._injured.station.follow_clock()
        self._injured.maintenance.follow_clock()
