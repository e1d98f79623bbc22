"""docs/settings.md has every variable that a process reads, and no other page has a second table of them."""

import re
from collections.abc import Iterator

import pytest

from embedded.ports import USUAL_PORTS
from tests.docs.pages import ROOT, pages

PAGE = (ROOT / "docs" / "settings.md").read_text()
SOURCE = (ROOT / "shared" / "settings.py").read_text()

#: Values, not variables.
VALUES = {"HS256", "FARGATE", "EC2", "INFO", "NAME_FILE"}
#: The variable that `make run` sets to say that it is `make run`; and what AWS's clients read by themselves.
ELSEWHERE = {"CHARGEHAND_ENV"}


def read_by_the_processes() -> set[str]:
    return set(re.findall(r"\"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)\"", SOURCE)) - VALUES


def in_the_table(page: str = PAGE) -> Iterator[str]:
    for row in re.findall(r"^\| (`[A-Z][^|]*) \|", page, re.MULTILINE):
        yield from re.findall(r"`([A-Z][A-Z0-9_]+)`", row)


def test_every_variable_that_a_process_reads_is_in_the_table() -> None:
    assert read_by_the_processes() - set(in_the_table()) - ELSEWHERE == set()


def test_no_variable_is_in_the_table_twice_but_for_those_of_make_run() -> None:
    tables, make_run = PAGE.split("## `make run` only")
    names = list(in_the_table(tables))

    assert sorted(names) == sorted(set(names))
    assert set(in_the_table(make_run)) >= {
        "PORT",
        "STATE_DIR",
        *(f"{part.upper()}_PORT" for part in USUAL_PORTS),
    }


def test_the_defaults_are_those_of_the_code() -> None:
    """Of those that the code writes as a literal, alike for both environments."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", PAGE, re.MULTILINE)
    checked = 0
    for name, documented in rows:
        found = re.search(rf"\"{name}\", \"?([\w/.:-]+)\"?\)", SOURCE)
        if found:
            checked += 1
            assert found[1].replace("_", "").lower() == documented.replace("_", "").lower(), name
    assert checked > 10


@pytest.mark.parametrize(
    "page",
    [page for page in pages() if page.name not in {"settings.md", "ocpp.md"}],
    ids=lambda page: page.stem,
)
def test_no_other_page_has_a_table_of_settings(page: object) -> None:
    assert isinstance(page, type(ROOT))
    names = set(in_the_table(page.read_text()))

    assert not names & read_by_the_processes()
