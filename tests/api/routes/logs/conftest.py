"""A charger whose log tests write and read."""

from collections.abc import Iterator

import pytest

from tests.api.routes.logs.reading import Log
from tests.support.fleet import Fleet
from tests.support.log_entries import log_days


@pytest.fixture
def log(fleet: Fleet) -> Iterator[Log]:
    """A charger's empty log, with partitions for three days."""
    with log_days(fleet.sessions):
        yield Log(fleet, fleet.create())
