"""What happens at the connectors, in nobody's protocol: cars come and go, tokens are shown, energy flows."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from typing import Protocol
from uuid import uuid4

from simulator.clock import Clock
from simulator.settings import Settings
from simulator.station.authorization import Authorizer, TokenInfo
from simulator.station.configuration import Options
from simulator.station.model import Connector, Electrics, Ending, Ev, Reservation, Token, Transaction
from simulator.station.smart_charging import Profiles


class Teller(Protocol):
    """Who tells the CSMS. Triggers and reasons are in the words of OCPP 2.0.1, which has more of them."""

    def tell_started(self, connector: Connector, transaction: Transaction, trigger: str) -> None: ...

    def tell_updated(self, connector: Connector, transaction: Transaction, trigger: str) -> None: ...

    def tell_ended(self, connector: Connector, transaction: Transaction, ending: Ending) -> None: ...

    def tell_status(self, connector: Connector) -> None:
        """May be called when nothing has changed."""

    def tell_meter(self, connector: Connector) -> None:
        """A clock-aligned reading outside of a transaction."""

    def tell_reservation_over(self, reservation: Reservation, status: str) -> None: ...

    def keep_state(self) -> None:
        """Something changed that a restart must not lose."""


class Station:
    def __init__(
        self,
        settings: Settings,
        *,
        options: Options,
        clock: Clock,
        electrics: Electrics,
        authorizer: Authorizer,
        teller: Teller,
    ) -> None:
        self._settings = settings
        self._options = options
        self._clock = clock
        self._authorizer = authorizer
        self._teller = teller
        self._timers: dict[tuple[int, str], asyncio.TimerHandle] = {}
        self._settled_at_s = time.monotonic()
        self.electrics = electrics
        self.connectors = [Connector(number) for number in range(1, settings.connectors + 1)]
        self.profiles = Profiles(electrics, settings.max_power_w)
        self.reservations: dict[int, Reservation] = {}

    def connector(self, number: int) -> Connector | None:
        return self.connectors[number - 1] if 0 < number <= len(self.connectors) else None

    def transactions(self) -> Iterator[tuple[Connector, Transaction]]:
        for connector in self.connectors:
            if connector.transaction:
                yield connector, connector.transaction

    def find_transaction(self, transaction_id: str) -> Connector | None:
        return next((c for c, transaction in self.transactions() if transaction.id == transaction_id), None)

    # The cable

    def plug(self, connector: Connector, ev: Ev | None = None) -> bool:
        if connector.plugged:
            return False
        connector.ev = ev or self._usual_ev()
        self._cancel(connector, "connect timeout")
        self._cancel(connector, "arrival")
        self._note(connector, "CablePluggedIn")
        return True

    def unplug(self, connector: Connector) -> bool:
        if not connector.plugged:
            return False
        self._flow()
        connector.ev = None
        connector.used = False
        self._cancel(connector, "departure")
        transaction = connector.transaction
        if transaction and ("EVConnected" in self._stop_points() or self._options.flag("stop_on_unplug")):
            self.end_transaction(connector, "EVCommunicationLost", "EVDisconnected")
        elif transaction:
            connector.power_w = 0.0
            self._tell_updated(connector, transaction, "EVCommunicationLost")
        else:
            self._forget_token(connector)
        self._after_change(connector)
        return True

    def request_energy(self, connector: Connector, asks: bool) -> bool:
        """The car starts or stops asking; False without a car."""
        if connector.ev is None:
            return False
        connector.ev.asks = asks
        if asks and _left_wh(connector) < NEARLY_WH:
            connector.ev.wanted_wh = max(
                connector.ev.wanted_wh, connector.ev.drawn_wh + self._settings.ev_energy_wh
            )
        self.settle()
        return True

    def set_power(self, connector: Connector, power_w: float | None) -> None:
        """What the car draws from now on; None lets it draw what it can."""
        connector.power_set_w = power_w
        self.settle()

    def _usual_ev(self) -> Ev:
        return Ev(
            wanted_wh=self._settings.ev_energy_wh,
            battery_wh=max(self._settings.ev_battery_wh, self._settings.ev_energy_wh),
            max_power_w=self._settings.ev_max_power_w or self._settings.max_power_w,
        )

    # The token

    def present_token(self, connector: Connector, token: Token) -> bool:
        """A driver shows a token at the charger: it starts, or ends what it started. False when it is no use."""
        if connector.token is not None:
            if token.is_same(connector.token):
                self.stop(connector, "StopAuthorized", "Local", token)
                return True
            return self._present_another(connector, token)
        if not connector.is_free or not self._may_use(connector, token):
            return False
        self._claim(connector)
        self._authorizer.authorize(token, lambda info: self._decide(connector, token, info, "Authorized"))
        return True

    def start_remotely(
        self, connector: Connector, token: Token, remote_start_id: int | None, *, check: bool
    ) -> None:
        """The connector is free, and the token may use it."""
        connector.remote_start_id = remote_start_id
        self._claim(connector)
        if check:
            self._authorizer.authorize(
                token, lambda info: self._decide(connector, token, info, "RemoteStart")
            )
        else:
            info = self._authorizer.find(token) or TokenInfo("Accepted")
            self._decide(connector, token, info._replace(status="Accepted"), "RemoteStart")

    def choose_connector(self, token: Token, number: int | None = None) -> Connector | None:
        """Where this token may start: the connector asked for, or the best one; a plugged one comes first."""
        candidates = [
            connector
            for connector in self.connectors
            if number in (None, connector.number) and connector.is_free and self._may_use(connector, token)
        ]
        ranked = sorted(candidates, key=lambda c: (self._reservation_of(c) is None, not c.plugged or c.used))
        return ranked[0] if ranked else None

    def _claim(self, connector: Connector) -> None:
        """Shown as occupied while its token is being checked."""
        connector.claimed = True
        self._teller.tell_status(connector)

    def _present_another(self, connector: Connector, token: Token) -> bool:
        """Another token of the same group may end the transaction."""
        known = self._authorizer.find(token)
        if known is None or connector.group is None or known.group != connector.group:
            return False
        self.stop(connector, "StopAuthorized", "Local", token)
        return True

    def _decide(self, connector: Connector, token: Token, info: TokenInfo, trigger: str) -> None:
        connector.claimed = False
        if info.status != "Accepted" or not connector.is_usable:
            self._forget_token(connector)
            self._after_change(connector)
            return
        connector.token, connector.group, connector.used = token, info.group, False
        self._note(connector, trigger)
        if not connector.plugged:
            timeout_s = self._options.number("connect_timeout_s")
            if timeout_s:
                self._later(connector, "connect timeout", timeout_s, lambda: self._give_up(connector))
            if trigger == "RemoteStart" and self._settings.ev_plug_in_s is not None:
                self._later(connector, "arrival", self._settings.ev_plug_in_s, lambda: self.plug(connector))

    def _forget_token(self, connector: Connector) -> None:
        connector.token = connector.group = connector.remote_start_id = None
        self.profiles.remove_transaction(waiting_for(connector))

    def _give_up(self, connector: Connector) -> None:
        """Authorized, but no car came."""
        self._cancel(connector, "arrival")
        if connector.transaction:
            self.end_transaction(connector, "EVConnectTimeout", "Timeout")
        self._forget_token(connector)
        self._after_change(connector)

    # Transactions

    def stop(self, connector: Connector, trigger: str, reason: str, token: Token | None = None) -> None:
        """The authorization ends, and with it the transaction, unless it lasts as long as the cable."""
        if connector.transaction and not self._stop_points() & {"Authorized", "PowerPathClosed"}:
            self._flow()
            connector.token = None
            connector.power_w = 0.0
            self._tell_updated(connector, connector.transaction, trigger)
        elif connector.transaction:
            self.end_transaction(connector, trigger, reason, token)
        else:
            self._cancel(connector, "connect timeout")
            self._cancel(connector, "arrival")
            self._forget_token(connector)
        self._after_change(connector)

    def end_transaction(
        self, connector: Connector, trigger: str, reason: str, token: Token | None = None
    ) -> None:
        transaction = connector.transaction
        if transaction is None:
            return
        self._flow()
        connector.power_w = 0.0
        self._teller.tell_ended(connector, transaction, Ending(trigger, reason, self._clock.now(), token))
        connector.transaction = None
        self._forget_token(connector)
        connector.used = connector.plugged
        connector.power_set_w = None
        self.profiles.remove_transaction(transaction.id)
        self._cancel(connector, "sample")
        if connector.operative_next is not None:
            connector.operative, connector.operative_next = connector.operative_next, None
        if connector.plugged:
            self._let_depart(connector)
        self._after_change(connector)

    def refuse_token(self, transaction_id: str, info: TokenInfo) -> None:
        """The CSMS does not accept the token of a transaction that already runs."""
        connector = self.find_transaction(transaction_id)
        if connector is None or connector.transaction is None or not self._options.flag("stop_on_invalid_id"):
            return
        allowed_wh = self._options.number("invalid_id_wh")
        if allowed_wh:
            connector.transaction.energy_limit_wh = (
                connector.energy_wh - connector.transaction.meter_start_wh + allowed_wh
            )
            self.settle()
        else:
            self.end_transaction(connector, "Deauthorized", "DeAuthorized")

    def _note(self, connector: Connector, trigger: str) -> None:
        """Something happened that may begin a transaction, and that belongs to a running one."""
        transaction = connector.transaction
        if transaction is not None:
            transaction.token = transaction.token or connector.token
            transaction.remote_start_id = transaction.remote_start_id or connector.remote_start_id
            self._tell_updated(connector, transaction, trigger)
        elif self._should_begin(connector):
            self._begin(connector, trigger)
        self._after_change(connector)

    def _should_begin(self, connector: Connector) -> bool:
        if not connector.is_usable or connector.used:
            return False
        points = set(self._options.members("tx_start_point"))
        return bool(
            ("EVConnected" in points and connector.plugged)
            or ("Authorized" in points and connector.token)
            or ("PowerPathClosed" in points and connector.plugged and connector.token)
        )

    def _begin(self, connector: Connector, trigger: str) -> None:
        self._flow()
        transaction = Transaction(
            id=str(uuid4()),
            started_at=self._clock.now(),
            meter_start_wh=connector.energy_wh,
            token=connector.token,
            remote_start_id=connector.remote_start_id,
        )
        reservation = self._reservation_of(connector, connector.token)
        if reservation:
            transaction.reservation_id = reservation.id
            self._drop_reservation(reservation)
        connector.transaction = transaction
        for profile in self.profiles:
            if profile.purpose == "TxProfile" and profile.transaction_id == waiting_for(connector):
                profile.transaction_id = transaction.id
        transaction.told_state = connector.charging_state
        self._teller.tell_started(connector, transaction, trigger)
        self.restart_sampling(connector)

    def _tell_updated(self, connector: Connector, transaction: Transaction, trigger: str) -> None:
        transaction.told_state = connector.charging_state
        self._teller.tell_updated(connector, transaction, trigger)

    def _stop_points(self) -> set[str]:
        return set(self._options.members("tx_stop_point"))

    # Energy

    def settle(self) -> None:
        """Brings meters up to date, then lets each connector draw what it may from now on."""
        self._flow()
        for connector, _ in list(self.transactions()):
            if _allowance_wh(connector) < NEARLY_WH:
                self.end_transaction(connector, "Deauthorized", "DeAuthorized")
        drawing = [c for c in self.connectors if c.transaction and c.token and c.ev and c.ev.asks]
        wake_s = 3600.0
        for connector in self.connectors:
            wake_s = min(wake_s, self._settle(connector, len(drawing)))
        if any(True for _ in self.transactions()):
            self._later(None, "settle", max(wake_s, 0.01), self.settle)
        else:
            self._cancel(None, "settle")

    def _settle(self, connector: Connector, sharers: int) -> float:
        """Seconds until something changes by itself."""
        transaction, ev = connector.transaction, connector.ev
        moment = self._clock.now()
        connector.limit_w = self.profiles.limit_w(connector, moment, sharers)
        power_before_w = connector.power_w
        left_wh = min(_left_wh(connector), _allowance_wh(connector))
        connector.power_w = 0.0
        if transaction and ev and connector.token and ev.asks and connector.is_usable and left_wh > 0:
            wish_w = ev.max_power_w if connector.power_set_w is None else connector.power_set_w
            connector.power_w = min(wish_w, connector.limit_w)
        if transaction and connector.charging_state != transaction.told_state:
            self._tell_updated(connector, transaction, "ChargingStateChanged")
            self._teller.tell_status(connector)
            self._follow_ev(connector)
        elif transaction and connector.power_w != power_before_w:
            self._tell_updated(connector, transaction, "ChargingRateChanged")
        until_full_s = left_wh * 3600 / connector.power_w if connector.power_w else 3600.0
        return min(until_full_s, self.profiles.next_change(connector, moment) - moment)

    def _flow(self) -> None:
        """Energy that has flowed since the last time, into meters and cars."""
        now_s = time.monotonic()
        hours = (now_s - self._settled_at_s) / 3600
        self._settled_at_s = now_s
        for connector in self.connectors:
            energy_wh = min(connector.power_w * hours, _left_wh(connector))
            connector.energy_wh += energy_wh
            if connector.ev is not None:
                connector.ev.drawn_wh += energy_wh
                if connector.power_w and connector.ev.wanted_wh - connector.ev.drawn_wh < NEARLY_WH:
                    connector.ev.asks = False

    def _follow_ev(self, connector: Connector) -> None:
        """A driver whose car is full comes back for it."""
        if connector.charging_state == "SuspendedEV":
            self._let_depart(connector)
        else:
            self._cancel(connector, "departure")

    def _let_depart(self, connector: Connector) -> None:
        if self._settings.ev_unplug_s is not None:
            self._later(connector, "departure", self._settings.ev_unplug_s, lambda: self.unplug(connector))

    # Meter values

    def restart_sampling(self, connector: Connector) -> None:
        """The interval may have changed."""
        interval_s = self._options.number("sample_s")
        self._cancel(connector, "sample")
        if connector.transaction and interval_s:
            self._sample_later(connector, time.monotonic() + interval_s, interval_s)

    def _sample_later(self, connector: Connector, due_s: float, interval_s: int) -> None:
        def sample() -> None:
            if connector.transaction:
                self._flow()
                self._tell_updated(connector, connector.transaction, "MeterValuePeriodic")
                self._teller.keep_state()
                self._sample_later(connector, due_s + interval_s, interval_s)

        self._later(connector, "sample", max(due_s - time.monotonic(), 0), sample)

    def restart_clock_aligned(self) -> None:
        interval_s = self._options.number("aligned_s")
        self._cancel(None, "aligned")
        if interval_s:
            self._later(
                None, "aligned", interval_s - self._clock.now() % interval_s, self._read_clock_aligned
            )

    def _read_clock_aligned(self) -> None:
        self._flow()
        for connector in self.connectors:
            if connector.transaction:
                self._tell_updated(connector, connector.transaction, "MeterValueClock")
            else:
                self._teller.tell_meter(connector)
        self.restart_clock_aligned()

    def read_meters(self) -> None:
        """Brings the registers up to date."""
        self._flow()

    # Faults, availability, reservations

    def set_fault(self, connector: Connector, fault: str | None) -> None:
        """A fault ends the transaction; None is the repair."""
        connector.fault = fault
        if fault and connector.transaction:
            self.end_transaction(connector, "AbnormalCondition", FAULT_REASONS.get(fault, "Other"))
        elif fault:
            self._forget_token(connector)
        self._after_change(connector)

    def set_operative(self, connector: Connector, operative: bool) -> bool:
        """False when it has to wait for the end of the transaction."""
        if connector.transaction and connector.operative != operative:
            connector.operative_next = operative
            return False
        connector.operative_next = None
        connector.operative = operative
        self._after_change(connector)
        return True

    def reserve(self, reservation: Reservation) -> str:
        """The word for the answer. The same id again replaces the reservation."""
        connector = self.connector(reservation.connector_number)
        others = [r for r in self.reservations.values() if r.id != reservation.id]
        if reservation.expires_at <= self._clock.now():
            return "Rejected"
        candidates = [connector] if connector else self.connectors
        free = [c for c in candidates if c.is_free and not c.plugged]
        taken = {r.connector_number for r in others}
        free = [c for c in free if c.number not in taken]
        if connector is None and len(free) <= sum(r.connector_number == 0 for r in others):
            free = []
        if not free:
            return _why_not_free(candidates)
        self.reservations[reservation.id] = reservation
        self._watch_reservation(reservation)
        self._tell_reserved(reservation)
        return "Accepted"

    def cancel_reservation(self, reservation_id: int) -> bool:
        reservation = self.reservations.get(reservation_id)
        if reservation is None:
            return False
        self._drop_reservation(reservation)
        return True

    def is_reserved(self, connector: Connector) -> bool:
        return self._reservation_of(connector) is not None

    def _watch_reservation(self, reservation: Reservation) -> None:
        def expire() -> None:
            if self.reservations.get(reservation.id) is reservation:
                self._drop_reservation(reservation)
                self._teller.tell_reservation_over(reservation, "Expired")

        delay_s = reservation.expires_at - self._clock.now()
        self._later(None, f"reservation {reservation.id}", max(delay_s, 0), expire)

    def _drop_reservation(self, reservation: Reservation) -> None:
        del self.reservations[reservation.id]
        self._cancel(None, f"reservation {reservation.id}")
        self._tell_reserved(reservation)

    def _tell_reserved(self, reservation: Reservation) -> None:
        connector = self.connector(reservation.connector_number)
        if connector:
            self._teller.tell_status(connector)
        self._teller.keep_state()

    def _reservation_of(self, connector: Connector, token: Token | None = None) -> Reservation | None:
        """The connector's own; for a token, also one that holds for any connector."""
        for reservation in self.reservations.values():
            if reservation.connector_number == connector.number:
                return reservation
        for reservation in self.reservations.values():
            if token and reservation.connector_number == 0 and self._belongs(reservation, token):
                return reservation
        return None

    def _may_use(self, connector: Connector, token: Token) -> bool:
        own = self._reservation_of(connector)
        if own:
            return self._belongs(own, token)
        floating = [r for r in self.reservations.values() if r.connector_number == 0]
        if any(self._belongs(reservation, token) for reservation in floating):
            return True
        free = sum(c.is_free and self._reservation_of(c) is None for c in self.connectors)
        return free > len(floating)

    def _belongs(self, reservation: Reservation, token: Token) -> bool:
        if token.is_same(reservation.token):
            return True
        known = self._authorizer.find(token)
        return reservation.group is not None and known is not None and known.group == reservation.group

    # Power-on, power-off

    def end_lost_transactions(self, reason: str, moment: float) -> None:
        """Those that ran when the charger last knew anything, which was at that moment."""
        for connector, transaction in list(self.transactions()):
            self._teller.tell_ended(connector, transaction, Ending("AbnormalCondition", reason, moment))
            connector.transaction = None
            connector.power_w = 0.0
            connector.used = connector.plugged
            self._forget_token(connector)
            self.profiles.remove_transaction(transaction.id)

    def begin_day(self) -> None:
        """The charger is up: what was left over gets its timers, and drivers may come."""
        for connector in self.connectors:
            if connector.used:
                self._let_depart(connector)
            self._expect_visitor(connector)
        self.follow_clock()

    def follow_clock(self) -> None:
        """Timers that wait for a time of day, after the clock was set."""
        for reservation in list(self.reservations.values()):
            self._watch_reservation(reservation)
        self.restart_clock_aligned()
        self.settle()

    def end_day(self) -> None:
        """Nothing happens by itself any more."""
        self._flow()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for connector in self.connectors:
            connector.claimed = False
            connector.power_w = 0.0
            if connector.transaction is None:
                self._forget_token(connector)

    def _expect_visitor(self, connector: Connector) -> None:
        """With CHARGER_VISITOR_EVERY_S drivers come by themselves, some sooner and some later."""
        every_s = self._settings.visitor_every_s
        if every_s:
            self._later(
                connector, "visitor", random.uniform(0.5, 1.5) * every_s, lambda: self._visit(connector)
            )

    def _visit(self, connector: Connector) -> None:
        token = Token(self._settings.visitor_id_tag)
        if connector.is_free and not connector.plugged and self._may_use(connector, token):
            self.plug(connector)
            self.present_token(connector, token)
        self._expect_visitor(connector)

    # Timers

    def _later(
        self, connector: Connector | None, name: str, delay_s: float, act: Callable[[], object]
    ) -> None:
        self._cancel(connector, name)
        key = (connector.number if connector else 0, name)

        def run() -> None:
            self._timers.pop(key, None)
            act()

        self._timers[key] = asyncio.get_running_loop().call_later(delay_s, run)

    def _cancel(self, connector: Connector | None, name: str) -> None:
        timer = self._timers.pop((connector.number if connector else 0, name), None)
        if timer:
            timer.cancel()

    def _after_change(self, connector: Connector) -> None:
        self.settle()
        self._teller.tell_status(connector)
        self._teller.keep_state()


#: A remainder below this is none; keeps the last wake-up from being repeated for a rounding error.
NEARLY_WH = 0.01

#: What a fault, named as in OCPP 1.6, is as the reason of a transaction's end in 2.0.1.
FAULT_REASONS = {"GroundFailure": "GroundFault", "OverCurrentFailure": "OvercurrentFault"}


def waiting_for(connector: Connector) -> str:
    """Marks the profile that came with a remote start, until its transaction has an id."""
    return f"next on {connector.number}"


def _left_wh(connector: Connector) -> float:
    """What the car still takes."""
    if connector.ev is None:
        return 0.0
    return max(connector.ev.wanted_wh - connector.ev.drawn_wh, 0.0)


def _allowance_wh(connector: Connector) -> float:
    """What a refused token may still take."""
    transaction = connector.transaction
    if transaction is None or transaction.energy_limit_wh is None:
        return float("inf")
    return max(transaction.energy_limit_wh - (connector.energy_wh - transaction.meter_start_wh), 0.0)


def _why_not_free(connectors: list[Connector]) -> str:
    if all(connector.fault for connector in connectors):
        return "Faulted"
    if all(not connector.operative for connector in connectors):
        return "Unavailable"
    return "Occupied"
