"""docs/errors.md explains each reason why an action was not applied or a charger not created, and no other."""

import re
from pathlib import Path

from shared.error_codes import ActionCode
from shared.fleet.jobs.create import NOT_CREATED

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()


def test_each_code_of_an_action_has_a_row() -> None:
    assert _rows_of("Actions") == set(ActionCode)


def test_each_reason_why_a_charger_is_not_created_has_a_row() -> None:
    assert _rows_of("Chargers that a job does not create") == set(NOT_CREATED)


def _rows_of(title: str) -> set[str]:
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
