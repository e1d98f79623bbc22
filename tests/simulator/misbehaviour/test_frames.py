"""Answers and calls that are wrong on purpose, as a CSMS sees them."""

import asyncio
import json
from typing import Any

import pytest

from simulator.misbehaviour.misbehaviour import MAX_SWITCHES
from tests.simulator.talk import Talk
from tests.support.waiting import wait_until_async

#: A request that both versions have, and the charger's own answer to it.
CLEAR_CACHE = '[2,"{}","ClearCache",{{}}]'
OWN_ANSWER = {"status": "Accepted"}


def arm(talk: Talk, kind: str, **event: Any) -> None:
    assert talk.model.misbehaviour.arm(kind, event) is None


def answers(talk: Talk, unique_id: str) -> list[str]:
    return [text for text in talk.link.frames if text.startswith((f'[3,"{unique_id}"', f'[4,"{unique_id}"'))]


async def answer(talk: Talk, unique_id: str) -> Any:
    """Sends ClearCache with this id; the frame that answers it."""
    await talk.link.socket.send(CLEAR_CACHE.format(unique_id))
    await wait_until_async(lambda: answers(talk, unique_id))
    return json.loads(answers(talk, unique_id)[0])


async def test_a_request_is_refused_once_and_then_answered(talk: Talk) -> None:
    arm(talk, "refuse_requests", action="ClearCache", code="NotSupported")

    refused, answered = await answer(talk, "a"), await answer(talk, "b")

    assert refused[:3] == [4, "a", "NotSupported"]
    assert answered == [3, "b", OWN_ANSWER]
    assert any("on purpose: refuse_requests" in remark for remark in talk.charger.remarks())


async def test_another_request_is_not_refused(talk: Talk) -> None:
    arm(talk, "refuse_requests", action="Reset")

    assert await answer(talk, "a") == [3, "a", OWN_ANSWER]

    (switch,) = talk.model.misbehaviour.describe()["armed"]
    assert switch == {"kind": "refuse_requests", "action": "Reset", "fired": 0}


async def test_a_request_gets_the_given_answer_also_a_wrong_one_and_the_charger_does_not_see_it(
    talk: Talk,
) -> None:
    await talk.perform("PlugIn")
    unlock = '[2,"a","UnlockConnector",{}]'.replace(
        "{}", '{"connectorId":1}' if talk.is_16 else '{"evseId":1,"connectorId":1}'
    )
    arm(talk, "answer_with", action="UnlockConnector", answer={"status": 7, "of": ["mine"]})

    await talk.link.socket.send(unlock)

    await wait_until_async(lambda: answers(talk, "a"))
    assert answers(talk, "a") == ['[3,"a",{"status":7,"of":["mine"]}]']


async def test_a_seed_repeats_which_of_many_requests_are_refused(talk: Talk) -> None:
    async def refused(seed: int) -> list[int]:
        talk.model.misbehaviour.stop()
        arm(talk, "refuse_requests", how_often="one_in_n", n=3, seed=seed)
        return [number for number in range(20) if (await answer(talk, f"{seed}-{number}"))[0] == 4]

    first = await refused(1)
    talk.link.frames.clear()

    assert await refused(1) == first
    assert 0 < len(first) < 20


async def test_a_late_answer_does_not_hold_up_the_next_one(talk: Talk) -> None:
    arm(talk, "delay_frames", seconds=0.3)
    await talk.link.socket.send(CLEAR_CACHE.format("late"))

    assert await answer(talk, "next") == [3, "next", OWN_ANSWER]

    assert answers(talk, "late") == []
    await wait_until_async(lambda: answers(talk, "late"))


async def test_a_late_answer_to_a_reset_leaves_before_the_reboot(talk: Talk) -> None:
    arm(talk, "delay_frames", action="Reset", seconds=0.2)

    answered = await talk.call("Reset", type="Soft" if talk.is_16 else "OnIdle")

    assert answered.status == "Accepted"
    await talk.csms.accepted(2)


async def test_an_answer_comes_twice_always(talk: Talk) -> None:
    arm(talk, "duplicate_frames", how_often="always")

    for unique_id in ("a", "b"):
        await answer(talk, unique_id)
        await wait_until_async(lambda: len(answers(talk, unique_id)) == 2)  # noqa: B023

    assert talk.model.misbehaviour.describe()["armed"][0]["fired"] == 2


