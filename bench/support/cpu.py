"""CPU time and memory of processes. A group is a process and all that it started."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil


class Meter:
    """CPU seconds that each group spends during a block. Processes that end before the block does are not counted."""

    def __init__(self, groups: Mapping[str, psutil.Process]) -> None:
        self._groups = {**groups, "load": psutil.Process(os.getpid())}
        self.spent_s: dict[str, float] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Fill `spent_s` at the end of the block."""
        before = {
            name: _cpu_s(process, with_children=name != "load") for name, process in self._groups.items()
        }
        yield
        for name, process in self._groups.items():
            after = _cpu_s(process, with_children=name != "load")
            self.spent_s[name] = sum(seconds - before[name].get(pid, 0.0) for pid, seconds in after.items())


def _cpu_s(process: psutil.Process, *, with_children: bool) -> dict[int, float]:
    family = [process, *(process.children(recursive=True) if with_children else [])]
    spent = {}
    for member in family:
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent[member.pid] = times.user + times.system
    return spent


def pss(pid: int) -> int:
    """Its proportional set size, in bytes. Raises LookupError where the kernel shows none."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise LookupError("the kernel shows no PSS")


def cpu_s(pid: int) -> float:
    """The CPU time of its threads, from the scheduler's nanoseconds: /proc/PID/stat counts in hundredths of a second."""
    times = (file.read_text().split()[0] for file in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(map(int, times)) / 1e9
