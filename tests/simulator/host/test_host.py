"""A host runs the chargers that the control link gives it: they start, stop and start again, each once."""

from pathlib import Path

import pytest

from tests.simulator.host.hosting import HOST, desired, hosting
from tests.support.waiting import wait_until_async

VERSIONS = ["OCPP1.6", "OCPP2.0.1"]


async def test_a_host_says_hello_without_chargers_and_how_it_does(tmp_path: Path) -> None:
    async with hosting(tmp_path, HOST_CAPACITY="7", HOST_MEMORY_MIB="1") as (_, _, session, _):
        await wait_until_async(lambda: session.frames)

        (report,) = session.frames

    assert (session.hello["process"], session.hello["capacity"], session.hello["chargers"]) == (HOST, 7, [])
    assert (report["type"], report["max_chargers"], report["running"]) == ("host", 7, 0)
    assert report["memory_bytes"] > 10_000_000
    assert report["memory_limit_bytes"] == 2**20


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_charger_runs_says_its_state_and_is_switched_off(version: str, tmp_path: Path) -> None:
    async with hosting(tmp_path) as (_, link, session, csms):
        await link.give(desired("dep-1", csms.url, 3, ocpp_version=version))
        began = await link.settled("dep-1", 3)
        await csms.accepted()
        await wait_until_async(lambda: session.state("dep-1").get("csms", {}).get("state") == "accepted")
        await session.act(1, "plug_connector", "dep-1")
        await session.result(1)

        await link.give(desired("dep-1", csms.url, 4, is_on=False))
        ended = await link.settled("dep-1", 4)

    assert (began["running"], began["fault"], bool(began["boot"])) == (True, None, True)
    assert (ended["running"], ended["fault"], ended["boot"]) == (False, None, None)
    kinds = [each["type"] for each in session.frames if each["type"] != "host"]
    assert (kinds[0], kinds[-1]) == ("observed", "observed")
    (*_, memory) = session.all("memories")
    assert memory["memory"]["connectors"][0]["ev"] is not None
    assert memory["memory"]["clean"] is True


async def test_200_chargers_start_and_stop_and_say_so_together(tmp_path: Path) -> None:
    chargers = [f"dep-{number}" for number in range(200)]
    async with hosting(tmp_path) as (host, link, session, csms):
        await link.give(*(desired(each, csms.url, ocpp_version=VERSIONS[len(each) % 2]) for each in chargers))
        for each in chargers:
            assert (await link.settled(each, 1, within_s=30))["running"]
        await wait_until_async(lambda: len(csms.links) == 200, within_s=30)
        assert host.host.take_report() is None
        before = len(session.frames)

        await link.give(*(desired(each, csms.url, 2, is_on=False) for each in chargers))
        for each in chargers:
            assert not (await link.settled(each, 2, within_s=30))["running"]
        frames = len(session.frames) - before

    assert frames < len(chargers)
    assert sorted(each.identity for each in csms.links) == sorted(chargers)


async def test_a_restart_happens_once_however_often_it_is_asked_for(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (_, link, _, csms):
        await link.give(desired("dep-1", csms.url, 1))
        first = await link.settled("dep-1", 1)
        await csms.accepted()
        restart = desired("dep-1", csms.url, 2, restart_generation=2)
        for _ in range(3):
            await link.give(restart)
        second = await link.settled("dep-1", 2)
        await csms.accepted(2)

        await link.give(restart, desired("dep-1", csms.url, 1), restart)
        await link.give(desired("dep-2", csms.url, 1))
        await link.settled("dep-2", 1)

    assert second["boot"] not in (None, first["boot"])
    assert second["restart_generation"] == 2
    assert link.observed("dep-1") == second
    assert [each.identity for each in csms.links][:2] == ["dep-1", "dep-1"]
    assert len(csms.links) <= 3


async def test_a_memory_goes_with_its_time_and_not_with_each_word_of_a_neighbour(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (_, link, session, csms):
        await link.give(desired("dep-1", csms.url), desired("dep-2", csms.url))
        await csms.accepted(2)
        await wait_until_async(lambda: len({each["charger"] for each in session.all("memories")}) == 2)
        session.frames.clear()

        for action_id in range(1, 21):
            await session.act(action_id, ("plug_connector", "unplug_connector")[action_id % 2 - 1], "dep-1")
            await session.result(action_id)

    assert len([each for each in session.all("memories") if each["charger"] == "dep-1"]) <= 3
