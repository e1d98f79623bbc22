"""A job whose items, commands and logs tests write, at NOON."""

from collections.abc import Iterator

import pytest

from tests.api.routes.reports.writing import Reported
from tests.support.fleet import Fleet
from tests.support.log_entries import log_days


@pytest.fixture
def reported(fleet: Fleet) -> Iterator[Reported]:
    with log_days(fleet.sessions):
        yield Reported(fleet)
