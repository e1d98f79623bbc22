"""The limits of the next time, put together for a composite schedule."""

import math
from collections.abc import Callable
from typing import NamedTuple

from simulator.station.smart_charging.profiles import Limit


class CompositePeriod(NamedTuple):
    start_s: int  #: from the start of the composite schedule
    power_w: float
    phases: int


class Composite(NamedTuple):
    duration_s: int
    periods: list[CompositePeriod]


def compose(
    limit_at: Callable[[float], Limit], start: int, duration_s: int, *, max_periods: int, max_changes: int
) -> Composite:
    """The limit at each whole second from `start` on.

    It ends early before a period that is one too many, or after so many changes of any profile: the duration says
    where.
    """
    periods: list[CompositePeriod] = []
    offset_s = 0
    for _ in range(max_changes):
        limit = limit_at(start + offset_s)
        if not periods or periods[-1][1:] != (limit.power_w, limit.phases):
            if len(periods) == max_periods:
                return Composite(offset_s, periods)
            periods.append(CompositePeriod(offset_s, limit.power_w, limit.phases))
        if limit.until > start + duration_s - 1:  # no whole second is left
            return Composite(duration_s, periods)
        offset_s = math.ceil(limit.until) - start
    return Composite(offset_s, periods)
