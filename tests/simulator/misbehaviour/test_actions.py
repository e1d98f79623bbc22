"""The actions that arm misbehaviour, show it and stop it, and the page about them."""

import re
from pathlib import Path
from typing import Any

import pytest

from simulator.actions.row import Variant
from simulator.actions.rows.misbehaviour import HOW_OFTEN, KINDS
from simulator.actions.table import TABLE
from simulator.misbehaviour.switches import REPLACEMENTS, SPOILERS
from tests.simulator.talk import Talk
from tests.support.waiting import wait_until_async

PAGE = (Path(__file__).parents[3] / "docs" / "misbehaviour.md").read_text()


async def perform(talk: Talk, name: str, **event: Any) -> Any:
    outcome = await talk.model.actions.perform(name, event)
    return outcome.result if outcome.status == "applied" else outcome.reason


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name not in ("drop_link", "power_cut")])
async def test_each_kind_is_armed_by_its_example_shown_and_stopped(talk: Talk, kind: Variant) -> None:
    result = await perform(talk, "misbehave", **kind.example)

    assert result == await perform(talk, "get_misbehaviour")
    (armed,) = result["armed"]
    assert kind.example.items() <= armed.items()
    assert await perform(talk, "stop_misbehaving") == {"stopped": 1}
    assert await perform(talk, "get_misbehaviour") == {"armed": [], "spent": []}


async def test_one_kind_is_stopped_and_the_others_stay_armed(talk: Talk) -> None:
    for kind in ("clock_skew", "delay_frames", "delay_frames", "lock_fails"):
        await perform(talk, "misbehave", **next(each for each in KINDS if each.name == kind).example)

    assert await perform(talk, "stop_misbehaving", kind="delay_frames") == {"stopped": 2}
    left = (await perform(talk, "get_misbehaviour"))["armed"]
    assert [each["kind"] for each in left] == ["lock_fails", "clock_skew"]
    assert talk.model.misbehaviour.armed
    assert await perform(talk, "stop_misbehaving", kind="clock_skew") == {"stopped": 1}
    assert talk.model.clock.skew_s == 0
    assert await perform(talk, "stop_misbehaving", kind="power_cut") == {"stopped": 0}
    assert await perform(talk, "stop_misbehaving") == {"stopped": 1}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({}, "kind is missing"),
        ({"kind": "explode"}, f"kind is not one of {', '.join(kind.name for kind in KINDS)}"),
        ({"kind": "power_cut"}, "seconds is missing"),
        ({"kind": "power_cut", "seconds": -1}, "seconds is less than 0"),
        ({"kind": "power_cut", "seconds": 1, "code": "X"}, "code is not a field of it"),
        ({"kind": "answer_with", "answer": {}}, "action is missing"),
        ({"kind": "delay_frames", "seconds": 1, "frames": "all"}, "frames is not one of answers, calls"),
    ],
)
async def test_an_event_that_is_no_event_of_its_kind_is_refused_and_arms_nothing(
    talk: Talk, event: dict[str, Any], reason: str
) -> None:
    assert await perform(talk, "misbehave", **event) == reason

    assert not talk.model.misbehaviour.armed


async def test_a_csms_arms_misbehaviour_by_datatransfer(talk: Talk) -> None:
    assert await talk.perform("misbehave", '{"kind": "withhold_frames", "action": "Reset"}') == "Accepted"

    assert talk.model.misbehaviour.armed


async def test_a_password_in_an_answer_is_sent_and_not_shown(talk: Talk) -> None:
    entry = {"key": "AuthorizationKey", "value": "geheim-4711"}
    event = {"kind": "answer_with", "action": "ClearCache", "answer": {"configurationKey": [entry]}}

    shown = await perform(talk, "misbehave", **event)
    await talk.link.socket.send('[2,"a","ClearCache",{}]')
    await wait_until_async(lambda: any("geheim-4711" in text for text in talk.link.frames))

    assert "geheim-4711" not in str(shown)
    assert "geheim-4711" not in str(await perform(talk, "get_misbehaviour"))
    assert "geheim-4711" not in str(talk.charger.events)


def test_the_page_has_each_kind_with_its_fields_and_its_required_ones() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \| [^|]*\|$", PAGE, re.MULTILINE)

    assert {
        name: {field.removesuffix("*") for field in fields.replace("`", "").split(", ")}
        for name, fields in rows
    } == {
        kind.name: {field.name for field in kind.fields if field not in HOW_OFTEN}
        | ({"how often"} if HOW_OFTEN[0] in kind.fields else set())
        for kind in KINDS
    }
    required = {(name, field) for name, fields in rows for field in re.findall(r"`(\w+)`\*", fields)}
    assert required == {(kind.name, field.name) for kind in KINDS for field in kind.fields if field.required}


def test_each_kind_is_done_by_somebody() -> None:
    others = {"drop_link", "power_cut", "clock_skew"}

    assert {kind.name for kind in KINDS} == REPLACEMENTS.keys() | SPOILERS.keys() | others


def test_the_row_takes_the_fields_of_all_its_kinds() -> None:
    row = TABLE["misbehave"]

    for kind in row.variants:
        assert row.read(kind.example) == kind.example
