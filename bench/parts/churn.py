"""Churn: 20,000 starts and stops in one process of a host, and what is left of them afterwards.

The control link is scripted: it starts 200 chargers, stops them when their CSMS has them all, and so on. Between two rounds every charger is
off, so nothing but what the host has kept is measured.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import httpx
import psutil
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from bench.report import Budget, Report, Table
from bench.support.servers import running_process
from embedded.ports import HOST, answers, free_port
from embedded.process import Program

STARTS = int(os.environ.get("BENCH_STARTS", "20000"))
CHARGERS = 200  # that start and stop in each round
ROUND_WITHIN_S = 60.0
POLL_S = 0.05
COLLECTED_AFTER_S = 4.0  # the host collects its garbage 2 s after a wave of starts and ends
VERSIONS = ("OCPP1.6", "OCPP2.0.1")


@dataclass(frozen=True, slots=True)
class Size:
    """Of the process while all its chargers are off."""

    starts: int
    mib: float  #: private to the process
    descriptors: int
    threads: int


class Link:
    """Welcomes one host, and says what its chargers shall be."""

    def __init__(self) -> None:
        self._socket: ServerConnection | None = None
        self._welcomed = asyncio.Event()
        self._changed = asyncio.Event()
        self._running: dict[str, tuple[int, bool]] = {}

    async def serve(self, socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(
            json.dumps(
                {"type": "welcome", "session": "1", "token": "t", "token_expires_in_s": 3600, "chargers": []}
            )
        )
        self._socket = socket
        self._welcomed.set()
        async for raw in socket:
            frame = json.loads(raw)
            for each in frame.get("observed", ()):
                self._running[each["charger"]] = each["generation"], each["running"]
            self._changed.set()

    async def welcomed(self) -> None:
        await self._welcomed.wait()

    async def give(self, entries: list[dict[str, Any]]) -> None:
        """Return when the host has dealt with all of them."""
        assert self._socket is not None
        for start in range(0, len(entries), 50):
            await self._socket.send(json.dumps({"type": "desired", "desired": entries[start : start + 50]}))
        expected = {each["charger"]: (each["generation"], each["desired_count"] == 1) for each in entries}
        async with asyncio.timeout(ROUND_WITHIN_S):
            while any(self._running.get(charger) != state for charger, state in expected.items()):
                self._changed.clear()
                await self._changed.wait()


def measure() -> Report:
    with TemporaryDirectory(prefix="chargehand-bench-") as folder:
        port = free_port()
        argv = (sys.executable, "-m", "bench.support.light_csms", "--port", str(port))
        with running_process(Program("csms", argv, is_ready=answers(f"http://{HOST}:{port}/")), Path(folder)):
            return _report(*asyncio.run(_churn(port)))


async def _churn(csms_port: int) -> tuple[list[Size], float, float]:
    """The sizes, the seconds that it took, and the CPU seconds of the host."""
    csms_url = f"ws://{HOST}:{csms_port}/ocpp"
    async with (
        httpx.AsyncClient(base_url=f"http://{HOST}:{csms_port}", trust_env=False) as csms,
        _host() as (link, process),
    ):
        began, sizes = monotonic(), []
        rounds = STARTS // CHARGERS
        for number in range(rounds + 1):
            if number > 0 and number * 4 % rounds == 0:
                await asyncio.sleep(COLLECTED_AFTER_S)
                sizes.append(_size(process, number * CHARGERS))
            if number < rounds:
                await link.give([_entry(each, number, csms_url) for each in range(CHARGERS)])
                await _until_connected(csms, CHARGERS)
                await link.give([_entry(each, number, csms_url, is_on=False) for each in range(CHARGERS)])
        times = process.cpu_times()
        return sizes, monotonic() - began, times.user + times.system


@asynccontextmanager
async def _host() -> AsyncIterator[tuple[Link, psutil.Process]]:
    link = Link()
    async with serve(link.serve, HOST, 0, subprotocols=[Subprotocol("chargehand.control.v1")]) as server:
        environ = {
            "HOST_ID": "host-1",
            "CHARGER_CONTROL_URL": f"ws://{HOST}:{next(iter(server.sockets)).getsockname()[1]}/control",
            "CHARGER_CONTROL_TOKEN": "token",
            "CHARGER_CONNECT_JITTER_S": "0",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "simulator.host"),
            stdout=asyncio.subprocess.DEVNULL,
            env=os.environ | environ,
        )
        try:
            await link.welcomed()
            yield link, psutil.Process(process.pid)
        finally:
            process.terminate()
            await process.wait()


async def _until_connected(csms: httpx.AsyncClient, count: int) -> None:
    async with asyncio.timeout(ROUND_WITHIN_S):
        while (await csms.get("/")).json()["open"] != count:
            await asyncio.sleep(POLL_S)


def _entry(number: int, turn: int, csms_url: str, *, is_on: bool = True) -> dict[str, Any]:
    """What a charger shall be. Every other stop is for good, as a delete or a move is, and another charger comes next."""
    entry: dict[str, Any] = {
        "charger": f"dep-{number}" if number % 2 else f"dep-{number}-{turn}",
        "generation": 2 * turn + (1 if is_on else 2),
        "desired_count": int(is_on),
        "restart_generation": 0,
        "leaving": not is_on and number % 2 == 0,
    }
    if is_on:
        environment = {
            "CHARGER_IDENTITY": f"CP-{number}",
            "CHARGER_WS_URL": csms_url,
            "CHARGER_OCPP_VERSION": VERSIONS[number // 2 % 2],
        }
        entry |= {"spec": {"revision": 1, "environment": environment}, "memory": None}
    return entry


def _size(process: psutil.Process, starts: int) -> Size:
    return Size(starts, process.memory_full_info().uss / 2**20, process.num_fds(), process.num_threads())


def _report(sizes: list[Size], seconds: float, cpu_s: float) -> Report:
    first, last = sizes[0], sizes[-1]
    head = ("starts and stops", "MiB", "descriptors", "threads")
    rows = [
        (f"{each.starts:,}", f"{each.mib:.1f}", str(each.descriptors), str(each.threads)) for each in sizes
    ]
    per_start = cpu_s * 1000 / last.starts
    totals = Table(
        ("seconds", "CPU s", "CPU ms for a start and a stop"),
        [(f"{seconds:.0f}", f"{cpu_s:.1f}", f"{per_start:.1f}")],
    )
    return Report(
        tables=[Table(head, rows), totals],
        budgets=[
            Budget(
                f"memory after {last.starts:,} starts and stops beside that after {first.starts:,}, MiB more",
                last.mib - first.mib,
                at_most=5,
                reason="a host runs for weeks: a KiB that stays of each start would be 15 MiB here. The garbage of a minute is collected "
                "together, so the first quarter shows how much memory that takes",
            ),
            Budget(
                "descriptors more",
                last.descriptors - first.descriptors,
                at_most=0,
                reason="a charger that is off has none",
            ),
        ],
    )
