"""One process: what 1,000 and 10,000 chargers cost in a single host process, beside a CSMS and a control link that cost little.

CPU is that of the host's process from its first charger until the CSMS has accepted all. Memory is proportional set size, some
seconds later. A host begins at most 200 chargers a second.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from bench.report import Budget, Report, Table
from bench.support.big_host import MAX_CAPACITY
from bench.support.cpu import cpu_s, pss
from bench.support.host_link import HostLink, running_host_link
from bench.support.servers import running_process
from embedded.ports import HOST, answers, free_port
from embedded.process import Program

RUNS = ((1_000, "OCPP1.6"), (1_000, "OCPP2.0.1"), (10_000, "OCPP1.6"))

#: Of all chargers, until they are accepted.
WITHIN_S = 150.0

SETTLED_S = 8.0  # before memory is read; the CSMS asks for a heartbeat every 60 s

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Cost:
    chargers: int
    version: str
    accepted_s: float
    cpu_s: float
    mib: float
    empty_mib: float  #: the same process without a charger
    idle_percent: float  #: of a core, in the seconds after

    @property
    def kib_each(self) -> float:
        return (self.mib - self.empty_mib) * 1024 / self.chargers


def measure() -> Report:
    return _report([measure_one(count, version) for count, version in RUNS])


def measure_one(count: int, version: str) -> Cost:
    with TemporaryDirectory(prefix="chargehand-bench-", ignore_cleanup_errors=True) as name:
        port = free_port()
        argv = (sys.executable, "-m", "bench.support.light_csms", "--port", str(port))
        program = Program("csms", argv, is_ready=answers(f"http://{HOST}:{port}/"))
        with running_process(program, Path(name)):
            return asyncio.run(_measure(count, version, f"ws://{HOST}:{port}/ocpp"))


async def _measure(count: int, version: str, csms: str) -> Cost:
    environments = {
        f"dep-{number:05}": {
            "CHARGER_IDENTITY": f"BENCH-{number:05}",
            "CHARGER_WS_URL": csms,
            "CHARGER_OCPP_VERSION": version,
        }
        for number in range(count)
    }
    async with running_host_link() as link, _host(link) as host:
        await asyncio.wait_for(link.is_connected.wait(), 30)
        empty_mib = pss(host.pid) / MIB
        began_s, spent_s = monotonic(), cpu_s(host.pid)
        await link.start(environments)
        await link.until_accepted(count, WITHIN_S)
        accepted_s, busy_s = monotonic() - began_s, cpu_s(host.pid) - spent_s
        await asyncio.sleep(SETTLED_S)
        idle_s = cpu_s(host.pid) - spent_s - busy_s
        mib = pss(host.pid) / MIB
        return Cost(count, version, accepted_s, busy_s, mib, empty_mib, 100 * idle_s / SETTLED_S)


@asynccontextmanager
async def _host(link: HostLink) -> AsyncIterator[Process]:
    environ = {
        "HOST_ID": "host-bench",
        "HOST_CAPACITY": str(MAX_CAPACITY),
        "CHARGER_CONTROL_URL": f"ws://{HOST}:{link.port}/control",
        "CHARGER_CONTROL_TOKEN": "of-the-bench",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.support.big_host", stdout=DEVNULL, env=os.environ | environ
    )
    try:
        yield process
    finally:
        process.kill()  # the chargers' last words are not measured
        await process.wait()


def _report(costs: list[Cost]) -> Report:
    head = (
        "chargers in one process",
        "all accepted s",
        "CPU s until then",
        "CPU ms each",
        "PSS MiB",
        "KiB each",
        "then % of a core",
    )
    rows = [
        (
            f"{cost.chargers:,} of {cost.version}",
            f"{cost.accepted_s:.1f}",
            f"{cost.cpu_s:.1f}",
            f"{1000 * cost.cpu_s / cost.chargers:.2f}",
            f"{cost.mib:,.0f}",
            f"{cost.kib_each:.0f}",
            f"{cost.idle_percent:.1f}",
        )
        for cost in costs
    ]
    most = costs[-1]
    return Report(
        [Table(head, rows)],
        [
            Budget(
                f"memory of {most.chargers:,} chargers of {most.version}, MiB",
                most.mib,
                at_most=600,
                reason="60 KiB each: a host of 1,000 takes a fifth of the smallest task of Fargate, 512 MiB",
            ),
            Budget(
                f"CPU until {most.chargers:,} chargers are accepted, s",
                most.cpu_s,
                at_most=45,
                reason="4.5 ms each: a host of 1,000 has them all within 5 s on one CPU",
            ),
        ],
    )
