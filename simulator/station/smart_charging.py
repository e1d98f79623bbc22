"""Charging profiles, and the power that they allow a connector."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from simulator.clock import parse_time
from simulator.configuration import Options
from simulator.station.model import Connector, Electrics

UNLIMITED = float("inf")

#: Purposes that limit the whole charger; the first is 1.6's name for the second.
STATION_PURPOSES = (
    "ChargePointMaxProfile",
    "ChargingStationMaxProfile",
    "ChargingStationExternalConstraints",
)

RECURRENCE_S = {"Daily": 86_400.0, "Weekly": 7 * 86_400.0}


class Period(NamedTuple):
    start_s: float
    limit: float
    phases: int | None


@dataclass(slots=True)
class Profile:
    id: int
    connector_number: int  #: 0: every connector
    stack_level: int
    purpose: str
    kind: str
    recurrence_s: float | None
    valid_from: float
    valid_to: float
    transaction_id: str | None  #: of the `Transaction`
    start: float | None
    duration_s: float
    unit: str
    periods: list[Period]
    payload: dict[str, Any]  #: as the CSMS sent it

    def limit_w(self, moment: float, transaction_start: float | None, electrics: Electrics) -> float | None:
        """None when the profile does not apply at that moment."""
        offset_s = self._offset_s(moment, transaction_start)
        if offset_s is None:
            return None
        current = None
        for period in self.periods:
            if period.start_s <= offset_s:
                current = period
        if current is None:
            return None
        return current.limit if self.unit == "W" else electrics.watts(current.limit, current.phases)

    def changes_after(self, moment: float, transaction_start: float | None) -> Iterator[float]:
        """Moments after `moment` at which the limit may change."""
        yield from (edge for edge in (self.valid_from, self.valid_to) if moment < edge < UNLIMITED)
        start = self._start(max(moment, self.valid_from), transaction_start)
        if start is None:
            return
        edges = [start, *(start + period.start_s for period in self.periods)]
        if self.duration_s < UNLIMITED:
            edges.append(start + self.duration_s)
        if self.recurrence_s:
            edges.append(start + self.recurrence_s)
        yield from (edge for edge in edges if edge > moment)

    def _offset_s(self, moment: float, transaction_start: float | None) -> float | None:
        start = self._start(moment, transaction_start)
        if start is None or not self.valid_from <= moment < self.valid_to:
            return None
        return moment - start if 0 <= moment - start < self.duration_s else None

    def _start(self, moment: float, transaction_start: float | None) -> float | None:
        """The start of the schedule, or of the recurrence, that `moment` falls in."""
        if self.kind == "Relative" or self.start is None:
            return transaction_start if transaction_start is not None else None
        if self.recurrence_s and moment > self.start:
            return moment - (moment - self.start) % self.recurrence_s
        return self.start


def read_profile(payload: dict[str, Any], connector_number: int, transaction_id: str | None) -> Profile:
    """Reads the ChargingProfile of any version. Raises ValueError for a time that is not ISO 8601."""
    schedules = payload["chargingSchedule"]
    schedule = schedules[0] if isinstance(schedules, list) else schedules
    return Profile(
        id=payload["id"] if "id" in payload else payload["chargingProfileId"],
        connector_number=connector_number,
        stack_level=payload["stackLevel"],
        purpose=payload["chargingProfilePurpose"],
        kind=payload["chargingProfileKind"],
        recurrence_s=RECURRENCE_S[payload.get("recurrencyKind", "Daily")]
        if payload["chargingProfileKind"] == "Recurring"
        else None,
        valid_from=parse_time(payload["validFrom"]) if "validFrom" in payload else -UNLIMITED,
        valid_to=parse_time(payload["validTo"]) if "validTo" in payload else UNLIMITED,
        transaction_id=transaction_id,
        start=parse_time(schedule["startSchedule"]) if "startSchedule" in schedule else None,
        duration_s=schedule.get("duration", UNLIMITED),
        unit=schedule["chargingRateUnit"],
        periods=sorted(
            Period(period["startPeriod"], float(period["limit"]), period.get("numberPhases"))
            for period in schedule["chargingSchedulePeriod"]
        ),
        payload=payload,
    )


class Profiles:
    """The installed profiles. A new one replaces any with its id, or with its purpose, level and connector."""

    def __init__(self, electrics: Electrics, max_power_w: float) -> None:
        self._electrics = electrics
        self._max_power_w = max_power_w
        self._installed: list[Profile] = []

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._installed)

    def __len__(self) -> int:
        return len(self._installed)

    def install(self, profile: Profile) -> None:
        place = _place(profile)
        others = [other for other in self._installed if other.id != profile.id and _place(other) != place]
        self._installed = [*others, profile]

    def remove(self, profiles: Iterable[Profile]) -> None:
        removed = {id(profile) for profile in profiles}
        self._installed = [profile for profile in self._installed if id(profile) not in removed]

    def remove_transaction(self, transaction_id: str) -> None:
        self.remove([profile for profile in self._installed if profile.transaction_id == transaction_id])

    def assign(self, placeholder: str, transaction_id: str) -> None:
        """Gives the profile of a remote start the id of its transaction, once that has begun."""
        for profile in self._installed:
            if profile.purpose == "TxProfile" and profile.transaction_id == placeholder:
                profile.transaction_id = transaction_id

    def limit_w(self, connector: Connector, moment: float, sharing: int) -> float:
        """The power that the connector may draw. `sharing` connectors share the charger's limits evenly."""
        return min(
            self._max_power_w,
            self._own_limit_w(connector, moment),
            self._station_limit_w(moment) / max(sharing, 1),
        )

    def next_change(self, connector: Connector, moment: float) -> float:
        """The moment at which `limit_w` may change; infinity when it will not."""
        start = connector.transaction.started_at if connector.transaction else None
        applicable = [p for p in self._installed if p.purpose in STATION_PURPOSES or _applies(p, connector)]
        return min((edge for p in applicable for edge in p.changes_after(moment, start)), default=UNLIMITED)

    def composite(
        self, connector: Connector | None, moment: float, duration_s: float, unit: str
    ) -> list[Period]:
        """The limits from `moment` on, in A or W; without a connector, those of the whole charger."""
        edges = [moment]
        whole = connector or Connector(0)
        while (edge := self.next_change(whole, edges[-1])) < moment + duration_s:
            edges.append(edge)
        periods: list[Period] = []
        for edge in edges:
            watts = (
                self.limit_w(connector, edge, 1)
                if connector
                else min(self._station_limit_w(edge), self._max_power_w)
            )
            limit = watts if unit == "W" else self._electrics.amperes(watts)
            period = Period(
                edge - moment, round(limit, 1), None if self._electrics.is_dc else self._electrics.phases
            )
            if not periods or periods[-1].limit != period.limit:
                periods.append(period)
        return periods

    def _own_limit_w(self, connector: Connector, moment: float) -> float:
        """A TxProfile comes before a TxDefaultProfile (OCPP 1.6 part 1, 3.13.2)."""
        start = connector.transaction.started_at if connector.transaction else None
        for purpose in ("TxProfile", "TxDefaultProfile"):
            # At the same level, a connector's own default comes before the default of all connectors.
            ranked = sorted(
                (p for p in self._installed if p.purpose == purpose and _applies(p, connector)),
                key=lambda p: (p.stack_level, p.connector_number),
                reverse=True,
            )
            for profile in ranked:
                limit = profile.limit_w(moment, start, self._electrics)
                if limit is not None:
                    return limit
        return UNLIMITED

    def _station_limit_w(self, moment: float) -> float:
        limit_w = UNLIMITED
        for purpose in STATION_PURPOSES:
            ranked = sorted(
                (p for p in self._installed if p.purpose == purpose),
                key=lambda p: p.stack_level,
                reverse=True,
            )
            limits = (profile.limit_w(moment, None, self._electrics) for profile in ranked)
            limit_w = min(limit_w, next((limit for limit in limits if limit is not None), UNLIMITED))
        return limit_w


