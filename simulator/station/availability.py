"""Faults, and whether the station, its EVSEs and connectors are in operation."""

from simulator.station.car.energy import Energy
from simulator.station.model import UNTIL_REBOOT, Connector, Level
from simulator.station.reservations import Reservations
from simulator.station.resources import Resources
from simulator.station.transactions import Transactions

#: The stoppedReason of OCPP 2.0.1 for a fault that has the name of an OCPP 1.6 error code.
FAULT_REASONS = {"GroundFailure": "GroundFault", "OverCurrentFailure": "OvercurrentFault"}


class Availability:
    def __init__(
        self,
        resources: Resources,
        *,
        energy: Energy,
        transactions: Transactions,
        reservations: Reservations,
    ) -> None:
        self._connectors = resources.connectors
        self._timers = resources.timers
        self._reports = resources.reports
        self._reset_s = resources.settings.reboot_s
        self._resets: set[int] = set()  #: the EVSEs that are reset as soon as they are idle
        self._energy = energy
        self._transactions = transactions
        self._reservations = reservations

    def set_fault(self, connector: Connector, fault: str | None, info: str | None = None) -> None:
        """A fault ends the transaction; None is the repair."""
        before = connector.fault
        connector.fault, connector.fault_info = fault, info
        if fault and connector.transaction:
            self._transactions.end(connector, "AbnormalCondition", FAULT_REASONS.get(fault, "Other"))
        elif fault:
            self._transactions.drop_authorization(connector)
        self._reservations.end_unusable()
        self._energy.apply_change(connector)
        if fault or before:
            self._reports.report_fault(connector, fault or before or "", repaired=fault is None)

    @property
    def is_station_available(self) -> bool:
        """By the station's own state, whatever those of its connectors; until their transactions have ended."""
        own_is_operative = not any("station" in connector.inoperative for connector in self._connectors)
        return own_is_operative or any(connector.operative for connector in self._connectors)

    def set_operative(self, connectors: list[Connector], level: Level, operative: bool) -> bool:
        """Sets the own state of a level; a connector is in operation when all its levels are (2.0.1, G03 and G04).

        `connectors` are those that belong to it. False when it takes effect at the end of a transaction.
        """
        for connector in connectors:
            if operative:
                connector.inoperative.discard(level)
            else:
                connector.inoperative.add(level)
        done = [self._derive(connector) for connector in connectors]
        return all(done)

    def await_reset(self) -> None:
        """Idle connectors become Unavailable now, the others after their transactions (2.0.1, B12)."""
        self.set_operative(self._connectors, "reset", False)

    def await_firmware(self, *, wait: bool) -> None:
        """Likewise before new firmware is installed (2.0.1, L01.FR.07); without `wait`, they return to service."""
        self.set_operative(self._connectors, "firmware", not wait)

    def reset(self, connector: Connector) -> bool:
        """Resets one EVSE: it is Unavailable for `reboot_s` (2.0.1, B11 and B12). False when it waits for a transaction."""
        self._resets.add(connector.number)
        return self.set_operative([connector], "EVSE reset", False)

    def reset_idle(self) -> None:
        """Begins the resets that a transaction no longer holds up. A repeat changes nothing."""
        for connector in self._connectors:
            if connector.number in self._resets and connector.transaction is None:
                self._resets.remove(connector.number)
                self._finish_reset_later(connector)

    def _finish_reset_later(self, connector: Connector) -> None:
        def finish() -> None:
            self.set_operative([connector], "EVSE reset", True)

        self._timers.start(connector, "reset", self._reset_s, finish)

    def end_reset(self) -> None:
        """The charger starts anew; its statuses are reported after the boot."""
        self._resets.clear()
        for connector in self._connectors:
            connector.inoperative -= UNTIL_REBOOT
            connector.operative = not connector.inoperative

    def _derive(self, connector: Connector) -> bool:
        operative = not connector.inoperative
        if connector.transaction and connector.operative != operative:
            connector.operative_next = operative
            return False
        connector.operative_next = None
        connector.operative = operative
        if not operative:
            self._transactions.drop_authorization(connector)
        self._reservations.end_unusable()
        self._energy.apply_change(connector)
        return True
