"""docs/settings.md has every variable that a process reads, and no other page has a second table of them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.ports import USUAL_PORTS
from shared.startup.environment import SECRETS, variables
from tests.docs.pages import ROOT, pages

PAGE = (ROOT / "docs" / "settings.md").read_text()
SOURCE = (ROOT / "shared" / "startup" / "environment.py").read_text()

#: The variable by which `make run` marks its processes.
ELSEWHERE = {"CHARGEHAND_ENV"}


@pytest.fixture
def read_by_the_processes(monkeypatch: pytest.MonkeyPatch) -> frozenset[str]:
    for name, value in {"DATABASE_URL": "postgresql://", "REDIS_URL": "redis://"}.items():
        monkeypatch.setenv(name, value)
    return variables()


def in_the_table(page: str = PAGE) -> Iterator[str]:
    for row in re.findall(r"^\| (`[A-Z][^|]*) \|", page, re.MULTILINE):
        yield from re.findall(r"`([A-Z][A-Z0-9_]+)`", row)


def test_every_variable_that_a_process_reads_is_in_the_table(read_by_the_processes: frozenset[str]) -> None:
    assert read_by_the_processes - set(in_the_table()) - ELSEWHERE == set()


def test_every_secret_is_marked() -> None:
    for name in SECRETS:
        [row] = re.findall(
            rf"^\|[^|]*`{name}`[^|]*\|[^|]*\|(.*)\|$", PAGE.split("## `make run` only")[0], re.MULTILINE
        )
        assert "secret" in row, name


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
    """Checks the defaults that the code has as a literal, the same for both environments."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", PAGE, re.MULTILINE)
    checked = [
        (name, documented, found[1])
        for name, documented in rows
        if (found := re.search(rf"(?:env, |env\.\w+\()\"{name}\", (\"[^\"]+\"|\d[\d_.]*)[,)]", SOURCE))
    ]

    assert len(checked) > 10
    for name, documented, default in checked:
        assert default.strip('"').replace("_", "") == documented.replace("_", ""), name


@pytest.mark.parametrize(
    "page",
    [page for page in pages() if page.name not in {"settings.md", "ocpp.md"}],
    ids=lambda page: page.stem,
)
def test_no_other_page_has_a_table_of_settings(page: Path, read_by_the_processes: frozenset[str]) -> None:
    assert not set(in_the_table(page.read_text())) & read_by_the_processes
