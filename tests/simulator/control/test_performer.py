"""Actions over the control link: each happens once, in order, and is answered."""

import asyncio
from typing import Any

import pytest

from simulator.actions.outcome import Outcome
from simulator.control.hosted import Hosted
from simulator.control.performer import MARGIN_S, MAX_ANSWERS, NOT_KEPT, Answer, Performer
from simulator.log import EventLog
from tests.simulator.control.controlled import ControlledCharger, controlled
from tests.simulator.control.scripted_link import CHARGER
from tests.simulator.virtual_time import VirtualTimeLoop
from tests.support.waiting import wait_until_async

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])


@VERSIONS
async def test_an_action_happens_and_is_answered(version: str) -> None:
    async with controlled(version) as (charger, session, _):
        await session.act(7, "plug_connector", connector_id=2)

        answer = await session.result(7)

        assert (answer["charger"], answer["status"], answer["reason"]) == (CHARGER, "applied", None)
        assert [each.plugged for each in charger.model.station.connectors] == [False, True]


async def test_a_refused_action_has_its_reason() -> None:
    async with controlled() as (_, session, _):
        await session.act(1, "plug_connector", connector_id=9)
        await session.act(2, "fly")

        refused, unknown = await session.result(1), await session.result(2)

    assert refused["status"] == unknown["status"] == "rejected"
    assert "no connector 9" in refused["reason"]
    assert "no action fly" in unknown["reason"]


async def test_actions_happen_in_the_order_of_their_arrival() -> None:
    async with controlled() as (charger, session, _):
        actions = [
            {"charger": CHARGER, "id": number, "name": name, "event": {}, "expires_in_s": 30}
            for number, name in enumerate(["plug_connector", "unplug_connector"] * 20 + ["plug_connector"])
        ]
        await session.send("actions", actions=actions)

        await session.result(40)

        assert [each["id"] for each in session.all("results")] == list(range(41))
        assert {each["status"] for each in session.all("results")} == {"applied"}
        assert charger.model.station.connectors[0].plugged


async def test_a_repeat_is_answered_as_the_first_time_and_does_nothing() -> None:
    async with controlled() as (charger, session, link):
        await session.act(1, "plug_connector")
        await session.result(1)
        await session.act(2, "unplug_connector")
        await session.act(1, "plug_connector")
        await wait_until_async(lambda: len(session.results(1)) == 2)
        session.socket.transport.abort()
        again = await link.session(2)

        await again.act(1, "plug_connector")

        assert (await again.result(1))["status"] == "applied"
        assert not charger.model.station.connectors[0].plugged


async def test_an_action_of_another_charger_fails() -> None:
    async with controlled() as (_, session, _):
        await session.act(1, "plug_connector", charger="dep-2")

        answer = await session.result(1)

    assert (answer["charger"], answer["status"]) == ("dep-2", "failed")
    assert "does not run in this process" in answer["reason"]


async def test_an_action_that_waits_is_received_and_holds_up_no_other() -> None:
    async with controlled() as (charger, session, _):
        verdict = given_verdict(charger)
        await session.act(1, "authorize")
        await session.act(2, "plug_connector")
        await session.result(2)
        await session.act(1, "authorize")
        await wait_until_async(lambda: session.results(1) == ["received", "received"])

        verdict.set_result(Outcome("rejected", "Blocked", {"status": "Blocked"}))

        answer = await session.result(1)
    assert answer == {
        "charger": CHARGER,
        "id": 1,
        "status": "rejected",
        "reason": "Blocked",
        "result": {"status": "Blocked"},
    }


async def test_an_answer_that_a_broken_link_swallowed_is_given_to_the_repeat() -> None:
    async with controlled() as (charger, session, link):
        verdict = given_verdict(charger)
        await session.act(1, "authorize")
        await wait_until_async(lambda: session.results(1))
        link.refusal = 503
        session.socket.transport.abort()
        await wait_until_async(lambda: len(link.attempts) > 1)
        verdict.set_result(Outcome("applied"))
        link.refusal = None
        again = await link.session(2)

        await again.act(1, "authorize")

        assert (await again.result(1))["status"] == "applied"


def given_verdict(charger: ControlledCharger) -> asyncio.Future[Outcome]:
    """The action `authorize` waits for this future."""
    verdict: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    begin = charger.model.actions.begin

    def begin_or_wait(name: str, event: Any) -> Outcome | asyncio.Future[Outcome]:
        return verdict if name == "authorize" else begin(name, event)

    charger.model.actions.begin = begin_or_wait  # type: ignore[method-assign]
    return verdict


async def test_nothing_begins_once_the_charger_is_switched_off() -> None:
    async with controlled() as (charger, session, _):
        charger.process._control._performer.close()  # type: ignore[union-attr]
        await session.act(1, "plug_connector")

        answer = await session.result(1)

        assert (answer["status"], answer["reason"]) == ("failed", "the charger is off")
        assert not charger.model.station.connectors[0].plugged


