"""What all areas of the station use: its settings, connectors and timers, and where they report to."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from simulator.clock import Clock
from simulator.configuration import Options
from simulator.settings import Settings
from simulator.station.model import Connector, Electrics, Ending, Reservation, Transaction
from simulator.station.smart_charging.profiles import Profiles
from simulator.station.timers import Timers


class Reports(Protocol):
    """Reports to the CSMS. Triggers and reasons have OCPP 2.0.1's names, because it has more of them than 1.6."""

    def report_started(self, connector: Connector, transaction: Transaction, trigger: str) -> None: ...

    def report_updated(self, connector: Connector, transaction: Transaction, trigger: str) -> None: ...

    def report_ended(self, connector: Connector, transaction: Transaction, ending: Ending) -> None: ...

    def report_status(self, connector: Connector) -> None:
        """May be called when the status is still the same."""

    def report_statuses(self) -> None:
        """Those of all connectors that are not the same any more."""

    def report_fault(self, connector: Connector, fault: str, *, repaired: bool) -> None:
        """The status is reported, too."""

    def report_meter(self, connector: Connector) -> None:
        """A clock-aligned reading outside of a transaction."""

    def report_reservation_ended(self, reservation: Reservation, status: str) -> None: ...

    def keep_state(self) -> None:
        """Something changed that must survive a restart."""


@dataclass(frozen=True, slots=True)
class Resources:
    """One per station; every area gets the same."""

    settings: Settings
    options: Options
    clock: Clock
    electrics: Electrics
    connectors: list[Connector]
    profiles: Profiles
    timers: Timers
    reports: Reports

    def connector(self, number: int) -> Connector | None:
        """None for a number that the station does not have, and for 0, which is the whole charger."""
        return self.connectors[number - 1] if 0 < number <= len(self.connectors) else None

    def running(self) -> Iterator[tuple[Connector, Transaction]]:
        """The connectors with a running transaction. Copy them to a list before you end one."""
        for connector in self.connectors:
            if connector.transaction:
                yield connector, connector.transaction

    def report_update(self, connector: Connector, transaction: Transaction, trigger: str) -> None:
        """Reports an event of a running transaction, and remembers the charging state that it carries."""
        transaction.reported_state = connector.charging_state
        transaction.reported_power_w = connector.power_w
        self.reports.report_updated(connector, transaction, trigger)
