"""Plugs cars in and out, and sets the energy and the power that they request."""

from simulator.station.energy import NEGLIGIBLE_WH, Energy, remaining_wh
from simulator.station.model import Connector, Ev
from simulator.station.resources import Resources
from simulator.station.transactions import Transactions


class Cable:
    def __init__(self, resources: Resources, energy: Energy, transactions: Transactions) -> None:
        self._resources = resources
        self._settings = resources.settings
        self._energy = energy
        self._transactions = transactions

    def plug(self, connector: Connector) -> bool:
        """False when a car is plugged in already."""
        if connector.plugged:
            return False
        connector.ev = self._new_ev()
        self._resources.timers.cancel(connector, "connect timeout")
        self._resources.timers.cancel(connector, "arrival")
        self._transactions.advance(connector, "CablePluggedIn")
        return True

    def unplug(self, connector: Connector) -> bool:
        """False without a car."""
        if not connector.plugged:
            return False
        self._energy.update_meters()
        connector.ev = None
        connector.used = False
        self._resources.timers.cancel(connector, "departure")
        transaction = connector.transaction
        stops = "EVConnected" in self._transactions.stop_points or self._resources.options.flag(
            "stop_on_unplug"
        )
        if transaction and stops:
            self._transactions.end(connector, "EVCommunicationLost", "EVDisconnected")
        elif transaction:
            connector.power_w = 0.0
            self._resources.report_update(connector, transaction, "EVCommunicationLost")
        else:
            self._transactions.release_token(connector)
        self._energy.apply_change(connector)
        return True

    def request_energy(self, connector: Connector, requests: bool) -> bool:
        """The car starts or stops requesting energy. False without a car."""
        ev = connector.ev
        if ev is None:
            return False
        ev.requests_energy = requests
        if requests and remaining_wh(connector) < NEGLIGIBLE_WH:
            ev.wanted_wh = max(ev.wanted_wh, ev.drawn_wh + self._settings.ev_energy_wh)
        self._energy.update_power()
        return True

    def set_power(self, connector: Connector, power_w: float | None) -> None:
        """The car draws this much from now on, within the limits; None: as much as it can."""
        connector.power_set_w = power_w
        self._energy.update_power()

    def _new_ev(self) -> Ev:
        return Ev(
            wanted_wh=self._settings.ev_energy_wh,
            battery_wh=max(self._settings.ev_battery_wh, self._settings.ev_energy_wh),
            max_power_w=self._settings.ev_max_power_w or self._settings.max_power_w,
        )
