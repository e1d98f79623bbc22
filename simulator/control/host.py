"""What the control link needs of a process that runs many chargers, and says to it."""

from typing import Protocol

from simulator.control.frames import Frame
from simulator.control.hosted import Spec


class Host(Protocol):
    @property
    def capacity(self) -> int:
        """How many chargers it has room for."""

    def take_desired(self, entry: Frame) -> None:
        """What a charger shall be. Raises LookupError, TypeError or ValueError for an entry that is wrong."""

    def take_specification(self, charger_id: str, spec: Spec) -> None:
        """Another specification of a charger, whether it runs or not. A repeat, or an older one, changes nothing."""

    def begin_session(self) -> None:
        """The link has welcomed the process: it will say what every charger shall be."""

    def give_way(self) -> None:
        """Another boot of this host is connected: it runs the chargers."""

    def take_observed(self) -> list[Frame]:
        """What has become of chargers since the last call."""

    def take_report(self) -> Frame | None:
        """How the process does, when that is due."""
