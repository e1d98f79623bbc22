"""docs/errors.md explains each reason why an action was not applied, and no other."""

import re
from pathlib import Path

from shared.error_codes import ActionCode

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()


def test_each_code_of_an_action_has_a_row() -> None:
    section = PAGE.partition("\n## Actions\n")[2].partition("\n## ")[0]

    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(ActionCode)
