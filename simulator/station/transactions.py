"""Transactions: when one begins, what belongs to it, and how it ends."""

from uuid import uuid4

from simulator.station.authorization import TokenInfo
from simulator.station.car.drivers import Drivers
from simulator.station.car.energy import Energy
from simulator.station.metering.sampling import Sampling
from simulator.station.model import Connector, Ending, Token, Transaction
from simulator.station.reservations import Reservations
from simulator.station.resources import Resources


class Transactions:
    def __init__(
        self,
        resources: Resources,
        *,
        energy: Energy,
        sampling: Sampling,
        reservations: Reservations,
        drivers: Drivers,
    ) -> None:
        self._resources = resources
        self._options = resources.options
        self._energy = energy
        self._sampling = sampling
        self._reservations = reservations
        self._drivers = drivers

    def find(self, transaction_id: str) -> Connector | None:
        """The connector of a running transaction."""
        running = self._resources.running()
        return next((connector for connector, each in running if each.id == transaction_id), None)

    def advance(self, connector: Connector, trigger: str) -> None:
        """A cable or a token was added: an update of the running transaction, or perhaps the start of one."""
        transaction = connector.transaction
        if transaction is not None:
            if transaction.token is None and connector.token:
                transaction.token = connector.token
                transaction.reservation_id = connector.reservation_id
            transaction.remote_start_id = transaction.remote_start_id or connector.remote_start_id
            self._resources.profiles.assign(next_transaction(connector), transaction.id)
            self._resources.report_update(connector, transaction, trigger)
        elif self._is_start(connector):
            self._begin(connector, trigger)
        self._settle_in(connector)

    def start(self, connector: Connector, token: Token, trigger: str) -> None:
        """Begins a transaction with this token, whatever the cable and the TxStartPoint.

        One that runs without a token gets it. The connector is one that is free.
        """
        connector.token, connector.group, connector.used = token, None, False
        if self._reservations.allows(connector, token):
            connector.reservation_id = self._reservations.use(connector)
        if connector.transaction is not None:
            self.advance(connector, trigger)
        else:
            self._begin(connector, trigger)
            self._settle_in(connector)

    def _settle_in(self, connector: Connector) -> None:
        if connector.transaction:
            self._note_ready(connector, connector.transaction)
            self._drivers.follow_car(connector)  # it may be full already
        self._energy.apply_change(connector)

    def _note_ready(self, connector: Connector, transaction: Transaction) -> None:
        """Relative charging profiles begin when energy may first flow (OCPP 2.0.1 K01.FR.42)."""
        if transaction.ready_at is None and connector.plugged and connector.token:
            transaction.ready_at = self._resources.clock.now()

    def stop(self, connector: Connector, trigger: str, reason: str, token: Token | None = None) -> None:
        """Ends the authorization, and the transaction with it unless TxStopPoint is the cable alone and it is plugged."""
        outlives = connector.plugged and not self.stop_points & {"Authorized", "PowerPathClosed"}
        if connector.transaction and outlives:
            self._energy.update_meters()
            connector.token = None
            connector.transaction.energy_limit_wh = None
            connector.power_w = 0.0
            self._resources.report_update(connector, connector.transaction, trigger)
            self._drivers.expect_departure(connector)
        elif connector.transaction:
            self.end(connector, trigger, reason, token)
        else:
            self.drop_authorization(connector)
        self._energy.apply_change(connector)

    def end(self, connector: Connector, trigger: str, reason: str, token: Token | None = None) -> None:
        """Does nothing without a transaction. `token` is the one that was shown to end it."""
        if connector.transaction:
            self._end(connector, connector.transaction, trigger, reason, token)
            self._energy.apply_change(connector)

    def end_all(self, reason: str, trigger: str = "ResetCommand") -> None:
        """Nobody gets the share of the charger's limit that another one leaves: all end before power is set."""
        running = list(self._resources.running())
        for connector, transaction in running:
            self._end(connector, transaction, trigger, reason)
        self._energy.apply_change(*(connector for connector, _ in running))

    def _end(
        self,
        connector: Connector,
        transaction: Transaction,
        trigger: str,
        reason: str,
        token: Token | None = None,
    ) -> None:
        self._energy.update_meters()
        connector.power_w = 0.0
        moment = max(self._resources.clock.now(), transaction.started_at)  # the CSMS may set the clock back
        self._resources.reports.report_ended(connector, transaction, Ending(trigger, reason, moment, token))
        self._clear(connector, transaction)
        connector.power_set_w, connector.suspended = None, False
        self._sampling.restart(connector)
        if connector.operative_next is not None:
            connector.operative, connector.operative_next = connector.operative_next, None
            self._reservations.end_unusable()
        if connector.plugged:
            self._drivers.expect_departure(connector)

    def end_interrupted(self, reason: str, moment: float) -> None:
        """Ends what ran when the last process ended, as of the moment that it last saved its state."""
        for connector, transaction in list(self._resources.running()):
            ending = Ending("AbnormalCondition", reason, max(moment, transaction.started_at))
            self._resources.reports.report_ended(connector, transaction, ending)
            connector.power_w = 0.0
            self._clear(connector, transaction)

    def take_token_info(self, transaction_id: str, info: TokenInfo) -> None:
        """Takes what the CSMS says about the token of a running transaction.

        Any status but Accepted refuses it, and so does Accepted for other EVSEs only.
        """
        connector = self.find(transaction_id)
        if connector is None or connector.transaction is None:
            return
        if info.allows(connector):
            connector.group = info.group or connector.group
        elif connector.token and connector.transaction.energy_limit_wh is None:
            self._energy.update_meters()
            drawn_wh = connector.energy_wh - connector.transaction.meter_start_wh
            connector.transaction.energy_limit_wh = drawn_wh + self._options.number("invalid_id_wh")
            self._energy.update_power()

    def deauthorize(self, connector: Connector) -> None:
        """A refused token has drawn all that it may. A repeat changes nothing.

        The option `stop_on_invalid_id` decides whether only the energy stops (OCPP 1.6 part 1, 9.1;
        2.0.1, E05.FR.02, .08 and .10).
        """
        transaction = connector.transaction
        if transaction is None:
            return
        if self._options.flag("stop_on_invalid_id"):
            self.stop(connector, "Deauthorized", "DeAuthorized")
        elif not transaction.deauthorized:
            transaction.deauthorized = True
            connector.power_w = 0.0
            self._resources.report_update(connector, transaction, "Deauthorized")
            self._resources.reports.report_status(connector)
            self._drivers.expect_departure(connector)

    def drop_authorization(self, connector: Connector) -> None:
        """Ends an authorization that has not led to a transaction: its driver does not wait any longer."""
        self._resources.timers.cancel(connector, "connect timeout")
        self._resources.timers.cancel(connector, "arrival")
        self.release_token(connector)

    def release_token(self, connector: Connector) -> None:
        """Clears the token, and the profile that came with its remote start.

        A remote start whose token is being checked keeps both: it may wait for the next car.
        """
        if connector.claimed:
            return
        connector.token = connector.group = connector.remote_start_id = connector.reservation_id = None
        self._resources.profiles.remove_transaction(next_transaction(connector))

    def ends_on_unplug(self, connector: Connector) -> bool:
        """Whether the transaction ends with the cable: by TxStopPoint, by StopTxOnEVSideDisconnect, or for want of a token."""
        cable = self.stop_points & {"EVConnected", "PowerPathClosed"}
        return bool(cable) or self._options.flag("stop_on_unplug") or connector.token is None

    @property
    def stop_points(self) -> set[str]:
        return set(self._options.members("tx_stop_point"))

    def _is_start(self, connector: Connector) -> bool:
        """Whether one of the configured TxStartPoints is reached."""
        if not connector.is_usable or connector.used:
            return False
        points = set(self._options.members("tx_start_point"))
        return bool(
            ("EVConnected" in points and connector.plugged)
            or ("Authorized" in points and connector.token)
            or ("PowerPathClosed" in points and connector.plugged and connector.token)
        )

    def _begin(self, connector: Connector, trigger: str) -> None:
        self._energy.update_meters()
        transaction = Transaction(
            id=str(uuid4()),
            started_at=self._resources.clock.now(),
            meter_start_wh=connector.energy_wh,
            token=connector.token,
            remote_start_id=connector.remote_start_id,
            reservation_id=connector.reservation_id,
        )
        connector.transaction = transaction
        self._resources.profiles.assign(next_transaction(connector), transaction.id)
        transaction.reported_state = connector.charging_state
        self._sampling.begin(connector)
        self._resources.reports.report_started(connector, transaction, trigger)
        self._sampling.restart(connector)

    def _clear(self, connector: Connector, transaction: Transaction) -> None:
        connector.transaction = None
        self.drop_authorization(connector)
        connector.used = connector.plugged
        self._resources.profiles.remove_transaction(transaction.id)


def next_transaction(connector: Connector) -> str:
    """Stands for the id of a transaction that has not begun, in the profile of its remote start."""
    return f"next on {connector.number}"
