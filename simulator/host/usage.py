"""What the process takes of the machine."""

import resource
import sys
import time
from pathlib import Path

STATM = Path("/proc/self/statm")


class Usage:
    def __init__(self) -> None:
        self._at_s, self._cpu_s = time.monotonic(), time.process_time()

    def take_cpu_percent(self) -> float:
        """Of one core, since the last call."""
        at_s, cpu_s = time.monotonic(), time.process_time()
        passed_s, used_s = at_s - self._at_s, cpu_s - self._cpu_s
        self._at_s, self._cpu_s = at_s, cpu_s
        return round(100 * used_s / passed_s, 1) if passed_s > 0 else 0.0


def memory_bytes() -> int:
    """Resident; where the system does not say, the most that it was."""
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * resource.getpagesize()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
