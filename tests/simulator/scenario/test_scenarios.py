"""What a charger performs by itself, as its CSMS sees it."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from simulator.lifecycle import build_charge_point
from simulator.log import EventLog
from simulator.scenario.scenarios import CHECK_S
from simulator.settings import read_settings
from tests.simulator.charger import LocalCharger, environment
from tests.simulator.talk import Talk
from tests.simulator.virtual_time import VirtualTimeLoop
from tests.support.csms import Csms
from tests.support.waiting import wait_until_async

#: As the words go: when accepted, plug in; after a moment show a token; after 2 Wh unplug.
VISIT = [
    {"wait_until": {"link": "accepted"}},
    {"do": "plug_connector"},
    {"wait_s": 0.1},
    {"do": "present_token", "with": {"id_tag": "CARD-1"}},
    {"wait_until": {"energy_wh": 2}, "within_s": 60},
    {"do": "unplug_connector"},
]


async def test_a_charger_visits_its_csms_as_its_scenario_says(version: str) -> None:
    async with (
        Csms() as csms,
        LocalCharger(csms.url, version, scenario=json.dumps(VISIT), ev_unplug_s="never") as charger,
    ):
        link = await csms.link()

        if version == "OCPP1.6":
            started, stopped = await link.next("StartTransaction"), await link.next("StopTransaction")
            assert stopped["meter_stop"] - started["meter_start"] >= 2
            assert started["id_tag"] == "CARD-1"
        else:
            await link.next("TransactionEvent", lambda each: each["event_type"] == "Started")
            ended = await link.next("TransactionEvent", lambda each: each["event_type"] == "Ended")
            assert ended["trigger_reason"] == "EVCommunicationLost"
        await wait_until_async(
            lambda: charger.model.scenarios.describe()["ended"] == "all its steps are done"
        )


async def start(talk: Talk, *steps: dict[str, Any], **more: Any) -> Any:
    outcome = await talk.model.actions.perform("start_scenario", {"steps": list(steps), **more})
    return outcome.result if outcome.status == "applied" else outcome.reason


def where(talk: Talk) -> Any:
    return talk.model.scenarios.describe()["step"]


async def ended(talk: Talk) -> str:
    await wait_until_async(lambda: talk.model.scenarios.describe()["ended"])
    return str(talk.model.scenarios.describe()["ended"])


async def test_a_step_that_is_refused_stops_the_scenario_with_a_remark(talk: Talk) -> None:
    await start(talk, {"do": "unplug_connector"}, {"do": "plug_connector"})

    assert await ended(talk) == "steps[0]: unplug_connector was rejected: no car is plugged in"

    assert "the scenario stops at steps[0]: unplug_connector was rejected: no car is plugged in" in (
        talk.charger.remarks()
    )
    assert not talk.connector.plugged


@pytest.mark.parametrize("of_the_step", [True, False])
async def test_a_scenario_goes_on_after_a_refused_step_where_it_says_so(
    talk: Talk, of_the_step: bool
) -> None:
    goes_on = {"on_error": "continue"}
    refused = {"do": "unplug_connector"} | (goes_on if of_the_step else {})

    await start(talk, refused, {"do": "plug_connector"}, **({} if of_the_step else goes_on))

    assert await ended(talk) == "all its steps are done"
    assert talk.connector.plugged
    assert any("the scenario goes on after steps[0]" in remark for remark in talk.charger.remarks())


async def test_a_condition_that_does_not_come_true_in_time_is_a_failure(talk: Talk) -> None:
    await start(talk, {"wait_until": {"plugged": True, "connector_id": 2}, "within_s": 0.1})

    assert await ended(talk) == "steps[0]: it was not so within 0.1 s"


@pytest.mark.parametrize(
    "condition",
    [
        {"link": "accepted"},
        {"charging_state": "Charging"},
        {"plugged": True, "transaction": True},
        {"energy_wh": 0.1},
        {"soc_percent": 1},
        {"transaction": False, "plugged": False, "connector_id": 2},
        {"status": "Available", "connector_id": 2},
    ],
)
async def test_each_condition_comes_true(talk: Talk, condition: dict[str, Any]) -> None:
    await talk.start()

    await start(talk, {"wait_until": condition, "within_s": 10})

    assert await ended(talk) == "all its steps are done"


@pytest.mark.parametrize(
    "condition",
    [{"link": "offline"}, {"transaction": False}, {"plugged": True, "connector_id": 2}, {"soc_percent": 100}],
)
async def test_each_condition_can_be_false(talk: Talk, condition: dict[str, Any]) -> None:
    await talk.start()

    await start(talk, {"wait_until": condition, "within_s": 0.1})

    assert await ended(talk) == "steps[0]: it was not so within 0.1 s"


@pytest.mark.parametrize(
    ("condition", "cause"),
    [
        ({"plugged": True}, lambda talk: talk.perform("PlugIn")),
        ({"charging_state": "EVConnected"}, lambda talk: talk.perform("PlugIn")),
        ({"transaction": True}, lambda talk: talk.start()),
        ({"charging_state": "Charging"}, lambda talk: talk.start()),
        ({"link": "offline"}, lambda talk: talk.link.socket.close()),
    ],
)
async def test_a_condition_is_noticed_when_it_comes_true_and_not_only_now_and_then(
    talk: Talk, condition: dict[str, Any], cause: Callable[[Talk], Awaitable[Any]]
) -> None:
    await start(talk, {"wait_until": condition, "within_s": CHECK_S / 2})
    await wait_until_async(lambda: where(talk) == "steps[0]")

    await cause(talk)

    assert await ended(talk) == "all its steps are done"


async def test_the_return_of_the_link_is_noticed(talk: Talk) -> None:
    await talk.model.actions.perform("misbehave", {"kind": "drop_link", "seconds": 0.5})
    await wait_until_async(lambda: not talk.model.online)

    await start(talk, {"wait_until": {"link": "accepted"}, "within_s": CHECK_S / 2})

    assert await ended(talk) == "all its steps are done"


async def test_a_scenario_goes_on_over_a_power_cut_which_it_causes_itself(talk: Talk) -> None:
    await start(
        talk,
        {"do": "misbehave", "with": {"kind": "power_cut", "seconds": 0.2}},
        {"wait_until": {"link": "offline"}, "within_s": 10},
        {"wait_until": {"link": "accepted"}, "within_s": 10},
        {"do": "plug_connector"},
    )

    assert await ended(talk) == "all its steps are done"
    assert talk.connector.plugged


async def test_a_scenario_stops_where_it_is_and_another_one_replaces_it(talk: Talk) -> None:
    await start(talk, {"wait_s": 600}, {"do": "plug_connector"})
    await wait_until_async(lambda: where(talk) == "steps[0]")

    await start(talk, {"wait_s": 0}, {"wait_s": 600})
    await wait_until_async(lambda: where(talk) == "steps[1]")
    stopped = await talk.model.actions.perform("stop_scenario", {})
    again = await talk.model.actions.perform("stop_scenario", {})

    assert (stopped.result, again.result) == ({"stopped": True}, {"stopped": False})
    shown = await talk.model.actions.perform("get_scenario", {})
    assert shown.result == {"running": False, "step": "steps[1]", "ended": "it was stopped"}


async def test_a_bad_scenario_is_refused_and_the_one_that_runs_goes_on(talk: Talk) -> None:
    await start(talk, {"wait_s": 600})

    assert await start(talk, {"do": "fly"}) == "steps[0].do: there is no action fly"

    assert talk.model.scenarios.describe()["running"]


async def test_a_scenario_ends_with_its_charger(talk: Talk) -> None:
    await start(talk, {"loop": [{"wait_s": 0.01}]})

    await talk.charger.switch_off()

    assert talk.model.scenarios.describe()["ended"] == "it was stopped"


def played(seconds: float, *steps: dict[str, Any], seed: int | None = None) -> tuple[list[str], float]:
    """The actions that a charger without a link was made to perform in virtual time, and the real seconds of CPU."""
    loop = VirtualTimeLoop()
    performed: list[str] = []

    async def play() -> None:
        model = build_charge_point(
            read_settings(environment("ws://csms", "OCPP1.6")), EventLog(lambda _: None)
        )
        perform = model.actions.perform

        async def record(name: str, event: Any) -> Any:
            performed.append(f"{name} at {loop.time():.2f}")
            return await perform(name, event)

        model.actions.perform = record  # type: ignore[method-assign]
        model.scenarios.start({"steps": list(steps), "on_error": "continue", "seed": seed})
        await asyncio.sleep(seconds)
        model.scenarios.stop()
        model.timers.cancel_all()

    began_s = time.process_time()
    try:
        loop.run_until_complete(play())
    finally:
        loop.close()
    return performed, time.process_time() - began_s


def test_a_loop_without_a_wait_takes_a_second_for_each_round() -> None:
    performed, _ = played(10.5, {"loop": [{"do": "plug_connector"}]})

    assert performed == [f"plug_connector at {second}.00" for second in range(11)]


def test_loops_within_each_other_do_their_rounds() -> None:
    performed, _ = played(
        100,
        {"loop": [{"loop": [{"do": "plug_connector"}], "times": 3}, {"do": "unplug_connector"}], "times": 2},
    )

    assert [each.partition(" ")[0] for each in performed] == [
        *["plug_connector"] * 3,
        "unplug_connector",
    ] * 2


def test_a_seed_repeats_the_random_waits() -> None:
    steps = [{"loop": [{"wait_s": 1, "up_to_s": 100}, {"do": "plug_connector"}]}]

    first, second, other = (played(2000, *steps, seed=seed)[0] for seed in (7, 7, 8))

    assert first == second != other
    assert len(first) > 10
    assert first[0] == f"plug_connector at {Random(7).uniform(1, 100):.2f}"
