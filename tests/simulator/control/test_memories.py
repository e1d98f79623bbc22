"""What a charger remembers travels over the control link, and is there for its next process."""

import asyncio
import json
from pathlib import Path

import pytest

from simulator.control.frames import TooBig, batch
from simulator.process import WELCOME_WAIT_S
from tests.simulator.charger import ChargerProcess
from tests.simulator.control.controlled import HASTE, ControlledCharger, controlled
from tests.simulator.control.scripted_link import Frame, ScriptedLink
from tests.simulator.talk import start_remotely, transaction_calls
from tests.support.csms import Csms
from tests.support.waiting import wait_until_async

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])


@VERSIONS
async def test_a_transaction_that_a_kill_ended_is_reported_by_the_next_process(version: str) -> None:
    """Without a disk: only the link has what the charger remembers."""
    async with Csms() as csms, ScriptedLink() as link:
        async with ChargerProcess(csms.url, version, **link.environment, ev_plug_in_s=0) as charger:
            session = await link.session()
            await start_remotely(await csms.accepted(), version)
            await wait_until_async(lambda: has_transaction(session.all("memories")))
            assert charger.process is not None
            charger.process.kill()
        link.memory = session.all("memories")[-1]["memory"]

        async with ControlledCharger(link, csms.url, version):
            second = await csms.accepted(2)
            await wait_until_async(lambda: transaction_calls(second))

    assert transaction_calls(second)[-1] in ("StopTransaction", "Ended")
    assert (await link.session(2)).hello["chargers"][0]["has_memory"] is False


def has_transaction(memories: list[Frame]) -> bool:
    return bool(memories) and any(each["transaction"] for each in memories[-1]["memory"]["connectors"])


async def test_the_last_memory_says_that_the_charger_ended_in_order() -> None:
    async with controlled() as (charger, session, _):
        await session.act(1, "plug_connector")
        await session.result(1)
        await charger.switch_off()

        (*_, last) = session.all("memories")

    assert last["memory"]["clean"] is True
    assert last["memory"]["connectors"][0]["ev"] is not None


@VERSIONS
async def test_a_password_that_the_csms_has_set_is_apart_from_the_rest(version: str) -> None:
    name = "authorization_key" if version == "OCPP1.6" else "password"
    key = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
    async with Csms() as csms, ScriptedLink() as link:
        async with ControlledCharger(link, csms.url, version) as charger:
            session = await link.session()
            await wait_until_async(lambda: charger.process.charge_point)
            charger.model.options.set(name, key)
            charger.model.keep_state()
        memory = session.all("memories")[-1]["memory"]
        assert memory["secrets"] == {name: key}
        assert key not in str(memory["options"])
        link.memory = memory

        async with ControlledCharger(link, csms.url, version) as charger:
            await wait_until_async(lambda: charger.process.charge_point)

            assert charger.model.options.text(name) == key


async def test_many_changes_make_few_memories() -> None:
    async with controlled() as (charger, session, _):
        for _ in range(200):
            charger.model.keep_state()
        await session.act(1, "get_ev_state")
        await session.result(1)

        assert len(session.all("memories")) <= 2


async def test_a_state_file_counts_more_than_the_link(tmp_path: Path) -> None:
    state_file = tmp_path / "state.json"
    async with controlled(state_file=state_file) as (charger, _, _):
        charger.model.actions.begin("plug_connector", {})
    async with controlled(state_file=state_file) as (charger, session, _):
        assert session.hello["chargers"][0]["has_memory"] is True
        assert charger.model.station.connectors[0].plugged


async def test_a_charger_begins_without_its_memory_when_the_link_stays_away() -> None:
    async with Csms() as csms, ScriptedLink() as link:
        link.refusal = 503
        async with ControlledCharger(link, csms.url) as charger:
            await csms.accepted()

        assert any("begins without what it remembers" in remark for remark in charger.remarks())


async def test_a_charger_waits_longer_for_the_memory_of_a_boot_that_is_still_connected() -> None:
    async with Csms() as csms, ScriptedLink() as link:
        link.close_code = 4009
        async with ControlledCharger(link, csms.url) as charger:
            await wait_until_async(lambda: any("4009" in remark for remark in charger.remarks()))
            await asyncio.sleep(1.5 * WELCOME_WAIT_S / HASTE)
            assert csms.links == []
            link.close_code = None

            await csms.accepted()

        assert not any("begins without" in remark for remark in charger.remarks())


@pytest.mark.parametrize("memory", [{}, {"format": 1}, {"format": 1, "identity": "CP-1", "clean": True}])
async def test_a_memory_that_cannot_be_used_is_left_aside(memory: Frame) -> None:
    async with Csms() as csms, ScriptedLink() as link:
        link.memory = memory
        async with ControlledCharger(link, csms.url) as charger:
            await csms.accepted()

        assert any("what the charger remembers is not used" in remark for remark in charger.remarks())


def test_items_share_a_frame_and_one_that_no_welcome_could_bring_back_is_named() -> None:
    items = [{"charger": f"dep-{number}", "memory": "x" * 50_000} for number in range(10)]
    items.insert(3, {"charger": "dep-big", "memory": "x" * 1_000_000})
    frames: list[str] = []

    with pytest.raises(TooBig, match="dep-big"):
        frames.extend(batch("memories", items))

    sent = [each["charger"] for frame in frames for each in json.loads(frame)["memories"]]
    assert sent == [f"dep-{number}" for number in range(10)]
    assert [len(frame) // 50_000 for frame in frames] == [2] * 5
