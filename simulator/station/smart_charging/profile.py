"""A charging profile: the limits that its schedule sets, and when."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, NamedTuple

UNLIMITED = float("inf")

#: The two purposes for one connector. Any other limits the whole charger.
TX_PURPOSES = ("TxProfile", "TxDefaultProfile")


class Period(NamedTuple):
    start_s: float  #: from the start of the schedule
    limit_w: float
    phases: int | None = None  #: None: all that the charger has
    least_w: float = 0.0  #: a smaller share of the charger's limit is not used


class Stretch(NamedTuple):
    """What holds from one moment until another."""

    period: Period | None  #: None: no limit
    until: float


@dataclass(slots=True)
class Profile:
    id: int
    connector_number: int  #: 0: every connector, or the whole charger
    stack_level: int
    purpose: str
    transaction_id: str | None  #: of the `Transaction`
    start: float | None  #: None: when the transaction's car may first charge
    recurrence_s: float  #: infinity: once
    duration_s: float
    valid_from: float
    valid_to: float
    periods: list[Period]  #: the first starts at 0, each other later than the one before it
    received_at: float
    payload: dict[str, Any]  #: as the CSMS sent it

    @property
    def is_for_charger(self) -> bool:
        return self.purpose not in TX_PURPOSES

    def stretch(self, moment: float, transaction_start: float | None) -> Stretch:
        """The period in force at `moment`. Its end is later than `moment`."""
        if moment < self.valid_from:
            return Stretch(None, self.valid_from)
        start = self._start(moment, transaction_start)
        if start is None or moment >= self.valid_to:
            return Stretch(None, UNLIMITED)
        if moment < start:
            return Stretch(None, start)
        again = start + self.recurrence_s
        end = min(start + self.duration_s, again, self.valid_to)
        if moment >= end:
            return Stretch(None, again)
        following = bisect_right(self.periods, moment, key=lambda period: start + period.start_s)
        if following < len(self.periods):
            end = min(end, start + self.periods[following].start_s)
        return Stretch(self.periods[following - 1], end)

    def _start(self, moment: float, transaction_start: float | None) -> float | None:
        """The start of the schedule, or of the recurrence, that `moment` falls in; None without a transaction."""
        start = transaction_start if self.start is None else self.start
        if start is None or moment < start or self.recurrence_s == UNLIMITED:
            return start
        latest = start + (moment - start) // self.recurrence_s * self.recurrence_s
        # A quotient that was rounded to a whole number is one too high or too low.
        if latest > moment:
            return latest - self.recurrence_s
        return latest if latest + self.recurrence_s > moment else latest + self.recurrence_s
