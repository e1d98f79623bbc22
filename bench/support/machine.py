"""Describes what a run ran on: CPU, memory, disk, kernel, servers and libraries."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile, gettempdir
from time import perf_counter

import psutil

from embedded.postgres import postgres_program
from embedded.redis import find_redis

LIBRARIES = ("flask", "gunicorn", "gevent", "sqlalchemy", "psycopg", "celery", "kombu")
SYNCS = 50


def describe_machine() -> str:
    """One paragraph. The load average is that of the five minutes before the call."""
    servers = (
        f"PostgreSQL {_program_version(str(postgres_program()))}, Redis {_program_version(find_redis())}"
    )
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load average of the five minutes before "
        f"{psutil.getloadavg()[1]:.1f}. {_cpu_model()}, {psutil.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB; {_filesystem(Path(gettempdir()))}, "
        f"fdatasync of 8 KiB in {_sync_ms():.1f} ms; {platform.system()} {platform.release()}. "
        f"{servers}, Python {platform.python_version()}, {libraries}."
    )


def _cpu_model() -> str:
    """As Linux names it; the architecture where it names none."""
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def _filesystem(folder: Path) -> str:
    """The file system that holds the folder, and the name of its device."""
    mounts = {Path(each.mountpoint): each for each in psutil.disk_partitions(all=True)}
    mount = next(mounts[parent] for parent in (folder, *folder.resolve().parents) if parent in mounts)
    return f"{mount.fstype} on {Path(mount.device).name}"


def _sync_ms() -> float:
    """The median time of what each commit waits for: write and fdatasync, PostgreSQL's default on Linux."""
    times_ms: list[float] = []
    with TemporaryFile(buffering=0) as file:
        for _ in range(SYNCS):
            began = perf_counter()
            os.pwrite(file.fileno(), bytes(8192), 0)
            os.fdatasync(file.fileno())
            times_ms.append(1000 * (perf_counter() - began))
    return median(times_ms)


def _program_version(program: str | None) -> str:
    if program is None:
        return "in Python (fakeredis)"
    argv: Sequence[str] = (program, "--version")
    output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    found = re.search(r"\d+\.[\d.]+", output)
    return found[0] if found else output.strip()
