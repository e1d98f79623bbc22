"""The installed charging profiles, and the power that they allow."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from simulator.station.charging_profile import UNLIMITED, Period, Profile, Stretch
from simulator.station.model import Connector, Electrics

NO_LIMIT = Period(0.0, UNLIMITED)
NOT_LIMITED = Stretch(None, UNLIMITED)


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
            power_w, until, phases = 0.0, whole.until, 1
            for key, (own, start) in alike.items():
                limit = self._combine(_first(own, moment, start), NOT_LIMITED, 1)
                power_w, phases = power_w + count[key] * limit.power_w, max(phases, limit.phases)
                until = min(until, limit.until)
            return Limit(min(power_w, (whole.period or NO_LIMIT).limit_w), phases, until)

        return Outlook(limit_at, len(self._for_charger) + sum(1 + len(own) for own, _ in alike.values()))

    def _own(self, connector: Connector) -> list[Profile]:
        return [profile for profile in self._for_connectors if _applies(profile, connector)]

    def _combine(self, own: Stretch, whole: Stretch, sharing: int) -> Limit:
        own_period, whole_period = own.period or NO_LIMIT, whole.period or NO_LIMIT
        phases = min(own_period.phases or self._electrics.phases, self._electrics.phases)
        share_w = whole_period.limit_w / max(sharing, 1)
        if share_w < max(own_period.least_w, whole_period.least_w):
            share_w = 0.0
        power_w = min(self._max_power_w * phases / self._electrics.phases, own_period.limit_w, share_w)
        return Limit(power_w, phases, min(own.until, whole.until))


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
