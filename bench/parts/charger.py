"""Charger: what one charger process costs in memory, in time to its BootNotification and in CPU.

CPU is measured for 20 s at one message per second. CPU per hour is computed from that for a charger in a transaction,
with the default intervals. Memory is proportional set size: what several running chargers share counts once.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from statistics import median
from time import monotonic

from websockets.asyncio.server import serve
from websockets.typing import Subprotocol

from bench.report import Budget, Report, Table
from bench.support.cpu import cpu_s, pss
from bench.support.csms import Csms

VERSIONS = {"OCPP1.6": "ocpp1.6", "OCPP2.0.1": "ocpp2.0.1"}
CHARGERS = 6
STARTS = 5
WINDOW_S = 20.0

#: The default intervals of a charger.
HEARTBEATS_PER_HOUR = 3600 / 300
READINGS_PER_HOUR = 3600 / 60

MIB = 1024 * 1024

PSS_REASON = "1,000 processes then fit into a machine of 32 GiB"
START_REASON = "200 at once on two cores must boot within a minute (Reconnect)"
#: us-east-1, on demand, 0.25 vCPU and 0.5 GB, docs/aws.md.
FARGATE_USD_PER_MONTH = 9


def measure() -> Report:
    return asyncio.run(_measure())


async def _measure() -> Report:
    rows: list[tuple[str, ...]] = []
    budgets: list[Budget] = []
    alone_mib: list[float] = []
    each_mib: list[float] = []
    starts_s: list[float] = []
    for version in VERSIONS:
        alone, several = await _measure_memory(version)
        starts = await _measure_starts(version)
        silent_s, heartbeats_s, readings_s = await asyncio.gather(
            _measure_cpu(version, heartbeat_s=0, transaction=False),
            _measure_cpu(version, heartbeat_s=1, transaction=False),
            _measure_cpu(version, heartbeat_s=0, transaction=True),
        )
        heartbeat_ms, reading_ms = (
            _ms_per_message(busy_s, silent_s) for busy_s in (heartbeats_s, readings_s)
        )
        hour_s = silent_s / WINDOW_S * 3600
        hour_s += (heartbeat_ms * HEARTBEATS_PER_HOUR + reading_ms * READINGS_PER_HOUR) / 1000
        alone_mib.append(alone / MIB)
        each_mib.append(median(several) / MIB)
        starts_s += starts
        rows.append(
            (
                version,
                f"{alone_mib[-1]:.1f}",
                f"{each_mib[-1]:.1f}",
                f"{median(starts) * 1000:.0f} / {max(starts) * 1000:.0f}",
                f"{heartbeat_ms:.1f}",
                f"{reading_ms:.1f}",
                f"{hour_s:.2f}",
            )
        )
        budgets.append(
            Budget(f"PSS of a charger process, {version}, MiB", alone_mib[-1], PSS_REASON, at_most=30)
        )
        budgets.append(
            Budget(
                f"median start to BootNotification, {version}, s", median(starts), START_REASON, at_most=0.7
            )
        )
    head = (
        "charger process",
        "PSS alone, MiB",
        f"PSS of {CHARGERS}, MiB each",
        f"start to BootNotification, median / worst of {STARTS}, ms",
        "CPU ms per heartbeat",
        "CPU ms per reading",
        "CPU s per hour, computed",
    )
    return Report([Table(head, rows)], budgets, _summary(max(alone_mib), max(each_mib), median(starts_s)))


def _summary(alone_mib: float, each_mib: float, start_s: float) -> str:
    return (
        f"**A charger is a process of {alone_mib:.0f} MiB** that sends its BootNotification {start_s:.1f} s after its start.\n"
        f"- **1,000 chargers need {1000 * each_mib / 1024:.0f} GiB on one machine**, and about "
        f"{1000 * FARGATE_USD_PER_MONTH:,} USD a month on Fargate (0.25 vCPU and 0.5 GB each, always on, us-east-1)."
    )


def _ms_per_message(busy_s: float, silent_s: float) -> float:
    """CPU of one message, at one message per second."""
    return 1000 * max(busy_s - silent_s, 0.0) / WINDOW_S


@asynccontextmanager
async def _running(
    version: str, chargers: int, heartbeat_s: int, more: dict[str, str]
) -> AsyncIterator[tuple[Csms, list[Process]]]:
    csms = Csms(heartbeat_s)
    protocol = [Subprotocol(VERSIONS[version])]
    async with serve(csms.serve, "127.0.0.1", 0, subprotocols=protocol, close_timeout=1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        environ = {
            **os.environ,
            "CHARGER_WS_URL": f"ws://127.0.0.1:{port}",
            "CHARGER_OCPP_VERSION": version,
            **more,
        }
        processes: list[Process] = []
        try:
            for number in range(chargers):
                identity = {"CHARGER_IDENTITY": f"BENCH-{number}"}
                processes.append(
                    await asyncio.create_subprocess_exec(
                        sys.executable, "-m", "simulator", stdout=DEVNULL, env=environ | identity
                    )
                )
            await _until(lambda: csms.actions.count("StatusNotification") >= chargers)
            yield csms, processes
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                await process.wait()


async def _measure_memory(version: str) -> tuple[int, list[int]]:
    """Bytes of one charger alone, and of each of several."""
    async with _running(version, 1, 300, {}) as (_, (process,)):
        alone = pss(process.pid)
    async with _running(version, CHARGERS, 300, {}) as (_, processes):
        return alone, [pss(process.pid) for process in processes]


async def _measure_starts(version: str) -> list[float]:
    starts = []
    for _ in range(STARTS):
        started = monotonic()
        async with _running(version, 1, 300, {}) as (csms, _processes):
            starts.append(csms.boots[0] - started)
    return starts


async def _measure_cpu(version: str, *, heartbeat_s: int, transaction: bool) -> float:
    """CPU seconds in the window."""
    sample = "MeterValueSampleInterval" if version == "OCPP1.6" else "SampledDataCtrlr.TxUpdatedInterval"
    more = {"CHARGER_CONFIGURATION": json.dumps({sample: 1}), "CHARGER_EV_PLUG_IN_S": "0"}
    async with _running(version, 1, heartbeat_s or 86_400, more) as (csms, (process,)):
        if transaction:
            await csms.start_transaction(version)
            await _until(lambda: {"MeterValues", "TransactionEvent"} & set(csms.actions))
        await asyncio.sleep(1)
        before = cpu_s(process.pid)
        await asyncio.sleep(WINDOW_S)
        return cpu_s(process.pid) - before


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)
