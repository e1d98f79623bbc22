"""Reservations: which token a connector is kept for, and until when."""

from simulator.station.authorization import Authorizer, is_same_group
from simulator.station.model import Connector, Reservation, Token
from simulator.station.resources import Resources


class Reservations:
    def __init__(self, resources: Resources, authorizer: Authorizer) -> None:
        self._resources = resources
        self._authorizer = authorizer
        self.by_id: dict[int, Reservation] = {}

    def reserve(self, reservation: Reservation) -> str:
        """The status for the answer. A reservation with the same id is replaced (2.0.1, H01.FR.02).

        Each reservation of any connector keeps one free connector that no other reservation has.
        """
        is_enabled = self._resources.options.flag("reservations_enabled")  # H01.FR.01
        if not is_enabled or reservation.expires_at <= self._resources.clock.now():
            return "Rejected"
        connector = self._resources.connector(reservation.connector_number)
        candidates = [connector] if connector else self._resources.connectors
        others = [r for r in self.by_id.values() if r.id != reservation.id]
        taken = {r.connector_number for r in others}
        free = {
            c.number
            for c in self._resources.connectors
            if c.is_free and not c.has_cable and c.number not in taken
        }
        promised = sum(r.connector_number == 0 for r in others)
        if len(free) <= promised or free.isdisjoint(c.number for c in candidates):
            return _why_not_free(candidates)
        replaced = self.by_id.pop(reservation.id, None)
        self.by_id[reservation.id] = reservation
        self._expire_later(reservation)
        if replaced and replaced.connector_number != reservation.connector_number:
            self._report_status(replaced)
        self._report_status(reservation)
        return "Accepted"

    def cancel(self, reservation_id: int) -> bool:
        """False when there is none with this id."""
        reservation = self.by_id.get(reservation_id)
        if reservation is None:
            return False
        self._remove(reservation)
        return True

    def use(self, connector: Connector) -> int | None:
        """Ends the reservation that the connector's token uses; its id, or None without one.

        It is used up when the token is accepted, before a car comes (2.0.1, H03; EVerest does the same).
        """
        reservation = self.find(connector, connector.token, connector.group)
        if reservation is None:
            return None
        self._remove(reservation)
        return reservation.id

    def end_unusable(self) -> None:
        """Ends the reservations that have no connector any more, because it is Faulted or Unavailable.

        Of those of any connector, the ones that were made last end. OCPP 1.6 part 1, 5.13; 2.0.1, ReservationStatusUpdate.
        """
        usable = {c.number for c in self._resources.connectors if not c.is_out_of_service}
        own = [r for r in self.by_id.values() if r.connector_number != 0]
        lost = [r for r in own if r.connector_number not in usable]
        for_any = self._for_any()
        room = len(usable) - (len(own) - len(lost))
        for reservation in lost + for_any[max(room, 0) :]:
            self._remove(reservation)
            self._resources.reports.report_reservation_ended(reservation, "Removed")

    def find(
        self, connector: Connector, token: Token | None = None, group: str | None = None
    ) -> Reservation | None:
        """The connector's own; with a token (and its group), also the token's reservation of any connector."""
        for reservation in self.by_id.values():
            if reservation.connector_number == connector.number:
                return reservation
        for reservation in self._for_any():
            if token and self._belongs(reservation, token, group):
                return reservation
        return None

    def keeps(self, connector: Connector) -> bool:
        """Whether the connector is free for the tokens of reservations only, by its own or by those of any."""
        if self.find(connector):
            return True
        promised = len(self._for_any())
        return bool(promised) and connector.is_free and self._free_count() <= promised

    def allows(self, connector: Connector, token: Token, group: str | None = None) -> bool:
        """Whether the reservations leave this connector to this token, or to another of its group."""
        own = self.find(connector)
        if own:
            return self._belongs(own, token, group)
        for_any = self._for_any()
        if any(self._belongs(reservation, token, group) for reservation in for_any):
            return True
        return self._free_count() > len(for_any)

    def may_allow(self, connector: Connector, token: Token) -> bool:
        """`allows`, or the CSMS may yet say that the token is of a reservation's group (2.0.1, H03)."""
        own = self.find(connector)
        keepers = [own] if own else self._for_any()
        return self.allows(connector, token) or any(keeper.group for keeper in keepers)

    def restart_timers(self) -> None:
        """After the clock was set."""
        for reservation in list(self.by_id.values()):
            self._expire_later(reservation)

    def _for_any(self) -> list[Reservation]:
        return [reservation for reservation in self.by_id.values() if reservation.connector_number == 0]

    def _free_count(self) -> int:
        """The free connectors without a reservation of their own."""
        taken = {reservation.connector_number for reservation in self.by_id.values()}
        return sum(c.is_free and c.number not in taken for c in self._resources.connectors)

    def _expire_later(self, reservation: Reservation) -> None:
        def expire() -> None:
            if self.by_id.get(reservation.id) is reservation:
                self._remove(reservation)
                self._resources.reports.report_reservation_ended(reservation, "Expired")

        delay_s = reservation.expires_at - self._resources.clock.now()
        self._resources.timers.start(None, f"reservation {reservation.id}", max(delay_s, 0), expire)

    def _remove(self, reservation: Reservation) -> None:
        del self.by_id[reservation.id]
        self._resources.timers.cancel(None, f"reservation {reservation.id}")
        self._report_status(reservation)

    def _report_status(self, reservation: Reservation) -> None:
        connector = self._resources.connector(reservation.connector_number)
        if connector:
            self._resources.reports.report_status(connector)
        else:
            self._resources.reports.report_statuses()
        self._resources.reports.keep_state()

    def _belongs(self, reservation: Reservation, token: Token, group: str | None) -> bool:
        if token.is_same(reservation.token):
            return True
        known = self._authorizer.find(token)
        return is_same_group(reservation.group, group or (known.group if known else None))


def _why_not_free(connectors: list[Connector]) -> str:
    """2.0.1, H01.FR.11 to .13: of several connectors, the one that is least out of service counts."""
    if any(connector.is_usable for connector in connectors):
        return "Occupied"
    return "Faulted" if all(connector.fault for connector in connectors) else "Unavailable"
