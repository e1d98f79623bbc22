"""Authorization at a connector: a token is shown there or sent by the CSMS, and starts or stops charging."""

from simulator.station.authorization import Authorizer, TokenInfo
from simulator.station.drivers import Drivers
from simulator.station.energy import Energy
from simulator.station.model import Connector, Token
from simulator.station.reservations import Reservations
from simulator.station.resources import Resources
from simulator.station.transactions import Transactions


class Sessions:
    def __init__(
        self,
        resources: Resources,
        *,
        authorizer: Authorizer,
        energy: Energy,
        transactions: Transactions,
        reservations: Reservations,
        drivers: Drivers,
    ) -> None:
        self._resources = resources
        self._authorizer = authorizer
        self._energy = energy
        self._transactions = transactions
        self._reservations = reservations
        self._drivers = drivers

    def present_token(self, connector: Connector, token: Token) -> bool:
        """A driver shows a token: it starts charging, or ends what it started. False when it can do neither."""
        if connector.token is not None:
            if token.is_same(connector.token) or self._is_same_group(connector, token):
                self._transactions.stop(connector, "StopAuthorized", "Local", token)
                return True
            return False
        if not connector.is_free or not self._reservations.allows(connector, token):
            return False
        self._claim(connector)
        self._authorizer.authorize(token, lambda info: self._decide(connector, token, info, "Authorized"))
        return True

    def start_remotely(
        self, connector: Connector, token: Token, remote_start_id: int | None, *, check: bool
    ) -> None:
        """Starts on a connector of `choose_connector`. `check`: the token is authorized first."""
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
        """Where this token may start: the connector of that number, or the best one; None: nowhere.

        A connector that is reserved for the token comes first, then one with a car.
        """
        candidates = [
            connector
            for connector in self._resources.connectors
            if number in (None, connector.number)
            and connector.is_free
            and self._reservations.allows(connector, token)
        ]
        ranked = sorted(
            candidates, key=lambda c: (self._reservations.find(c) is None, not c.plugged or c.used)
        )
        return ranked[0] if ranked else None

    def _claim(self, connector: Connector) -> None:
        """The connector is occupied while its token is checked."""
        connector.claimed = True
        self._resources.reports.report_status(connector)

    def _is_same_group(self, connector: Connector, token: Token) -> bool:
        known = self._authorizer.find(token)
        return known is not None and connector.group is not None and known.group == connector.group

    def _decide(self, connector: Connector, token: Token, info: TokenInfo, trigger: str) -> None:
        connector.claimed = False
        if info.status != "Accepted" or not connector.is_usable:
            self._transactions.release_token(connector)
            self._energy.apply_change(connector)
            return
        connector.token, connector.group, connector.used = token, info.group, False
        self._transactions.advance(connector, trigger)
        if not connector.plugged:
            timeout_s = self._resources.options.number("connect_timeout_s")
            if timeout_s:
                self._resources.timers.start(
                    connector, "connect timeout", timeout_s, lambda: self._give_up(connector)
                )
            if trigger == "RemoteStart":
                self._drivers.expect_arrival(connector)

    def _give_up(self, connector: Connector) -> None:
        """A token was authorized, but no car came."""
        self._resources.timers.cancel(connector, "arrival")
        self._transactions.end(connector, "EVConnectTimeout", "Timeout")
        self._transactions.release_token(connector)
        self._energy.apply_change(connector)
