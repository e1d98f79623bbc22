"""How soon a charger that has crashed starts again, and when it stays down."""

import random

#: Before the first start after a crash; doubled after each more, up to the longest.
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0

#: So many crashes within that time, and the charger stays down until something else is desired.
MAX_CRASHES, WITHIN_S = 5, 600.0


class Crashes:
    """Of one charger."""

    def __init__(self) -> None:
        self._at_s: list[float] = []

    def note(self, now_s: float) -> float | None:
        """Counts one more. Returns the seconds until the next start, of which a quarter is chance; None: it stays down."""
        self._at_s = [at_s for at_s in (*self._at_s, now_s) if now_s - at_s < WITHIN_S]
        recent = len(self._at_s)
        if recent >= MAX_CRASHES:
            return None
        wait_s = min(FIRST_WAIT_S * 2.0 ** (recent - 1), LONGEST_WAIT_S)
        return wait_s * random.uniform(0.75, 1.0)
