"""What happens to a charger between two statements of one request."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, update

from shared.database.engine import Sessions
from shared.fleet.commands import LifecycleRequest, record_command
from shared.models import Charger
from shared.settings import Settings
from shared.vocabulary import EventType
from tests.support.fake_ecs import FakeEcs
from tests.support.world import World


@pytest.fixture
def world(sessions: Sessions, settings: Settings) -> World:
    return World(sessions, FakeEcs(), settings.timing)


@contextmanager
def before_first_read(sessions: Sessions, action: Any) -> Iterator[None]:
    """Run the action once, before the first plain read of a charger."""
    engine = sessions.kw["bind"]
    done: list[bool] = []

    def act(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT") and "FROM chargers" in statement and not done:
            done.append(True)
            action()

    event.listen(engine, "before_cursor_execute", act)
    yield
    event.remove(engine, "before_cursor_execute", act)


def test_a_request_that_was_refused_just_before_the_charger_became_ready_is_recorded(world: World) -> None:
    charger_id = world.create()

    def become_ready() -> None:
        with world.sessions.begin() as session:
            session.execute(update(Charger).values(provisioning_status="READY"))

    with before_first_read(world.sessions, become_ready), world.sessions.begin() as session:
        accepted = record_command(
            session, LifecycleRequest(EventType.STOP_CHARGER, charger_id, "acme", "tester", None)
        )

    assert accepted.event_type == "stop_charger"
    assert world.charger(charger_id).desired_count == 0