async def test_an_answer_never_comes(talk: Talk) -> None:
    arm(talk, "withhold_frames")
    await talk.link.socket.send(CLEAR_CACHE.format("a"))

    await answer(talk, "b")

    assert answers(talk, "a") == []
    assert talk.model.misbehaviour.describe() == {
        "armed": [],
        "spent": [{"kind": "withhold_frames", "fired": 1}],
    }


async def test_an_answer_is_no_json(talk: Talk) -> None:
    arm(talk, "break_json")
    await talk.link.socket.send(CLEAR_CACHE.format("a"))
    await wait_until_async(lambda: answers(talk, "a"))

    assert answers(talk, "a") == ['[3,"a",{"status":"Accepted"']


async def test_a_call_of_the_charger_has_a_value_that_its_enumeration_lacks(talk: Talk) -> None:
    arm(talk, "wrong_enum", frames="calls", action="StatusNotification", value="Exploding")
    await talk.perform("PlugIn")

    await wait_until_async(lambda: any("Exploding" in text for text in talk.link.frames))

    (frame,) = (json.loads(text) for text in talk.link.frames if "Exploding" in text)
    assert frame[2] == "StatusNotification"
    assert frame[3]["errorCode" if talk.is_16 else "connectorStatus"] == "Exploding"


async def test_what_has_no_enumeration_is_sent_as_it_is_and_does_not_count(talk: Talk) -> None:
    arm(talk, "wrong_enum", field="nothing")

    assert await answer(talk, "a") == [3, "a", OWN_ANSWER]

    assert talk.model.misbehaviour.describe()["armed"][0]["fired"] == 0


async def test_a_lock_fails_once(talk: Talk) -> None:
    fields = {"connector_id": 2} if talk.is_16 else {"evse_id": 2, "connector_id": 1}
    arm(talk, "lock_fails", connector_id=2)

    failed, unlocked = (
        await talk.call("UnlockConnector", **fields),
        await talk.call("UnlockConnector", **fields),
    )

    assert (failed.status, unlocked.status) == ("UnlockFailed", "Unlocked")


async def test_what_is_armed_survives_a_reconnect_and_a_reset_and_is_switched_off(talk: Talk) -> None:
    arm(talk, "refuse_requests", action="ClearCache", how_often="always")
    talk.link.socket.transport.abort()
    await talk.csms.link(2)
    await wait_until_async(lambda: talk.model.online)
    talk.model.reboot("RemoteReset")
    talk.link = await talk.csms.accepted(3)
    await wait_until_async(lambda: talk.model.reachable)

    refused = await answer(talk, "a")
    talk.model.misbehaviour.stop()
    answered = await answer(talk, "b")

    assert (refused[0], answered[0]) == (4, 3)
    assert talk.model.misbehaviour.describe() == {"armed": [], "spent": []}


async def test_no_more_switches_than_the_limit_are_armed(talk: Talk) -> None:
    for _ in range(MAX_SWITCHES):
        arm(talk, "refuse_requests", action="Reset")

    assert talk.model.misbehaviour.arm("refuse_requests", {"action": "Reset"}) == (
        f"{MAX_SWITCHES} are armed: no more can be"
    )


@pytest.mark.parametrize("action", ["Nonsense", "../v16/Reset", ""])
async def test_a_message_that_the_version_does_not_have_cannot_be_named(talk: Talk, action: str) -> None:
    refusal = talk.model.misbehaviour.arm("refuse_requests", {"action": action})

    assert refusal == f"{talk.model.version.name} has no message {action}"


async def test_a_frame_that_is_held_back_is_lost_with_its_link(talk: Talk) -> None:
    arm(talk, "delay_frames", seconds=60)
    await talk.link.socket.send(CLEAR_CACHE.format("late"))
    await wait_until_async(lambda: not talk.model.misbehaviour.armed)

    talk.link.socket.transport.abort()

    await talk.csms.link(2)
    await wait_until_async(lambda: not [each for each in asyncio.all_tasks() if "send_later" in repr(each)])
