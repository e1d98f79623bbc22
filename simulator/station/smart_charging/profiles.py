"""The installed charging profiles, and the power that they allow."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from simulator.station.model import Connector, Electrics
from simulator.station.smart_charging.profile import UNLIMITED, Period, Profile, Stretch

NO_LIMIT = Period(0.0, UNLIMITED)


class Limit(NamedTuple):
    power_w: float
    phases: int
    until: float  #: the moment until which it stays so; infinity: for good


class Outlook(NamedTuple):
    limit_at: Callable[[float], Limit]  #: of any moment, as long as no profile is added or removed
    evaluated: int  #: profiles that it reads for that


class Profiles:
    def __init__(self, electrics: Electrics, max_power_w: float) -> None:
        self._electrics = electrics
        self._max_power_w = max_power_w
        self._installed: list[Profile] = []
        #: those for the charger and those for connectors, each before the ones that it overrules
        self._for_charger: list[Profile] = []
        self._for_connectors: list[Profile] = []

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._installed)

    def __len__(self) -> int:
        return len(self._installed)

    def replace(self, replaced: Iterable[Profile], profile: Profile) -> None:
        self.remove(replaced)
        self.add(profile)

    def add(self, profile: Profile) -> None:
        self._set([*self._installed, profile])

    def remove(self, profiles: Iterable[Profile]) -> None:
        removed = {id(profile) for profile in profiles}
        if removed:
            self._set([profile for profile in self._installed if id(profile) not in removed])

    def remove_transaction(self, transaction_id: str) -> None:
        self.remove([profile for profile in self._installed if profile.transaction_id == transaction_id])

    def assign(self, placeholder: str, transaction_id: str) -> None:
        """Gives the profile of a remote start the id of its transaction, once that has begun.

        It replaces one of the same stack level that the transaction has already.
        """
        for profile in [each for each in self._installed if each.transaction_id == placeholder]:
            place = (transaction_id, profile.stack_level)
            self.remove([each for each in self if (each.transaction_id, each.stack_level) == place])
            profile.transaction_id = transaction_id

    def _set(self, installed: list[Profile]) -> None:
        self._installed = installed
        ranked = sorted(installed, key=_rank, reverse=True)
        self._for_charger = [profile for profile in ranked if profile.is_for_charger]
        self._for_connectors = [profile for profile in ranked if not profile.is_for_charger]

    # What they allow

    def limit(self, connector: Connector, moment: float, sharing: int) -> Limit:
        """What the connector may draw. `sharing` connectors share the charger's limit evenly."""
        return self.outlook(connector, sharing, None).limit_at(moment)

    def outlook(self, connector: Connector, sharing: int, idle_start: float | None) -> Outlook:
        """`idle_start` counts as the time at which charging begins, where it has not begun."""
        own, start = self._own(connector), _charging_since(connector, idle_start)

        def limit_at(moment: float) -> Limit:
            whole = _first(self._for_charger, moment, None)
            return self._combine(_first(own, moment, start), whole, sharing)

        return Outlook(limit_at, 1 + len(own) + len(self._for_charger))

    def outlook_of_charger(self, connectors: list[Connector], idle_start: float) -> Outlook:
        """What the connectors may draw together. Those that the same profiles limit alike are computed once."""
        alike: dict[tuple[object, ...], tuple[list[Profile], float | None]] = {}
        count: Counter[tuple[object, ...]] = Counter()
        for connector in connectors:
            own, start = self._own(connector), _charging_since(connector, idle_start)
            key = (
                *(id(profile) for profile in own),
                start if any(each.start is None for each in own) else None,
            )
            alike[key] = (own, start)
            count[key] += 1

        def limit_at(moment: float) -> Limit:
            whole = _first(self._for_charger, moment, None)
            period = whole.period or NO_LIMIT
            unshared = Stretch(period._replace(limit_w=UNLIMITED, least_w=0.0), whole.until)
            limits = [
                (count[key], self._combine(_first(own, moment, start), unshared, 1))
                for key, (own, start) in alike.items()
            ]
            phases = max(limit.phases for _, limit in limits)
            power_w = sum(number * limit.power_w for number, limit in limits)
            until = min(limit.until for _, limit in limits)
            return Limit(min(power_w, self._on_phases(period, phases)), phases, until)

        return Outlook(limit_at, len(self._for_charger) + sum(1 + len(own) for own, _ in alike.values()))

    def _own(self, connector: Connector) -> list[Profile]:
        return [profile for profile in self._for_connectors if _applies(profile, connector)]

    def _combine(self, own: Stretch, whole: Stretch, sharing: int) -> Limit:
        """Of two numbers of phases the lower one is used (OCPP 2.0.1 part 2, K 3.7, in the errata of 2025-01)."""
        own_period, whole_period = own.period or NO_LIMIT, whole.period or NO_LIMIT
        phases = min(self._phases(own_period), self._phases(whole_period))
        share_w = self._on_phases(whole_period, phases) / max(sharing, 1)
        if share_w < max(own_period.least_w, whole_period.least_w):
            share_w = 0.0
        most_w = self._max_power_w * phases / self._electrics.phases
        power_w = min(most_w, self._on_phases(own_period, phases), share_w)
        return Limit(power_w, phases, min(own.until, whole.until))

    def _phases(self, period: Period) -> int:
        return min(period.phases or self._electrics.phases, self._electrics.phases)

    def _on_phases(self, period: Period, phases: int) -> float:
        """A limit is a current, the same on each phase (K01.FR.50, .51; 1.6 part 1, 7.12)."""
        return period.limit_w * (phases / self._phases(period))


def _charging_since(connector: Connector, idle_start: float | None) -> float | None:
    transaction = connector.transaction
    return transaction.ready_at if transaction and transaction.ready_at is not None else idle_start


def _first(ranked: Iterable[Profile], moment: float, transaction_start: float | None) -> Stretch:
    """The stretch of the first profile that has a limit at that moment, until another one has its place."""
    until = UNLIMITED
    for profile in ranked:
        period, end = profile.stretch(moment, transaction_start)
        until = min(until, end)
        if period is not None:
            return Stretch(period, until)
    return Stretch(None, until)


def _rank(profile: Profile) -> tuple[bool, int, int]:
    """A TxProfile overrules a TxDefaultProfile, and a higher stack level a lower one (OCPP 1.6 part 1, 3.13.2).

    At the same level, a connector's own default comes before the default of all connectors.
    """
    return profile.purpose == "TxProfile", profile.stack_level, profile.connector_number


def _applies(profile: Profile, connector: Connector) -> bool:
    if profile.purpose == "TxProfile":
        return connector.transaction is not None and connector.transaction.id == profile.transaction_id
    return profile.connector_number in (0, connector.number)
