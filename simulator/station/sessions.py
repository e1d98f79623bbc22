"""Authorization at a connector: a token is shown there or sent by the CSMS, and starts or stops charging."""

from collections.abc import Callable

from simulator.station.authorization import Authorizer, TokenInfo, is_same_group
from simulator.station.car.drivers import Drivers
from simulator.station.car.energy import Energy
from simulator.station.model import Connector, Token
from simulator.station.reservations import Reservations
from simulator.station.resources import Resources
from simulator.station.transactions import Transactions

#: Gets whether the token may start, and what is known of it.
Decided = Callable[[bool, TokenInfo], object]


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

    def present_token(self, connector: Connector, token: Token, decided: Decided | None = None) -> bool:
        """A driver shows a token: it starts charging, or ends what it or another of its group started.

        False when it can do neither; True also while the CSMS is asked. `decided` is called for a token that starts or
        is refused, unless the power goes off first.
        """
        if connector.token is not None:
            return self._present_to_stop(connector, token)
        if not connector.is_free or not self._reservations.may_allow(connector, token):
            return False
        self._claim(connector)

        def decide(info: TokenInfo) -> None:
            if connector.claimed:
                allowed = self._decide(connector, token, info, "Authorized")
                if decided:
                    decided(allowed, info)

        self._authorizer.authorize(token, decide)
        return True

    def start_remotely(
        self,
        connector: Connector,
        token: Token,
        remote_start_id: int | None,
        *,
        group: str | None = None,
        check: bool,
    ) -> None:
        """Starts on a connector of `choose_connector`. `group`: the one that the request names.

        `check`: the token is authorized first.
        """
        connector.remote_start_id = remote_start_id
        self._claim(connector)

        def decide(info: TokenInfo) -> None:
            named = info._replace(group=info.group or group)
            self._decide(connector, token, named, "RemoteStart")

        if check:
            self._authorizer.authorize(token, decide)
        else:
            known = self._authorizer.find(token)
            decide(TokenInfo("Accepted", group or (known.group if known else None)))

    def choose_connector(
        self, token: Token, number: int | None = None, *, group: str | None = None, check: bool = False
    ) -> Connector | None:
        """Where this token may start: the connector of that number, or the best one; None: nowhere.

        A connector that is reserved for the token comes first, then one with a car. With `check` the CSMS
        has yet to say whether the token belongs to the group of a reservation.
        """
        allowed = {
            connector.number: self._reservations.allows(connector, token, group)
            for connector in self._resources.connectors
        }
        candidates = [
            connector
            for connector in self._resources.connectors
            if number in (None, connector.number)
            and connector.is_free
            and (allowed[connector.number] or (check and self._reservations.may_allow(connector, token)))
        ]
        return min(
            candidates,
            key=lambda c: (
                not allowed[c.number],
                self._reservations.find(c) is None,
                not c.plugged or c.used,
            ),
            default=None,
        )

    def _present_to_stop(self, connector: Connector, token: Token) -> bool:
        """OCPP 1.6 part 1, 4.1 and TC_069; 2.0.1, C09: the CSMS says which group an unknown token has."""
        started = connector.token
        if token.is_same(started):
            self._transactions.stop(connector, "StopAuthorized", "Local", token)
            return True
        if connector.group is None:
            return False

        def decide(info: TokenInfo) -> None:
            accepted = info.status == "Accepted" and is_same_group(info.group, connector.group)
            if accepted and connector.token is started:
                self._transactions.stop(connector, "StopAuthorized", "Local", token)

        known = self._authorizer.find(token)
        if known and known.status == "Accepted" and is_same_group(known.group, connector.group):
            decide(known)
        else:
            self._authorizer.authorize(token, decide)
        return True

    def _claim(self, connector: Connector) -> None:
        """The connector is occupied while its token is checked."""
        connector.claimed = True
        self._resources.reports.report_status(connector)

    def _decide(self, connector: Connector, token: Token, info: TokenInfo, trigger: str) -> bool:
        """False when the token may not start here. Does nothing when the power went off meanwhile."""
        if not connector.claimed:
            return True
        connector.claimed = False
        allowed = info.allows(connector) and self._reservations.allows(connector, token, info.group)
        if not allowed or not connector.is_usable:
            self._transactions.release_token(connector)
            self._energy.apply_change(connector)
            return False
        connector.token, connector.group, connector.used = token, info.group, False
        connector.reservation_id = self._reservations.use(connector)
        self._transactions.advance(connector, trigger)
        if not connector.plugged:
            timeout_s = self._resources.options.number("connect_timeout_s")
            if timeout_s:
                self._resources.timers.start(
                    connector, "connect timeout", timeout_s, lambda: self._give_up(connector)
                )
            if trigger == "RemoteStart":
                self._drivers.expect_arrival(connector)
        return True

    def _give_up(self, connector: Connector) -> None:
        """A token was authorized, but no car came."""
        self._transactions.end(connector, "EVConnectTimeout", "Timeout")
        self._transactions.drop_authorization(connector)
        self._energy.apply_change(connector)