def _place(profile: Profile) -> tuple[object, ...]:
    return profile.purpose, profile.stack_level, profile.connector_number, profile.transaction_id


def _applies(profile: Profile, connector: Connector) -> bool:
    if profile.purpose in STATION_PURPOSES:
        return False
    if profile.purpose == "TxProfile":
        return connector.transaction is not None and connector.transaction.id == profile.transaction_id
    return profile.connector_number in (0, connector.number)


def install_profile(
    profiles: Profiles,
    options: Options,
    payload: dict[str, Any],
    connector_number: int,
    transaction_id: str | None,
) -> bool:
    """Installs a profile as the CSMS sent it. False when it is malformed or exceeds a limit of the options."""
    try:
        profile = read_profile(payload, connector_number, transaction_id)
    except ValueError:
        return False
    if (
        not _is_in_order(profile)
        or not 0 <= profile.stack_level <= options.number("max_stack_level")
        or len(profile.periods) > options.number("max_periods")
        or len(profiles) >= options.number("max_profiles")
    ):
        return False
    profiles.install(profile)
    return True


def _is_in_order(profile: Profile) -> bool:
    """Whether the schedule starts at 0 and its periods follow one another."""
    starts = [period.start_s for period in profile.periods]
    return starts[:1] == [0] and all(earlier < later for earlier, later in pairwise(starts))
