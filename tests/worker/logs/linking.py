"""Read and write links, for the tests of the log reader."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.links import line, shown_link
from tests.support.world import World

NOW = datetime(2026, 4, 2, 9, 15, tzinfo=UTC)
A_MINUTE = timedelta(minutes=1)


def running_task(world: World, charger_id: str) -> str:
    arn = world.ecs.current_task(charger_id)
    assert arn is not None
    return arn.rpartition("/")[2]


def state(world: World, charger_id: str) -> str | None:
    return shown_link(world.sessions, charger_id).state


def listed_state(world: World, charger_id: str) -> str | None:
    return world.charger(charger_id).link_state


def boot(charger_id: str, task: str, at: datetime) -> list[dict[str, Any]]:
    return [
        line(charger_id, each, at + timedelta(milliseconds=number), task)
        for number, each in enumerate(("connecting", "connected", "accepted"))
    ]
