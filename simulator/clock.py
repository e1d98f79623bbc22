"""The charger's clock, which follows the time that the CSMS sends."""

import time
from datetime import UTC, datetime

#: A clock runs from 1970 to 3000: far from the years 1 and 9999, where a moment can no longer be written down.
EARLIEST_S, LATEST_S = 0.0, 32_503_680_000.0


class Clock:
    def __init__(self) -> None:
        self._offset_s = 0.0
        self.skew_s = 0.0  #: by which it is wrong on purpose, whatever the CSMS sends

    def now(self) -> float:
        """Seconds since the epoch by the CSMS's clock."""
        return time.time() + self._offset_s + self.skew_s

    def set(self, csms_time: str) -> float:
        """Seconds by which the clock changed. Raises ValueError for a time that is not ISO 8601, or that cannot be."""
        epoch_s = parse_time(csms_time)
        if not EARLIEST_S <= epoch_s < LATEST_S:
            raise ValueError(f"{csms_time[:50]!r} is no time for a charger")
        offset_s = epoch_s - time.time()
        jump_s, self._offset_s = offset_s - self._offset_s, offset_s
        return jump_s

    def stamp(self) -> str:
        return format_time(self.now())


def format_time(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> float:
    """Seconds since the epoch; a time without a zone is UTC.

    Raises ValueError if it is not ISO 8601, or not in the years 1 to 9999 of UTC (`0001-01-01T00:00:00+02:00`).
    """
    moment = datetime.fromisoformat(text)
    try:
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)).timestamp()
    except OverflowError:
        raise ValueError(f"{text[:50]!r} is out of range") from None
