"""Faults, and whether a connector is in operation."""

from simulator.station.energy import Energy
from simulator.station.model import Connector
from simulator.station.reservations import Reservations
from simulator.station.transactions import Transactions

#: The stoppedReason of OCPP 2.0.1 for a fault that has the name of an OCPP 1.6 error code.
FAULT_REASONS = {"GroundFailure": "GroundFault", "OverCurrentFailure": "OvercurrentFault"}


class Availability:
    def __init__(self, energy: Energy, transactions: Transactions, reservations: Reservations) -> None:
        self._energy = energy
        self._transactions = transactions
        self._reservations = reservations

    def set_fault(self, connector: Connector, fault: str | None) -> None:
        """A fault ends the transaction; None is the repair."""
        connector.fault = fault
        if fault and connector.transaction:
            self._transactions.end(connector, "AbnormalCondition", FAULT_REASONS.get(fault, "Other"))
        elif fault:
            self._transactions.drop_authorization(connector)
        self._reservations.end_unusable()
        self._energy.apply_change(connector)

    def set_operative(self, connector: Connector, operative: bool) -> bool:
        """False when it takes effect at the end of the transaction."""
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
