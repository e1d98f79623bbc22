"""The station, whatever the OCPP version: its connectors, and the areas that act on them."""

from simulator.clock import Clock
from simulator.configuration import Options
from simulator.settings import Settings
from simulator.station.authorization import Authorizer, TokenInfo
from simulator.station.availability import Availability
from simulator.station.car.cable import Cable
from simulator.station.car.drivers import Drivers
from simulator.station.car.energy import Energy
from simulator.station.metering.readings import Meter
from simulator.station.metering.sampling import Sampling, meter_start_wh
from simulator.station.model import Connector, Token, electrics_of
from simulator.station.reservations import Reservations
from simulator.station.resources import Reports, Resources
from simulator.station.sessions import Sessions
from simulator.station.smart_charging.profiles import Profiles
from simulator.station.timers import Timers
from simulator.station.transactions import Transactions


class Station:
    def __init__(
        self,
        settings: Settings,
        *,
        options: Options,
        clock: Clock,
        authorizer: Authorizer,
        reports: Reports,
        timers: Timers,
    ) -> None:
        electrics = electrics_of(settings.connector_type, settings.max_power_w, settings.ev_power_factor)
        resources = Resources(
            settings=settings,
            options=options,
            clock=clock,
            electrics=electrics,
            connectors=[new_connector(settings, number) for number in range(1, settings.connectors + 1)],
            profiles=Profiles(electrics, settings.max_power_w),
            timers=timers,
            reports=reports,
        )
        self._settings = settings
        self.electrics = electrics
        self.connectors = resources.connectors
        self.connector = resources.connector
        self.running = resources.running
        self.timers = resources.timers
        self.profiles = resources.profiles
        self.reservations = Reservations(resources, authorizer)
        self.energy = Energy(resources, self)
        self.meter = Meter(options, electrics)
        self.sampling = Sampling(resources, self.energy, self.meter)
        self._drivers = Drivers(resources, self)
        self.transactions = Transactions(
            resources,
            energy=self.energy,
            sampling=self.sampling,
            reservations=self.reservations,
            drivers=self._drivers,
        )
        self.availability = Availability(
            resources,
            energy=self.energy,
            transactions=self.transactions,
            reservations=self.reservations,
        )
        self.cable = Cable(resources, self.energy, self.transactions)
        self.sessions = Sessions(
            resources,
            authorizer=authorizer,
            energy=self.energy,
            transactions=self.transactions,
            reservations=self.reservations,
            drivers=self._drivers,
        )

    @property
    def is_busy(self) -> bool:
        """Whether a transaction runs."""
        return any(True for _ in self.running())

    def await_firmware(self, *, wait: bool) -> None:
        self.availability.await_firmware(wait=wait)

    # The station's power

    def power_on(self) -> None:
        """Starts the timers of what was restored, and the automatic sessions."""
        self.availability.end_reset()
        for connector in self.connectors:
            connector.closed = False
            if connector.used:
                self._drivers.expect_departure(connector)
        self._drivers.start_automatic_sessions()
        self.follow_clock()

    def restart_automatic_sessions(self) -> None:
        """After their settings have changed."""
        self._drivers.start_automatic_sessions()

    def close(self) -> None:
        """Before the power goes off: no transaction begins until it is on again."""
        for connector in self.connectors:
            connector.closed = True

    def power_off(self) -> None:
        """Stops every timer, and with them all that happens without a request."""
        self.energy.update_meters()
        self.timers.cancel_all()
        self.sampling.stop()
        for connector in self.connectors:
            connector.claimed = False
            connector.power_w = 0.0
            if connector.transaction is None:
                self.transactions.release_token(connector)

    def follow_clock(self) -> None:
        """Sets the timers that wait for a time of day again, after the clock was set."""
        self.reservations.restart_timers()
        self.sampling.restart_clock_aligned()
        self.energy.update_power()

    # What the energy reports to the other areas

    def charging_state_changed(self, connector: Connector) -> None:
        self._drivers.follow_car(connector)

    def energy_limit_reached(self, connector: Connector) -> None:
        if connector.has_reached_target:
            self.end_session(connector)
        else:
            self.transactions.deauthorize(connector)

    # What drivers do

    def end_session(self, connector: Connector) -> None:
        """The driver ends the transaction, if there is one, and leaves with the car. Safe to repeat."""
        if connector.transaction:
            connector.transaction.energy_target_wh = None
        if connector.transaction or connector.token:
            self.transactions.stop(connector, "StopAuthorized", "Local", connector.token)
        self.cable.unplug(connector)

    # What simulated drivers do

    def plug(self, connector: Connector) -> bool:
        return self.cable.plug(connector)

    def leave(self, connector: Connector) -> None:
        """Ends a transaction that would go on without the cable, and unplugs."""
        if connector.transaction and not self.transactions.ends_on_unplug(connector):
            self.transactions.stop(connector, "StopAuthorized", "Local", connector.token)
        self.cable.unplug(connector)

    def begin_session(self, connector: Connector) -> None:
        """A driver plugs in and shows the token of automatic sessions, if the connector is free for it.

        One whose token is refused leaves again.
        """
        token = Token(self._settings.session_id_tag)
        if connector.is_free and not connector.plugged and self.reservations.allows(connector, token):
            self.cable.plug(connector)

            def decided(allowed: bool, _: TokenInfo) -> None:
                if not allowed:
                    self._drivers.expect_departure(connector)

            self.sessions.present_token(connector, token, decided)


def new_connector(settings: Settings, number: int) -> Connector:
    return Connector(number, energy_wh=meter_start_wh(settings, number), limit_w=settings.max_power_w)
