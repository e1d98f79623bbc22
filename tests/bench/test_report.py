"""The page gets what was measured, between its markers."""

from pathlib import Path

import pytest

from bench.__main__ import PARTS
from bench.report import DOCUMENT, Budget, Report, Table, record, worse_than_recorded

PAGE = """\
- <!-- summary of accept -->old<!-- /summary of accept -->

Prose.
<!-- accept -->
old
<!-- /accept -->
The end.
"""


def make_report(value: float) -> Report:
    return Report(
        [Table(("", "ms"), [("p50", "7")])],
        [Budget("p99, ms", value, "a reason", at_most=10)],
        summary="**Fast.**",
    )


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE, encoding="utf-8")
    return path


def test_a_report_replaces_its_section_and_its_summary_and_no_prose(page: Path) -> None:
    record("accept", make_report(8), "A machine.", page)

    assert (
        page.read_text(encoding="utf-8")
        == """\
- <!-- summary of accept -->**Fast.**<!-- /summary of accept -->

Prose.
<!-- accept -->
A machine.

|  | ms |
| --- | ---: |
| p50 | 7 |

| budget | measured | bound | met | reason for the bound |
| --- | ---: | ---: | ---: | --- |
| p99, ms | 8 | ≤ 10 | yes | a reason |
<!-- /accept -->
The end.
"""
    )


def test_a_figure_that_is_worse_than_the_one_on_the_page_is_named(page: Path) -> None:
    record("accept", make_report(8), "A machine.", page)

    assert worse_than_recorded("accept", make_report(8.5), page) == []
    assert worse_than_recorded("accept", make_report(9), page) == ["p99, ms: 9, recorded 8"]


def test_a_part_without_markers_is_refused(page: Path) -> None:
    with pytest.raises(ValueError, match="no place for reach"):
        record("reach", make_report(8), "A machine.", page)


def test_the_page_has_a_section_for_every_part() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    assert [name for name in PARTS if f"<!-- {name} -->" not in text] == []
