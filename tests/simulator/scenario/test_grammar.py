"""A scenario is read at the start of a charger, and the error names the step that is wrong."""

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.actions.rows.scenario import EXAMPLE, STEP
from simulator.lifecycle import build_charge_point
from simulator.log import EventLog
from simulator.scenario.grammar import MAX_DEPTH, BadScenario, Limits, read_scenario
from simulator.settings import BadSettings, read_settings
from simulator.versions import VERSIONS
from tests.simulator.charger import ChargerProcess, environment

PLUG = {"do": "plug_connector"}
Strategy = st.SearchStrategy[Any]


def nested(depth: int) -> dict[str, Any]:
    return {"loop": [nested(depth - 1)]} if depth else PLUG


BAD: list[tuple[Any, str]] = [
    (7, "a scenario is an object with steps, or a list of steps"),
    ({}, "steps is missing"),
    ([], "the length of steps is less than 1"),
    ({"steps": [PLUG], "speed": 2}, "speed is not a field of it"),
    ([PLUG, 7], "steps[1] is not an object"),
    ([{}], "steps[0] has not exactly one of do, wait_s, wait_until, loop"),
    ([PLUG, PLUG | {"wait_s": 1}], "steps[1] has not exactly one of do, wait_s, wait_until, loop"),
    ([PLUG | {"times": 2}], "steps[0].times does not belong to do"),
    ([PLUG, {"do": "plug_conector"}], "steps[1].do: there is no action plug_conector"),
    ([{"do": "plug_connector", "with": {"connector": 1}}], "steps[0].with: connector is not a field of it"),
    ([{"do": "present_token"}], "steps[0].with: id_tag is missing"),
    ([{"do": "start_scenario", "with": EXAMPLE}], "steps[0].do: a scenario starts and stops none"),
    ([{"wait_s": -1}], "steps[0].wait_s is less than 0"),
    ([{"wait_s": float("nan")}], "steps[0].wait_s is not a number"),
    ([{"wait_s": 5, "up_to_s": 4}], "steps[0].up_to_s is less than wait_s"),
    ([{"wait_until": {}}], "steps[0].wait_until has no condition"),
    ([{"wait_until": {"connector_id": 1}}], "steps[0].wait_until has no condition"),
    ([{"wait_until": {"weather": "fine"}}], "steps[0].wait_until.weather is not a field of it"),
    (
        [{"wait_until": {"plugged": True, "connector_id": 3}}],
        "steps[0].wait_until.connector_id: there is no connector 3",
    ),
    ([{"loop": []}], "the length of steps[0].loop is less than 1"),
    ([PLUG, {"loop": [PLUG, {"wait_s": "5"}]}], "steps[1].loop[1].wait_s is not a number"),
    ([{"loop": [PLUG], "times": 0}], "steps[0].times is less than 1"),
    ([PLUG | {"on_error": "cry"}], "steps[0].on_error is not one of stop, continue"),
    (
        [nested(MAX_DEPTH + 1)],
        f"steps[0]{'.loop[0]' * MAX_DEPTH}.loop: at most 5 loops are within each other",
    ),
    ([{"loop": [PLUG] * 200}] * 6, "a scenario has at most 1000 steps"),
]


@pytest.mark.parametrize(("scenario", "problem"), BAD)
def test_an_error_names_the_step(version: str, scenario: Any, problem: str) -> None:
    with pytest.raises(BadScenario) as raised:
        read_scenario(scenario, Limits(VERSIONS[version], connectors=2))

    assert str(raised.value) == problem


def test_a_status_is_one_of_the_charger_s_version() -> None:
    steps = [{"wait_until": {"status": "Charging"}}]

    read_scenario(steps, Limits(VERSIONS["OCPP1.6"], 1))

    with pytest.raises(BadScenario, match="status is not one of Available, Occupied, "):
        read_scenario(steps, Limits(VERSIONS["OCPP2.0.1"], 1))


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '[{"wait_s": 1e999}]', "7", '"accepted"'])
def test_a_charger_with_a_bad_scenario_does_not_start(version: str, text: str) -> None:
    with pytest.raises(BadSettings, match=r"^CHARGER_SCENARIO"):
        start(version, text)


def start(version: str, scenario: str) -> None:
    build_charge_point(
        read_settings(environment("ws://csms", version, scenario=scenario)), EventLog(lambda _: None)
    )


VALUES: Strategy = st.sampled_from(
    [
        *(None, True, -1, 0, 5, 10**400, 1e300, math.nan, math.inf, "", "continue", "x" * 100),
        *([], {}, [[]], [PLUG], [7], {"link": "accepted"}, {"a": {"b": []}}, nested(4), nested(50)),
        *("plug_connector", "misbehave", {"connector_id": 9, "plugged": True}, {"energy_wh": None}),
    ]
)
STEP_OF_ANYTHING = st.fixed_dictionaries({}, optional={field.name: VALUES for field in STEP})
STEP_OF_ONE_KIND = st.one_of(
    st.fixed_dictionaries({"do": VALUES}, optional={"with": VALUES}),
    st.fixed_dictionaries({"wait_s": VALUES}, optional={"up_to_s": VALUES}),
    st.fixed_dictionaries({"wait_until": VALUES}, optional={"within_s": VALUES}),
)
STEPS = st.lists(STEP_OF_ANYTHING | STEP_OF_ONE_KIND, max_size=3)
LOOPS = st.lists(st.fixed_dictionaries({"loop": STEPS}, optional={"times": VALUES}), max_size=2)
SCENARIOS = VALUES | STEPS | LOOPS | st.fixed_dictionaries({"steps": STEPS | VALUES, "seed": VALUES})


@given(SCENARIOS)
def test_any_json_is_a_scenario_or_a_bad_one(scenario: Any) -> None:
    for version in VERSIONS.values():
        with suppress(BadScenario):
            read_scenario(scenario, Limits(version, connectors=2))


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(SCENARIOS)
def test_a_charger_with_any_scenario_starts_or_has_bad_settings(scenario: Any) -> None:
    try:
        start("OCPP1.6", json.dumps(scenario))
    except BadSettings as error:
        assert str(error).startswith("CHARGER_SCENARIO")


async def test_a_process_with_a_bad_scenario_says_which_step_is_wrong_and_exits(version: str) -> None:
    scenario = json.dumps([PLUG, {"do": "fly"}])

    async with ChargerProcess("ws://localhost:9", version, scenario=scenario) as charger:
        code = await charger.exit_code()

    assert code == 2
    assert charger.remarks() == ["CHARGER_SCENARIO: steps[1].do: there is no action fly"]
