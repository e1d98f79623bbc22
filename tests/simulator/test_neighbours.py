"""200 chargers share a process. Whatever happens to one of them, the others live on."""

import asyncio
import gc
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from simulator.charge_point.charge_point import ChargePoint
from simulator.lifecycle import build_charge_point, live
from simulator.log import EventLog
from simulator.settings import read_settings
from tests.simulator.charger import environment
from tests.simulator.hostile_csms import HEARTBEAT_S, PLAGUES, PROFILES
from tests.support.cpu_times import CpuTimes

CHARGERS = 200
PLAGUED_S = 6
MAX_GAP_S = 2.5  # between two heartbeats of a charger, which are HEARTBEAT_S apart
MAX_TURN_S = 1.0  # of CPU, also when coverage traces 200 chargers; usual are 0.1
VERSIONS = {"16": "OCPP1.6", "201": "OCPP2.0.1"}


@asynccontextmanager
async def hostile_csms() -> AsyncIterator[tuple[str, asyncio.StreamReader]]:
    """Its URL, and where its report will come."""
    arguments = ("-m", "tests.simulator.hostile_csms", str(CHARGERS), str(PLAGUED_S))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE, limit=2**24)
    assert process.stdout is not None
    try:
        yield f"ws://127.0.0.1:{int(await process.stdout.readline())}/ocpp", process.stdout
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
def no_garbage_of_others(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A full collection takes no time for the objects of the tests before this one: that of a host would unfreeze them."""
    gc.collect()
    gc.freeze()
    monkeypatch.setattr("simulator.host.garbage.collect", gc.collect)
    yield
    gc.unfreeze()


def identities() -> list[str]:
    """One of each plague and version, and peaceful ones."""
    plagued = [f"{plague}-{version}" for plague in PLAGUES for version in VERSIONS]
    peaceful = [f"CP-{number}-{'16' if number % 2 else '201'}" for number in range(CHARGERS - len(plagued))]
    return plagued + peaceful


def build(identity: str, url: str) -> ChargePoint:
    version = VERSIONS[identity.rpartition("-")[2]]
    settings = read_settings(environment(url, version, identity=identity, connect_jitter_s=1))
    charger = build_charge_point(settings, EventLog(lambda _: None))
    if identity.startswith("FAILS"):
        charger.authorizer.clear_cache = fail  # type: ignore[method-assign]
    return charger


def fail() -> bool:
    raise ZeroDivisionError


def longest_gaps(report: dict[str, Any], *processes: CpuTimes) -> dict[str, float]:
    """By identity, in seconds: from one heartbeat to the next or to the end.

    Without the time in which a process waited for a CPU, which other processes of the machine had, while the heartbeat was
    due. A loop that is held up by its own work does not wait for a CPU.
    """
    began, ended = report["began"], report["ended"]
    gaps: dict[str, float] = {}
    for identity in identities():
        beats = [began, *(at for at in report["beats"].get(identity, []) if began < at < ended), ended]
        gaps[identity] = max(
            end - begin - sum(each.waited_s(min(begin + HEARTBEAT_S, end), end) for each in processes)
            for begin, end in pairwise(beats)
        )
    return gaps


@pytest.mark.usefixtures("no_garbage_of_others")
async def test_no_charger_holds_up_its_neighbours() -> None:
    """One is flooded, one has a handler that raises, one computes schedules of a hundred days; of each version.

    Two bounds, because other processes may take the CPU: none of their work is in the time that a turn of this loop takes of
    the CPU, and a loop that stands still without work delays the heartbeats at the CSMS.
    """
    own = CpuTimes()
    async with hostile_csms() as (url, output):
        chargers = [build(identity, url) for identity in identities()]
        sampling = asyncio.create_task(own.sample())
        lives = [asyncio.create_task(live(charger)) for charger in chargers]
        async with asyncio.timeout(60):
            report = json.loads(await output.readline())
        ended_early = [life for life in lives if life.done()]
        for task in (*lives, sampling):
            task.cancel()
        await asyncio.gather(*lives, sampling, return_exceptions=True)

    assert own.longest_turn_s() < MAX_TURN_S
    gaps = longest_gaps(report, own, CpuTimes(report["cpu_times"]))
    assert {each: gap for each, gap in gaps.items() if gap > MAX_GAP_S and each.startswith("CP-")} == {}
    assert (ended_early, report["lost"]) == ([], [])
    for version in VERSIONS:
        answers = {plague: report["answers"][f"{plague}-{version}"] for plague in PLAGUES}
        assert sum(answers["FLOOD"].values()) > PROFILES
        assert answers["FAILS"].keys() == {"InternalError"}
        assert answers["SCHEDULES"]["Accepted"] > PROFILES
    assert max(gaps.values()) > HEARTBEAT_S / 2  # there was something to measure
