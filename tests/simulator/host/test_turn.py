"""A handler that does not end holds up nobody: its charger's turn ends, and with it nothing that others use."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from functools import partial, wraps
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from simulator import turn
from simulator.host.writer import Writer
from simulator.lifecycle import load_kind
from simulator.log import EventLog
from simulator.turn import TURN, TURN_S, TurnTooLong
from simulator.versions import VERSIONS
from tests.simulator.host.hosting import desired, hosting
from tests.simulator.hostile_csms import HEARTBEAT_S
from tests.simulator.test_neighbours import CHARGERS, MAX_GAP_S, hostile_csms, no_garbage_of_others
from tests.simulator.test_neighbours import VERSIONS as VERSION_OF
from tests.support.cpu_times import CpuTimes
from tests.support.csms import BOOT_ACCEPTED, call16
from tests.support.waiting import wait_until_async

__all__ = ["no_garbage_of_others"]

SLOW = ["SLOW-16"]


def never_end() -> None:
    while True:
        sum(range(100))


@pytest.fixture
def slow_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """ClearCache, of either version, and GetLocalListVersion of 1.6 do not end in chargers that are called SLOW."""
    for version, action in (
        ("OCPP1.6", "ClearCache"),
        ("OCPP2.0.1", "ClearCache"),
        ("OCPP1.6", "GetLocalListVersion"),
    ):
        handlers = load_kind(VERSIONS[version]).handlers
        handler = handlers[action]

        @wraps(handler)
        def slow(charge_point: Any, payload: Any, handler: Any = handler) -> Any:
            if charge_point.settings.identity.startswith("SLOW"):
                never_end()
            return handler(charge_point, payload)

        monkeypatch.setitem(handlers, action, slow)


@pytest.mark.usefixtures("no_garbage_of_others", "slow_handlers")
async def test_a_handler_that_does_not_end_is_ended_and_the_neighbours_beat_on(tmp_path: Path) -> None:
    own = CpuTimes()
    peaceful = [f"CP-{number}-{'16' if number % 2 else '201'}" for number in range(CHARGERS - len(SLOW))]
    async with hostile_csms() as (url, output), hosting(tmp_path) as (host, link, session, _):
        sampling = asyncio.create_task(own.sample())
        await link.give(
            *(
                desired(each, url, ocpp_version=VERSION_OF[each.rpartition("-")[2]])
                for each in SLOW + peaceful
            )
        )
        async with asyncio.timeout(60):
            report = json.loads(await output.readline())
        sampling.cancel()
        remarks = [line["message"] for line in host.lines("SLOW-16") if line.get("level") == "error"]

    gaps = {each: longest_gap(report, each, own) for each in peaceful}
    assert {each: gap for each, gap in gaps.items() if gap > MAX_GAP_S} == {}
    assert set(report["lost"]) <= set(SLOW)
    assert all(report["answers"][each].keys() == {"InternalError"} for each in SLOW)
    assert f"ClearCache was not answered: it took more than {TURN_S:g} s of CPU" in remarks
    assert any(each["fault"] and "halfway" in each["fault"] for each in session.all("observed"))
    assert {each["charger"] for each in session.all("observed") if each["fault"]} <= set(SLOW)


def longest_gap(report: dict[str, Any], identity: str, own: CpuTimes) -> float:
    """Between two heartbeats, without the time in which one of the processes waited for a CPU that others had."""
    began, ended = report["began"], report["ended"]
    beats = [began, *(at for at in report["beats"].get(identity, []) if began < at < ended), ended]
    waits = (own, CpuTimes(report["cpu_times"]))
    gaps: list[float] = [
        end - begin - sum(each.waited_s(min(begin + HEARTBEAT_S, end), end) for each in waits)
        for begin, end in pairwise(beats)
    ]
    return max(gaps)


@pytest.mark.usefixtures("slow_handlers")
async def test_a_charger_whose_answer_was_ended_starts_again_unless_it_only_read(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (_, link, session, csms):
        csms.answers["BootNotification"] = BOOT_ACCEPTED
        await link.give(desired("SLOW-1", csms.url, ocpp_version="OCPP1.6"))
        charger = await csms.accepted()
        boot = (await link.settled("SLOW-1", 1))["boot"]

        with pytest.raises(Exception, match="too long"):
            await charger.call(call16.GetLocalListVersion())
        with pytest.raises(Exception, match="too long"):
            await charger.call(call16.GetLocalListVersion())
        assert link.observed("SLOW-1")["boot"] == boot

        with pytest.raises(Exception, match="too long"):
            await charger.call(call16.ClearCache())
        await csms.accepted(2)
        await wait_until_async(lambda: link.observed("SLOW-1")["running"])

    assert link.observed("SLOW-1")["boot"] != boot
    assert [each["fault"] is not None for each in session.all("observed")] == [False, True, False]


@pytest.fixture
def short_turns(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(turn, "TURN_S", 0.004)  # the kernel's clock of CPU time has no shorter ticks
    with TURN.limiting():
        yield


@pytest.mark.usefixtures("short_turns")
def test_a_turn_that_is_over_leaves_the_log_of_the_others_intact(tmp_path: Path) -> None:
    """Nothing is raised while the lock of the writer is taken: its thread would wait for it without end."""
    with (tmp_path / "lines").open("wb") as file:
        writer = Writer(file.fileno())
        log = EventLog(writer.write, write_frame=partial(writer.write_frame, "dep-1"))

        def write() -> None:
            while True:
                log.frame("cp_to_csms", "Heartbeat", "{}")

        for _ in range(100):
            with pytest.raises(TurnTooLong):
                TURN.take(write)
        log.remark("info", "the last word")
        writer.close(5)
        assert not writer._thread.is_alive()

    assert json.loads((tmp_path / "lines").read_text().splitlines()[-1])["message"] == "the last word"


@pytest.mark.usefixtures("short_turns")
def test_a_turn_that_took_its_end_for_an_error_of_its_own_is_over_all_the_same() -> None:
    def swallow() -> str:
        try:
            never_end()
        except Exception:
            return "as if nothing had happened"
        return ""

    with pytest.raises(TurnTooLong):
        TURN.take(swallow)


@pytest.mark.usefixtures("short_turns")
def test_nothing_is_ended_between_the_turns() -> None:
    """Whatever the loop and the other chargers take."""
    for number in range(20):
        assert TURN.take(lambda number=number: number) == number  # type: ignore[misc]
        until_s = time.process_time() + 0.02
        while time.process_time() < until_s:
            os.getpid()
