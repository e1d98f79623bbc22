"""One rig for all faults, and a table of what they came to."""

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults.checker import HEADER, Verdict
from tests.faults.rig import Rig, running_rig

VERDICTS: pytest.StashKey[list[Verdict]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[VERDICTS] = []


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with (
        TemporaryDirectory(prefix="chargehand-faults-", ignore_cleanup_errors=True) as folder,
        running_rig(Path(folder)) as rig,
    ):
        yield rig


@pytest.fixture
def verdicts(pytestconfig: pytest.Config) -> list[Verdict]:
    """Printed as a table at the end."""
    return pytestconfig.stash[VERDICTS]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    verdicts: list[Verdict] = config.stash[VERDICTS]
    verdicts.sort(key=attrgetter("fault"))
    if not verdicts:
        return
    rows = [HEADER, *(verdict.row for verdict in verdicts)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    terminalreporter.section("faults")
    for row in rows:
        figures = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        terminalreporter.line("  ".join([row[0].ljust(widths[0]), *figures]))
