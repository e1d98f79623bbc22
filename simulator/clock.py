"""The charger's clock, which follows the time that the CSMS sends."""

import time
from datetime import UTC, datetime


class Clock:
    def __init__(self) -> None:
        self._offset_s = 0.0

    def now(self) -> float:
        """Seconds since the epoch by the CSMS's clock."""
        return time.time() + self._offset_s

    def set(self, csms_time: str) -> float:
        """Seconds by which the clock changed. Raises ValueError for a time that is not ISO 8601."""
        offset_s = parse_time(csms_time) - time.time()
        jump_s, self._offset_s = offset_s - self._offset_s, offset_s
        return jump_s

    def stamp(self) -> str:
        return format_time(self.now())


def format_time(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> float:
    """Seconds since the epoch; a time without a zone is UTC. Raises ValueError if it is not ISO 8601."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()
