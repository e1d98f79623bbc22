"""docs/scenarios.md has every field, and each of its examples is a scenario."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from simulator.actions.rows.scenario import CONDITION, SCENARIO, STEP
from simulator.scenario.grammar import Limits, read_scenario
from simulator.versions import VERSIONS

PAGE = (Path(__file__).parents[3] / "docs" / "scenarios.md").read_text()
EXAMPLES = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_is_a_scenario_or_a_step(version: str, example: Any) -> None:
    steps = example if isinstance(example, list) else [example]

    assert len(read_scenario(steps, Limits(VERSIONS[version], 1)).steps) == len(steps)


def test_there_is_an_example_of_each_kind_of_step() -> None:
    alone = [set(example) for example in EXAMPLES if isinstance(example, dict)]

    assert set.union(*alone) == {field.name for field in STEP}


def test_each_field_of_a_scenario_and_each_condition_has_its_row() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))

    assert rows == {field.name for field in (*SCENARIO, *CONDITION)}
