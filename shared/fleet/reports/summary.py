"""What the chargers of a report have in common: percentiles, the slowest, and failures by reason."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from shared.fleet.reports.chargers import Outcome, ReportedCharger

MAX_SLOWEST = 10
MAX_FAILURES = 100  # reasons; a reason of the link is a word of the charger's, and so bounded already
MAX_NAMED = 10  # chargers per reason


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles by nearest rank: the smallest measured value that so many per cent of all values do not exceed."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Failure:
    """The chargers that failed for one reason."""

    reason_code: str
    reason: str | None  #: of one of them
    count: int
    first: Sequence[ReportedCharger]


def seconds_of(chargers: Iterable[ReportedCharger]) -> list[float]:
    """The measured seconds, the shortest first."""
    return sorted(charger.seconds for charger in chargers if charger.seconds is not None)


def spread(chargers: Iterable[ReportedCharger]) -> Spread | None:
    """None when nothing was measured."""
    values = seconds_of(chargers)
    if not values:
        return None
    p50, p95, p99 = (values[ceil(len(values) * percent / 100) - 1] for percent in (50, 95, 99))
    return Spread(len(values), p50, p95, p99, values[-1])


def slowest(chargers: Iterable[ReportedCharger]) -> list[ReportedCharger]:
    """The chargers that took longest, the slowest first."""
    measured = [charger for charger in chargers if charger.seconds is not None]
    return heapq.nlargest(MAX_SLOWEST, measured, key=lambda charger: charger.seconds or 0)


def failures(chargers: Iterable[ReportedCharger]) -> list[Failure]:
    """The reasons of what failed, the most frequent first."""
    found: dict[str, list[ReportedCharger]] = defaultdict(list)
    for charger in chargers:
        if charger.outcome is Outcome.FAILED:
            found[charger.reason_code or ""].append(charger)
    ordered = sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return [
        Failure(code, some[0].reason, len(some), some[:MAX_NAMED]) for code, some in ordered[:MAX_FAILURES]
    ]
