"""The times of day at which meters are read: multiples of an interval, counted from midnight UTC."""

DAY_S = 86_400


class Boundaries:
    """Each boundary is read once, whatever the clock does: every answer to a heartbeat may set it a little."""

    def __init__(self) -> None:
        self._awaited: float | None = None
        self._passed: float | None = None  #: the last one that was read

    def has_passed(self, now: float, interval_s: int) -> bool:
        """Whether the boundary that `next` returned is the last one before `now`.

        A clock that was set forward over several does not make up for them.
        """
        awaited = self._awaited
        if awaited is None or not awaited <= now < awaited + interval_s:
            return False
        self._awaited, self._passed = None, awaited
        return True

    def next(self, now: float, interval_s: int) -> float:
        """The boundary to wait for."""
        boundary = next_boundary(now, interval_s)
        if boundary == self._passed:  # the clock was set back behind it
            boundary = next_boundary(boundary, interval_s)
        self._awaited = boundary
        return boundary


def next_boundary(moment: float, interval_s: int) -> float:
    """The first one after the moment. Every day begins anew (OCPP 1.6 part 1, 9.1.6: from 00:00:00 on)."""
    midnight = moment // DAY_S * DAY_S
    boundary = midnight + ((moment - midnight) // interval_s + 1) * interval_s
    return min(boundary, midnight + DAY_S)
