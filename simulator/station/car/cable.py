"""Plugs cars in and out, and sets the energy and the power that they request."""

from dataclasses import replace
from typing import Any

from simulator.station.car.energy import Energy
from simulator.station.car.ev import NEGLIGIBLE_WH, Ev
from simulator.station.model import Connector
from simulator.station.resources import Resources
from simulator.station.transactions import Transactions


class Cable:
    def __init__(self, resources: Resources, energy: Energy, transactions: Transactions) -> None:
        self._resources = resources
        self._settings = resources.settings
        self._energy = energy
        self._transactions = transactions

    def plug(self, connector: Connector, **car: float) -> bool:
        """A car comes: that of the settings, but for what `car` has by their names. False when one is plugged in already."""
        if connector.plugged:
            return False
        connector.cable_locked = False
        connector.ev = self._new_ev(**car)
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
        connector.power_set_w = None
        connector.cable_locked = self._keeps_cable(connector)
        connector.used = False
        self._resources.timers.cancel(connector, "departure")
        transaction = connector.transaction
        if transaction and self._transactions.ends_on_unplug(connector):
            self._transactions.end(connector, "EVCommunicationLost", "EVDisconnected")
        elif transaction:
            connector.power_w = 0.0
            self._resources.report_update(connector, transaction, "EVCommunicationLost")
        else:
            self._transactions.release_token(connector)
        self._energy.apply_change(connector)
        return True

    def unlock(self, connector: Connector) -> None:
        """Lets go of a cable that a car has left behind."""
        connector.cable_locked = False
        self._energy.apply_change(connector)

    def request_energy(self, connector: Connector, requests: bool) -> bool:
        """The car starts or stops requesting energy; one that has all it wanted starts anew. False without a car."""
        ev = connector.ev
        if ev is None:
            return False
        ev.requests_energy = requests
        if requests and ev.remaining_wh < NEGLIGIBLE_WH:
            ev.request(ev.requested_wh or self._settings.ev_energy_wh)
        self._energy.update_power()
        return True

    def set_power(self, connector: Connector, power_w: float | None) -> None:
        """The car draws this much from now on, within the limits; None: as much as it can."""
        connector.power_set_w = power_w
        self._energy.update_power()

    def _keeps_cable(self, connector: Connector) -> bool:
        """A socket locks the cable for a transaction, and until then or longer (1.6, UnlockConnectorOnEVSideDisconnect)."""
        was_locked = connector.used or connector.transaction is not None
        is_socket = not self._resources.electrics.is_dc
        return was_locked and is_socket and not self._resources.options.flag("unlock_on_unplug")

    def _new_ev(self, **car: Any) -> Ev:
        """With the setting `ev_soc_percent` it requests no more than fits; else it is full with what it requests."""
        settings, electrics = replace(self._settings, **car), self._resources.electrics
        soc = settings.ev_soc_percent
        ev = Ev(
            wanted_wh=0.0,
            battery_wh=settings.ev_battery_wh,
            max_power_w=settings.ev_max_power_w or settings.max_power_w,
            arrival_wh=settings.ev_battery_wh * (100 if soc is None else soc) / 100,
            tapers=electrics.is_dc if settings.ev_curve is None else settings.ev_curve == "taper",
            phases=min(int(settings.ev_phases), electrics.phases),
        )
        room_wh = float("inf") if soc is None else ev.battery_wh - ev.arrival_wh
        ev.request(min(settings.ev_energy_wh, room_wh))
        return ev
