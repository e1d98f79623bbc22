"""Simulated drivers: they plug in after a remote start, collect a full car, and come for automatic sessions."""

import random
from collections.abc import Callable
from typing import Protocol

from simulator.station.model import Connector
from simulator.station.resources import Resources


class Driving(Protocol):
    """What a driver does at a connector."""

    def plug(self, connector: Connector) -> bool: ...

    def leave(self, connector: Connector) -> None: ...

    def begin_session(self, connector: Connector) -> None: ...


class Drivers:
    def __init__(self, resources: Resources, driving: Driving) -> None:
        self._settings = resources.settings
        self._connectors = resources.connectors
        self._timers = resources.timers
        self._driving = driving

    def expect_arrival(self, connector: Connector) -> None:
        """The car comes `ev_plug_in_s` after a remote start."""
        self._start(connector, "arrival", self._settings.ev_plug_in_s, self._driving.plug)

    def expect_departure(self, connector: Connector) -> None:
        """The car leaves `ev_unplug_s` after it has stopped charging."""
        self._start(connector, "departure", self._settings.ev_unplug_s, self._driving.leave)

    def follow_car(self, connector: Connector) -> None:
        """The driver of a full car comes back for it; one whose car charges again does not."""
        if connector.charging_state == "SuspendedEV":
            self.expect_departure(connector)
        else:
            self._timers.cancel(connector, "departure")

    def start_automatic_sessions(self) -> None:
        """With `session_every_s` a driver comes to each connector, on average this long apart. A repeat starts over."""
        for connector in self._connectors:
            self._timers.cancel(connector, "session")
        if not self._settings.session_every_s:
            return
        for connector in self._connectors:
            self._expect_session(connector)
            if connector.plugged:  # since before a restart
                self.expect_departure(connector)

    def _expect_session(self, connector: Connector) -> None:
        delay_s = random.uniform(0.5, 1.5) * self._settings.session_every_s
        self._start(connector, "session", delay_s, self._begin_session)

    def _begin_session(self, connector: Connector) -> None:
        if self._settings.ev_unplug_s is None and _is_done(connector):
            self._driving.leave(connector)
        self._driving.begin_session(connector)
        self._expect_session(connector)

    def _start(
        self,
        connector: Connector,
        name: str,
        delay_s: float | None,
        act: Callable[[Connector], object],
    ) -> None:
        """Calls `act` after the delay; None: never."""
        if delay_s is not None:
            self._timers.start(connector, name, delay_s, lambda: act(connector))


def _is_done(connector: Connector) -> bool:
    """Whether the car has got what it came for, or will not get it."""
    if not connector.plugged or connector.claimed:
        return False
    refused = connector.transaction is not None and connector.transaction.deauthorized
    return connector.token is None or refused or connector.charging_state == "SuspendedEV"
