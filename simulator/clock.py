"""The CSMS's time: a charger has no clock of its own that anyone trusts."""

import time
from datetime import UTC, datetime


class Clock:
    def __init__(self) -> None:
        self._offset_s = 0.0

    def now(self) -> float:
        """Seconds since the epoch, as the CSMS counts them."""
        return time.time() + self._offset_s

    def set(self, csms_time: str) -> float:
        """By how many seconds it was wrong. Raises ValueError for what is not ISO 8601."""
        offset_s = parse_time(csms_time) - time.time()
        jump_s, self._offset_s = offset_s - self._offset_s, offset_s
        return jump_s

    def stamp(self) -> str:
        return format_time(self.now())


def format_time(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> float:
    """Raises ValueError. A time without a zone is UTC."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()
