"""Footprint: the memory of each process of `chargehand up`, and how long it takes to be ready."""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import psutil

from bench.report import Report, Table
from bench.support.servers import running_process
from embedded.ports import HOST, answers, free_port
from embedded.process import Program

SETTLED_S = 10.0  # after the start, until pools and caches are filled


def measure() -> Report:
    with TemporaryDirectory(prefix="chargehand-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        port = free_port()
        program = Program(
            name="up",
            argv=(sys.executable, "-m", "chargehand", "up"),
            is_ready=answers(f"http://{HOST}:{port}/ready"),
            env={"PATH": os.environ["PATH"], "PORT": str(port), "STATE_DIR": str(folder / "state")},
            stop_within_s=30,
        )
        began = monotonic()
        with running_process(program, folder) as process:
            ready_s = monotonic() - began
            sleep(SETTLED_S)
            sizes = _sizes(process)
    rows = [(name, f"{mib:,.0f}") for name, mib in sizes.items()]
    rows.append(("all", f"{sum(sizes.values()):,.0f}"))
    return Report(
        tables=[
            Table(("process", "MiB"), rows),
            Table(("", "s"), [("start in a new folder until ready", f"{ready_s:.1f}")]),
        ]
    )


def _sizes(process: psutil.Process) -> dict[str, float]:
    """Proportional set size by role, in MiB: memory that processes share is split between them."""
    sizes: dict[str, float] = {}
    for member in (process, *process.children(recursive=True)):
        try:
            role = _role(member.cmdline())
            mib = member.memory_full_info().pss / 2**20
        except psutil.NoSuchProcess:
            continue
        sizes[role] = sizes.get(role, 0.0) + mib
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def _role(command: list[str]) -> str:
    line = " ".join(command)
    roles = {
        "gunicorn": "API",
        " beat": "beat",
        " flower": "Flower",
        " worker": "worker",
        "embedded.ecs": "embedded ECS",
        "embedded.csms": "CSMS",
        "redis": "Redis",
        "postgres": "PostgreSQL",
        "chargehand up": "supervisor",
    }
    return next((role for part, role in roles.items() if part in line), "others")
