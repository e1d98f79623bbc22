"""Computes the power that each connector draws, and the energy that its meter counts."""

from typing import Protocol

from simulator.station.car.ev import NEGLIGIBLE_WH
from simulator.station.model import Connector
from simulator.station.resources import Resources

#: With nothing to wait for, power is computed again after this long.
MAX_WAKE_S = 3600.0


class EnergyEvents(Protocol):
    def charging_state_changed(self, connector: Connector) -> None: ...

    def energy_limit_reached(self, connector: Connector) -> None:
        """A token has drawn all that it may, or that its driver wants."""


class Energy:
    def __init__(self, resources: Resources, events: EnergyEvents) -> None:
        self._resources = resources
        self._events = events
        self._metered_at_s: float | None = None

    def update_meters(self) -> None:
        """Adds the energy that has flowed since the last call to meters and cars."""
        now_s = self._resources.timers.now_s()
        hours = 0.0 if self._metered_at_s is None else (now_s - self._metered_at_s) / 3600
        self._metered_at_s = now_s
        for connector in self._resources.connectors:
            energy_wh = min(connector.power_w * hours, _left_wh(connector))
            connector.energy_wh += energy_wh
            if connector.ev is not None:
                connector.ev.drawn_wh += energy_wh
                if connector.power_w and connector.ev.remaining_wh < NEGLIGIBLE_WH:
                    connector.ev.requests_energy = False

    def sharing(self, connector: Connector | None = None) -> int:
        """How many connectors share the limit of the charger: those that may draw power, and this one."""
        return sum(each is connector or _may_draw(each) for each in self._resources.connectors)

    def update_power(self) -> None:
        """Updates the meters, then sets the power that each connector draws until the next change."""
        self.update_meters()
        for connector, _ in list(self._resources.running()):
            if _allowance_wh(connector) < NEGLIGIBLE_WH:
                self._events.energy_limit_reached(connector)
        wake_s, sharing = MAX_WAKE_S, self.sharing()
        for connector in self._resources.connectors:
            wake_s = min(wake_s, self._update_connector(connector, sharing))
        if any(True for _ in self._resources.running()):
            self._resources.timers.start(None, "power", max(wake_s, 0.01), self.update_power)
        else:
            self._resources.timers.cancel(None, "power")

    def apply_change(self, *connectors: Connector) -> None:
        """After anything changed at these connectors: sets the power, reports the status, keeps the state."""
        self.update_power()
        for connector in connectors:
            self._resources.reports.report_status(connector)
        self._resources.reports.keep_state()

    def _update_connector(self, connector: Connector, sharing: int) -> float:
        """Seconds until the power changes without another event."""
        profiles, now = self._resources.profiles, self._resources.clock.now()
        limit = profiles.limit(connector, now, sharing)
        connector.limit_w, connector.limit_phases = limit.power_w, limit.phases
        connector.power_w = _drawn_w(connector) if _left_wh(connector) > 0 else 0.0
        self._report(connector)
        return min(_steady_s(connector), limit.until - now)

    def _report(self, connector: Connector) -> None:
        transaction = connector.transaction
        if transaction and connector.charging_state != transaction.reported_state:
            self._resources.report_update(connector, transaction, "ChargingStateChanged")
            self._resources.reports.report_status(connector)
            self._events.charging_state_changed(connector)
        elif transaction and self._is_significant(connector.power_w, transaction.reported_power_w):
            self._resources.report_update(connector, transaction, "ChargingRateChanged")

    def _is_significant(self, power_w: float, reported_w: float) -> bool:
        """Whether a rate "changed by more than LimitChangeSignificance" (OCPP 2.0.1, TriggerReasonEnumType)."""
        percent = self._resources.options.decimal("rate_change_percent")
        return abs(power_w - reported_w) > reported_w * percent / 100


def _left_wh(connector: Connector) -> float:
    """What may still flow."""
    return min(connector.ev.remaining_wh, _allowance_wh(connector)) if connector.ev else 0.0


def _steady_s(connector: Connector) -> float:
    """How long the car draws its present power."""
    if connector.ev is None or not connector.power_w:
        return MAX_WAKE_S
    return min(_left_wh(connector), connector.ev.until_next_step_wh) * 3600 / connector.power_w


def _may_draw(connector: Connector) -> bool:
    transaction, ev = connector.transaction, connector.ev
    wants = ev is not None and ev.requests_energy and connector.is_usable
    delivers = transaction is not None and not transaction.deauthorized and not connector.suspended
    return wants and delivers and connector.token is not None


def _drawn_w(connector: Connector) -> float:
    ev = connector.ev
    if ev is None or not _may_draw(connector):
        return 0.0
    wanted_w = ev.power_w if connector.power_set_w is None else connector.power_set_w
    # The charger signals amperes (IEC 61851-1): a car with fewer phases draws its share of the watts.
    return min(wanted_w, connector.limit_w * connector.phases / connector.limit_phases)


def _allowance_wh(connector: Connector) -> float:
    """What may still flow to a token that is refused, or whose driver wants so much; infinite for any other."""
    transaction = connector.transaction
    limits = (transaction.energy_limit_wh, transaction.energy_target_wh) if transaction else ()
    limit_wh = min((each for each in limits if each is not None), default=None)
    if transaction is None or limit_wh is None:
        return float("inf")
    return max(limit_wh - (connector.energy_wh - transaction.meter_start_wh), 0.0)
