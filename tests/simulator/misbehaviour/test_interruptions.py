"""A link that drops, a power cut and a wrong clock, as a CSMS sees them."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.http11 import Request

from simulator.clock import parse_time
from tests.simulator.charger import LocalCharger
from tests.simulator.talk import Talk, open_talk
from tests.support.csms import NOW, Csms
from tests.support.waiting import wait_until_async


def arm(talk: Talk, kind: str, **event: Any) -> str | None:
    return talk.model.misbehaviour.arm(kind, event)


async def test_a_link_drops_without_a_close_frame_and_comes_back_when_its_time_is_over(talk: Talk) -> None:
    began_s = time.monotonic()
    arm(talk, "drop_link", seconds=0.5)
    await talk.charger.connection("disconnected", "dropped_on_purpose")

    await talk.csms.link(2)

    assert time.monotonic() - began_s >= 0.5
    assert talk.link.socket.close_code == 1006
    assert not talk.csms.links[1].all("BootNotification")


async def test_a_transaction_goes_on_while_the_link_is_dropped(talk: Talk) -> None:
    await talk.start()

    arm(talk, "drop_link", seconds=0.2)
    await talk.csms.link(2)
    await wait_until_async(lambda: talk.model.reachable)

    assert talk.connector.transaction is not None
    assert talk.connector.power_w > 0


async def test_a_link_that_is_dropped_comes_back_at_once_when_it_is_switched_off(talk: Talk) -> None:
    arm(talk, "drop_link", seconds=600)
    await wait_until_async(lambda: not talk.model.online)
    assert talk.model.misbehaviour.describe()["armed"] == [{"kind": "drop_link", "seconds": 600, "fired": 1}]

    assert talk.model.misbehaviour.stop() == 1

    await talk.csms.link(2)
    await wait_until_async(lambda: talk.model.misbehaviour.describe()["armed"] == [])


async def test_a_link_drops_right_after_a_message_whose_answer_is_lost_and_the_message_comes_again(
    talk: Talk,
) -> None:
    action = "StartTransaction" if talk.is_16 else "TransactionEvent"
    arm(talk, "drop_link", seconds=0.1, after=action)
    await talk.perform("PlugIn")
    await talk.perform("PresentToken", '{"idToken": "TAG"}')

    again = await talk.csms.link(2)

    first, repeated = await talk.link.next(action), await again.next(action)
    assert first == repeated


async def test_a_charger_that_waits_to_reconnect_stays_away_for_the_time_of_the_drop(talk: Talk) -> None:
    talk.csms.kill()
    await wait_until_async(lambda: not talk.model.online)
    arm(talk, "drop_link", seconds=0.3)
    attempts = talk.charger.states().count("connecting")
    await talk.csms.__aenter__()

    await talk.csms.link(2)

    assert talk.charger.states().count("connecting") == attempts + 1


async def test_a_power_cut_ends_a_transaction_without_a_word_until_the_charger_has_booted_again(
    talk: Talk,
) -> None:
    await talk.start()

    arm(talk, "power_cut", seconds=0.3)

    await talk.charger.connection("disconnected", "power_cut")
    assert talk.connector.power_w == 0
    link = await talk.csms.link(2)
    if talk.is_16:
        ended = await link.next("StopTransaction")
        assert ended["reason"] == "PowerLoss"
    else:
        ended = await link.next("TransactionEvent", lambda payload: payload["event_type"] == "Ended")
        assert ended["transaction_info"]["stopped_reason"] == "PowerLoss"
        assert link.all("BootNotification")[0]["reason"] == "PowerUp"
    assert link.calls[0].action == "BootNotification"
    assert not [call for call in talk.link.calls if call.action == "StopTransaction"]
    assert talk.connector.plugged


async def test_nothing_begins_while_the_power_is_off(talk: Talk) -> None:
    arm(talk, "power_cut", seconds=600)
    await talk.charger.connection("disconnected", "power_cut")

    talk.model.station.cable.plug(talk.connector)

    assert not talk.connector.is_usable
    assert talk.connector.power_w == 0
    assert arm(talk, "power_cut", seconds=1) == "the power is off"
    assert arm(talk, "drop_link", seconds=1) == "the power is off"


async def test_a_power_cut_comes_before_a_reboot_that_waits(talk: Talk) -> None:
    await talk.start()
    talk.model.reboots.begin_when_idle()

    arm(talk, "power_cut", seconds=0.1)
    link = await talk.csms.accepted(2)
    await wait_until_async(lambda: not talk.model.has_queued_messages(None))

    assert not talk.model.wants_reboot
    assert len(talk.csms.links) == 2
    if not talk.is_16:
        assert link.all("BootNotification")[0]["reason"] == "PowerUp"


async def test_a_clock_is_wrong_by_so_many_seconds_whatever_the_csms_sends(talk: Talk) -> None:
    arm(talk, "clock_skew", offset_seconds=-7200)
    await talk.perform("PlugIn")
    status = await talk.link.next("StatusNotification")
    await talk.call("TriggerMessage", requested_message="Heartbeat")
    await talk.link.next("Heartbeat")
    await talk.perform("Unplug")
    next_status = await talk.link.next("StatusNotification")

    for each in (status, next_status):
        assert -7200 <= parse_time(each["timestamp"]) - parse_time(NOW) < -7100
    talk.model.misbehaviour.stop()
    assert abs(talk.model.clock.now() - parse_time(NOW)) < 100


async def test_a_link_that_is_being_opened_when_it_drops_is_not_used(version: str) -> None:
    charger: LocalCharger | None = None

    def drop_the_first(_: Request) -> None:
        if charger is not None and len(csms.requests) == 1:
            charger.model.misbehaviour.arm("drop_link", {"seconds": 0.2})

    async with Csms(admit=drop_the_first) as csms:
        charger = LocalCharger(csms.url, version)
        async with charger:
            link = await csms.accepted(2)

    assert csms.links[0].calls == []
    assert link.calls[0].action == "BootNotification"


async def test_a_charger_ends_in_time_while_its_power_is_cut(talk: Talk) -> None:
    await talk.start()
    arm(talk, "power_cut", seconds=600)
    await wait_until_async(lambda: not talk.model.online)

    async with asyncio.timeout(5):
        await talk.charger.switch_off()


async def test_a_power_cut_leaves_a_state_file_as_a_kill_does(talk_with_file: Talk) -> None:
    talk = talk_with_file
    await talk.start()

    arm(talk, "power_cut", seconds=600)

    state = talk.model.memory.load()
    assert state is not None
    assert not state["clean"]
    assert ("StopTransaction" if talk.is_16 else "Ended") in str(state["outbox"])


@pytest.fixture
async def talk_with_file(version: str, tmp_path: Path) -> AsyncIterator[Talk]:
    async with open_talk(version, state_file=tmp_path / "state.json") as talk:
        yield talk
