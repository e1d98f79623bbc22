"""What the process takes of the machine."""

import resource
import sys
import time
from collections.abc import Iterable
from pathlib import Path

STATM = Path("/proc/self/statm")

#: Of the process's container: cgroup v2 and v1.
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

#: What a v1 group without a limit has is beyond any machine.
NO_LIMIT = 2**60


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


def memory_limit_bytes(of_task: int | None, files: Iterable[Path] = LIMITS) -> int | None:
    """The least of what the system allows and what the task has, as its settings say. None: nobody says."""
    limits = [_read_limit(file) for file in files]
    return min((limit for limit in (*limits, of_task) if limit is not None), default=None)


def _read_limit(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    limit = int(text) if text.isdigit() else NO_LIMIT  # "max"
    return limit if limit < NO_LIMIT else None