class Waiting:
    """A charger whose actions wait for futures, by name, or else happen at once."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.waiting: dict[str, asyncio.Future[Outcome]] = {}
        self.charge_point = self.actions = self.settings = self
        self.call_timeout_s = 30.0

    def begin(self, name: str, _: Any) -> Outcome | asyncio.Future[Outcome]:
        self.begun.append(name)
        return self.waiting.get(name, Outcome("applied"))


def performer_of(charger: Waiting) -> Performer:
    return Performer({CHARGER: charger}, lambda: None)  # type: ignore[dict-item]


def test_a_verdict_that_does_not_come_in_time_fails_the_action() -> None:
    async def run() -> list[dict[str, Any]]:
        charger = Waiting()
        verdict = charger.waiting["authorize"] = asyncio.get_running_loop().create_future()
        performer = performer_of(charger)
        performer.perform(CHARGER, 1, "authorize", {}, 30)
        await asyncio.sleep(charger.call_timeout_s + MARGIN_S - 1)
        assert [each["status"] for each in performer.take()] == ["received"]
        await asyncio.sleep(2)
        verdict.set_result(Outcome("applied"))
        await asyncio.sleep(1)
        return performer.take()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        (answer,) = runner.run(run())

    assert answer["status"] == "failed"
    assert "35 s" in answer["reason"]


@pytest.mark.parametrize("how", ["raises", "is cancelled"])
async def test_an_action_whose_wait_breaks_fails(how: str) -> None:
    charger = Waiting()
    verdict = charger.waiting["authorize"] = asyncio.get_running_loop().create_future()
    performer = performer_of(charger)
    performer.perform(CHARGER, 1, "authorize", {}, 30)

    if how == "raises":
        verdict.set_exception(ZeroDivisionError("x"))
    else:
        verdict.cancel()
    await asyncio.sleep(0)

    assert [each["status"] for each in performer.take()] == ["received", "failed"]


async def test_the_last_ids_are_remembered() -> None:
    charger = Waiting()
    performer = performer_of(charger)
    for number in range(MAX_ANSWERS + 1):
        performer.perform(CHARGER, number, f"action {number}", {}, 30)

    for number in range(MAX_ANSWERS, 0, -1):
        performer.perform(CHARGER, number, "a repeat", {}, 30)

    assert "a repeat" not in charger.begun
    assert Answer("applied")._asdict().items() <= performer.take()[-1].items()


async def test_old_results_are_not_kept_so_that_a_charger_takes_no_more_memory_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    charger = Waiting()
    monkeypatch.setattr(charger, "begin", lambda *_: Outcome("applied", None, {"list": "x" * 100_000}))
    performer = performer_of(charger)
    for number in range(5):
        performer.perform(CHARGER, number, "get_local_auth_list", {}, 30)
    assert all(result["result"] for result in performer.take())

    for number in range(5):
        performer.perform(CHARGER, number, "get_local_auth_list", {}, 30)

    repeats = performer.take()
    assert {repeat["status"] for repeat in repeats} == {"applied"}
    assert [repeat["reason"] for repeat in repeats] == [NOT_KEPT] * 3 + [None] * 2
    assert [repeat["result"] is None for repeat in repeats] == [True] * 3 + [False] * 2


async def test_an_action_that_waits_is_remembered_however_many_come_after_it() -> None:
    charger = Waiting()
    charger.waiting["authorize"] = asyncio.get_running_loop().create_future()
    performer = performer_of(charger)
    for number in range(MAX_ANSWERS + 2):
        performer.perform(CHARGER, number, "authorize" if number == 0 else "plug_connector", {}, 30)

    performer.perform(CHARGER, 0, "authorize", {}, 30)

    assert charger.begun.count("authorize") == 1


async def test_what_comes_before_the_charger_has_begun_waits_for_it() -> None:
    hosted, charger = Hosted(CHARGER, EventLog(lambda _: None)), Waiting()
    performer = Performer({CHARGER: hosted}, lambda: None)
    performer.perform(CHARGER, 1, "first", {}, 30)
    performer.perform(CHARGER, 2, "too late", {}, 0)
    performer.perform(CHARGER, 3, "last", {}, 30)
    performer.perform(CHARGER, 1, "first", {}, 30)
    before = performer.take()

    hosted.charge_point = charger  # type: ignore[assignment]
    performer.resume(hosted)

    assert before == []
    assert charger.begun == ["first", "last"]
    assert [each["id"] for each in performer.take()] == [1, 3, 1]


async def test_what_waits_for_the_charger_is_left_to_the_next_session() -> None:
    hosted, charger = Hosted(CHARGER, EventLog(lambda _: None)), Waiting()
    performer = Performer({CHARGER: hosted}, lambda: None)
    performer.perform(CHARGER, 1, "first", {}, 30)
    performer.end_session()

    hosted.charge_point = charger  # type: ignore[assignment]
    performer.resume(hosted)

    assert (charger.begun, performer.take()) == ([], [])
