"""A check that refused requests store nothing."""

from typing import Any

import pytest
from sqlalchemy import func, select

from shared.models import Charger, Command
from tests.support.fleet import Fleet


@pytest.fixture
def nothing_written(fleet: Fleet) -> Any:
    """After the test there is no command but those of the chargers that it created."""
    yield
    with fleet.sessions() as session:
        chargers = session.scalar(select(func.count()).select_from(Charger))
        commands = session.scalar(select(func.count()).select_from(Command))
    assert commands == chargers
