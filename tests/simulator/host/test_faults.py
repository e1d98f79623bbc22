"""What befalls a host: its link goes and comes, another process takes over, a CSMS is hostile, it is switched off."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from itertools import groupby
from pathlib import Path

import pytest

from simulator.host.watchdog import STOOD_S
from tests.simulator.host.hosting import HostLink, desired, hosting
from tests.support.csms import Csms
from tests.support.waiting import wait_until_async


async def test_the_chargers_run_on_while_the_link_is_away(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (_, link, first, csms):
        await link.give(desired("dep-1", csms.url), desired("dep-2", csms.url))
        await csms.accepted(2)
        boots = {each: (await link.settled(each, 1))["boot"] for each in ("dep-1", "dep-2")}
        link.refusal = 503
        first.socket.transport.abort()
        await wait_until_async(lambda: len(link.attempts) > 3)
        link.refusal = None

        second = await link.session(2)
        await link.give(desired("dep-1", csms.url), desired("dep-2", csms.url, 2, is_on=False))
        await link.settled("dep-2", 2)
        await wait_until_async(lambda: second.state("dep-1").get("connectors"))

    assert {each["charger"]: each["boot"] for each in second.hello["chargers"]} == boots
    assert {each["has_memory"] for each in second.hello["chargers"]} == {True}
    assert [each["running"] for each in second.all("observed") if each["charger"] == "dep-1"] == [True]
    assert len(csms.links) == 2


async def test_the_last_words_of_a_charger_that_ended_while_the_link_was_away_come_later(
    tmp_path: Path,
) -> None:
    async with hosting(tmp_path) as (_, link, first, csms):
        csms.answers["StopTransaction"] = lambda _: {}
        await link.give(desired("dep-1", csms.url))
        await csms.accepted()
        await link.give(desired("dep-1", csms.url, 2, is_on=False))
        first.socket.transport.abort()

        second = await link.session(2)
        await link.give(desired("dep-1", csms.url, 2, is_on=False))
        await wait_until_async(lambda: second.all("observed"))

    assert second.all("observed")[-1]["running"] is False
    assert [each["memory"]["clean"] for each in second.all("memories")][-1:] == [True]


async def test_a_host_whose_other_process_is_connected_ends_all_its_chargers(tmp_path: Path) -> None:
    """And starts them again when that process has gone and the link wants it to, with what the link remembers."""
    async with hosting(tmp_path) as (host, link, first, csms):
        chargers = [f"dep-{number}" for number in range(20)]
        await link.give(*(desired(each, csms.url) for each in chargers))
        await csms.accepted(20)
        link.close_code = 4009
        first.socket.transport.abort()

        await wait_until_async(lambda: all(each.socket.close_code for each in csms.links))
        await wait_until_async(lambda: not list(host.host._keeper.running()))
        link.close_code = None
        second = await link.session(2)
        await link.give(*(desired(each, csms.url) for each in chargers))
        await csms.accepted(40)

    assert second.hello["chargers"] == []
    assert not any(each.all("StopTransaction") for each in csms.links)
    assert {each["charger"] for each in second.all("observed") if each["running"]} == set(chargers)


async def test_a_host_whose_session_is_ended_as_taken_ends_nothing_before_its_hello_is_refused(
    tmp_path: Path,
) -> None:
    """The link may have lost the row of the session alone."""
    async with hosting(tmp_path) as (_, link, first, csms):
        await link.give(desired("dep-1", csms.url))
        await csms.accepted(1)

        await first.socket.close(4009, "a newer session of this process")
        second = await link.session(2)
        await link.give(desired("dep-1", csms.url))

    assert [each["charger"] for each in second.hello["chargers"]] == ["dep-1"]
    assert len(csms.links) == 1


async def test_a_charger_that_the_link_does_not_know_ends(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (_, link, session, csms):
        await link.give(desired("dep-1", csms.url, 5))
        await csms.accepted()
        await link.settled("dep-1", 5)

        await link.give(desired("dep-1", csms.url, 0, is_on=False, leaving=True))
        await wait_until_async(lambda: not session.all("observed")[-1]["running"])
        await link.give(desired("dep-1", csms.url, 3))
        await csms.accepted(2)

    assert link.observed("dep-1")["generation"] == 3


async def test_an_entry_that_comes_after_the_charger_has_left_starts_nothing(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (_, link, session, csms):
        await link.give(desired("dep-1", csms.url, 5))
        await csms.accepted()
        await link.give(desired("dep-1", csms.url, 6, is_on=False, leaving=True))
        await link.settled("dep-1", 6)

        await link.give(desired("dep-1", csms.url, 5), desired("dep-2", csms.url))
        await link.settled("dep-2", 1)
        await csms.accepted(2)

    assert [each.identity for each in csms.links] == ["dep-1", "dep-2"]
    assert not [each for each in session.all("observed") if each["charger"] == "dep-1"][-1]["running"]


async def test_the_lines_of_each_start_are_numbered_without_a_gap(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (host, link, _, csms):
        await link.give(*(desired(f"dep-{number}", csms.url) for number in range(10)))
        await csms.accepted(10)
        await link.give(desired("dep-0", csms.url, 2, restart_generation=2))
        await link.settled("dep-0", 2)
        await csms.accepted(11)
        await host.switch_off()
        lines = [line for line in host.lines() if "charger" in line]

    lines.sort(key=lambda line: (line["charger"], line["boot"]))
    starts = {key: list(each) for key, each in groupby(lines, lambda line: (line["charger"], line["boot"]))}
    assert len(starts) == 11
    for each in starts.values():
        assert [line["n"] for line in each] == list(range(len(each)))
        assert list(each[0])[:4] == ["timestamp", "charger", "boot", "n"]


async def test_sigterm_switches_all_chargers_off_in_order() -> None:
    """A second one changes nothing. The link gets what the chargers remember."""
    async with Csms() as csms, HostLink() as link:
        host = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "simulator.host"), stdout=PIPE, env=os.environ | link.environment
        )
        assert host.stdout is not None
        session = await link.session()
        chargers = [f"dep-{number}" for number in range(50)]
        await link.give(*(desired(each, csms.url, ev_plug_in_s=0) for each in chargers))
        await wait_until_async(
            lambda: sum(bool(each.all("StatusNotification")) for each in csms.links) == 50, within_s=30
        )
        await session.act(1, "start_session", "dep-7", connector_id=1, id_tag="TAG")
        (charging,) = [each for each in csms.links if each.identity == "dep-7"]
        await charging.next("StartTransaction")

        host.send_signal(signal.SIGTERM)
        host.send_signal(signal.SIGTERM)
        lines = [json.loads(line) async for line in host.stdout]
        status = await host.wait()

    assert status == 0
    assert charging.all("StopTransaction")
    assert {each["charger"] for each in session.all("memories") if each["memory"]["clean"]} == set(chargers)
    ended = [line for line in lines if line.get("reason") == "stopped"]
    assert {line["charger"] for line in ended} == set(chargers)
    assert [line for line in lines if line["type"] == "log" and line["level"] == "error"] == []


@pytest.mark.slow
async def test_a_process_that_stood_still_connects_no_charger_before_the_link_has_heard_it() -> None:
    """Another process may have taken its place: then it ends them."""
    async with Csms() as csms, HostLink() as link:
        host = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "simulator.host"), stdout=DEVNULL, env=os.environ | link.environment
        )
        try:
            session = await link.session()
            chargers = [f"dep-{number}" for number in range(20)]
            await link.give(*(desired(each, csms.url) for each in chargers))
            await csms.accepted(20)

            host.send_signal(signal.SIGSTOP)
            await asyncio.sleep(STOOD_S + 1)  # the process measures its own standing still
            link.close_code = 4009
            session.socket.transport.abort()
            for each in csms.links:
                each.socket.transport.abort()
            host.send_signal(signal.SIGCONT)
            await wait_until_async(lambda: len(link.attempts) > 2, within_s=40)
            assert len(csms.links) == 20
            link.close_code = None
            await wait_until_async(lambda: len(link.sessions) > 1, within_s=60)
            second = link.sessions[-1]
            await link.give(*(desired(each, csms.url) for each in chargers))
            await csms.accepted(40)
        finally:
            host.kill()
            await host.wait()

    assert second.hello["chargers"] == []


@pytest.mark.slow
async def test_the_chargers_of_a_process_that_stood_still_connect_again_at_once_when_its_session_lasts() -> (
    None
):
    async with Csms() as csms, HostLink() as link:
        host = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "simulator.host"), stdout=DEVNULL, env=os.environ | link.environment
        )
        try:
            await link.session()
            await link.give(desired("dep-1", csms.url))
            await csms.accepted(1)

            host.send_signal(signal.SIGSTOP)
            await asyncio.sleep(STOOD_S + 1)
            csms.links[0].socket.transport.abort()
            host.send_signal(signal.SIGCONT)

            await csms.link(2)
        finally:
            host.kill()
            await host.wait()

    assert len(link.attempts) == 1
