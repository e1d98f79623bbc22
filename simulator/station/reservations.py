"""Reservations: which token a connector is kept for, and until when."""

from simulator.station.authorization import Authorizer
from simulator.station.model import Connector, Reservation, Token
from simulator.station.resources import Resources


class Reservations:
    def __init__(self, resources: Resources, authorizer: Authorizer) -> None:
        self._resources = resources
        self._authorizer = authorizer
        self.by_id: dict[int, Reservation] = {}

    def reserve(self, reservation: Reservation) -> str:
        """The status for the answer. A reservation with the same id is replaced."""
        if reservation.expires_at <= self._resources.clock.now():
            return "Rejected"
        connector = self._resources.connector(reservation.connector_number)
        candidates = [connector] if connector else self._resources.connectors
        others = [r for r in self.by_id.values() if r.id != reservation.id]
        taken = {r.connector_number for r in others}
        free = [c for c in candidates if c.is_free and not c.plugged and c.number not in taken]
        if connector is None and len(free) <= sum(r.connector_number == 0 for r in others):
            free = []
        if not free:
            return _why_not_free(candidates)
        self.by_id[reservation.id] = reservation
        self._expire_later(reservation)
        self._report_status(reservation)
        return "Accepted"

    def cancel(self, reservation_id: int) -> bool:
        """False when there is none with this id."""
        reservation = self.by_id.get(reservation_id)
        if reservation is None:
            return False
        self.remove(reservation)
        return True

    def remove(self, reservation: Reservation) -> None:
        del self.by_id[reservation.id]
        self._resources.timers.cancel(None, f"reservation {reservation.id}")
        self._report_status(reservation)

    def find(self, connector: Connector, token: Token | None = None) -> Reservation | None:
        """The connector's own; with a token, also the token's reservation of any connector."""
        for reservation in self.by_id.values():
            if reservation.connector_number == connector.number:
                return reservation
        for reservation in self.by_id.values():
            if token and reservation.connector_number == 0 and self._belongs(reservation, token):
                return reservation
        return None

    def allows(self, connector: Connector, token: Token) -> bool:
        """Whether the reservations leave this connector to this token."""
        own = self.find(connector)
        if own:
            return self._belongs(own, token)
        for_any = [r for r in self.by_id.values() if r.connector_number == 0]
        if any(self._belongs(reservation, token) for reservation in for_any):
            return True
        free = sum(c.is_free and self.find(c) is None for c in self._resources.connectors)
        return free > len(for_any)

    def restart_timers(self) -> None:
        """After the clock was set."""
        for reservation in list(self.by_id.values()):
            self._expire_later(reservation)

    def _expire_later(self, reservation: Reservation) -> None:
        def expire() -> None:
            if self.by_id.get(reservation.id) is reservation:
                self.remove(reservation)
                self._resources.reports.report_reservation_ended(reservation, "Expired")

        delay_s = reservation.expires_at - self._resources.clock.now()
        self._resources.timers.start(None, f"reservation {reservation.id}", max(delay_s, 0), expire)

    def _report_status(self, reservation: Reservation) -> None:
        connector = self._resources.connector(reservation.connector_number)
        if connector:
            self._resources.reports.report_status(connector)
        self._resources.reports.keep_state()

    def _belongs(self, reservation: Reservation, token: Token) -> bool:
        if token.is_same(reservation.token):
            return True
        known = self._authorizer.find(token)
        return reservation.group is not None and known is not None and known.group == reservation.group


def _why_not_free(connectors: list[Connector]) -> str:
    if all(connector.fault for connector in connectors):
        return "Faulted"
    if all(not connector.operative for connector in connectors):
        return "Unavailable"
    return "Occupied"
