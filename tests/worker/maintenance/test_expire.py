"""A charger or a location whose time is over is deleted as by a client, once, and only then."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from sqlalchemy import event, func, select, update
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from shared.broker.app import make_celery
from shared.models import Charger, Job, JobItem, Location
from shared.queues import Queue
from tests.support.world import ORGANIZATION, World
from worker.maintenance import expire
from worker.maintenance.expire import expire_chargers, expire_locations


@pytest.fixture
def celery(redis_url: str) -> Iterator[Celery]:
    app = make_celery(redis_url, publisher=True)
    yield app
    with app.connection_for_write() as connection:
        channel: Any = connection.default_channel
        channel.queue_purge(Queue.PROVISIONING.value)
    app.close()


def ready(world: World, number: int, seconds_left: int | None) -> str:
    charger_id = world.ready(f"CP-{number}")
    with world.sessions.begin() as session:
        expires_at = None if seconds_left is None else func.now() + timedelta(seconds=seconds_left)
        session.execute(update(Charger).where(Charger.id == charger_id).values(expires_at=expires_at))
    return charger_id


def test_chargers_whose_time_is_over_are_deleted_and_no_other(world: World, celery: Celery) -> None:
    over, stopped, later, never = (
        ready(world, number, left) for number, left in enumerate((-1, -1, 60, None))
    )
    world.stop(stopped)

    expired = expire_chargers(world.sessions, celery)
    again = expire_chargers(world.sessions, celery)

    assert (expired, again) == (2, 0)
    assert world.charger(later).deleted_at is world.charger(never).deleted_at is None
    for charger_id in (over, stopped):
        world.work(charger_id)
        world.wait_is_over(charger_id)
        world.work(charger_id)
        assert world.gone(charger_id)
        assert charger_id not in world.ecs.definitions


def test_many_are_deleted_in_portions_also_by_several_workers_at_once(
    world: World, celery: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expire, "PORTION", 2)
    ids = [ready(world, number, -1) for number in range(7)]

    with ThreadPoolExecutor() as threads:
        runs = [threads.submit(expire_chargers, world.sessions, celery) for _ in range(3)]
    left = expire_chargers(world.sessions, celery)

    assert sum(run.result() for run in runs) + left == 7
    assert [world.charger(charger_id).generation for charger_id in ids] == [2] * 7  # one delete each


def test_a_charger_whose_time_is_extended_at_that_moment_stays(world: World, celery: Celery) -> None:
    charger_id = ready(world, 1, -1)

    with ThreadPoolExecutor() as threads, world.sessions.begin() as session:
        session.execute(
            update(Charger).where(Charger.id == charger_id).values(expires_at=func.now() + timedelta(hours=1))
        )
        meanwhile = threads.submit(expire_chargers, world.sessions, celery).result(10)
        session.commit()
    afterwards = expire_chargers(world.sessions, celery)

    assert (meanwhile, afterwards) == (0, 0)
    assert world.charger(charger_id).deleted_at is None


def test_a_location_whose_time_is_over_is_deleted_with_its_chargers_and_no_other(world: World) -> None:
    with world.sessions.begin() as session:
        for name, seconds_left in (("over", -1), ("later", 60), ("empty", -1)):
            expires_at = func.now() + timedelta(seconds=seconds_left)
            session.add(Location(organization_id=ORGANIZATION, id=name, expires_at=expires_at))
        session.add(Location(organization_id="globex", id="over"))
    for number, location_id in enumerate(("over", "over", "later")):
        world.update(world.ready(f"CP-{number}"), location_id=location_id)

    expired = expire_locations(world.sessions)
    again = expire_locations(world.sessions)

    with world.sessions() as session:
        [job] = session.scalars(select(Job))
        items = session.scalars(select(JobItem.identity).order_by(JobItem.position)).all()
        live = session.execute(
            select(Location.organization_id, Location.id).where(Location.deleted_at.is_(None))
        ).all()
    assert (expired, again) == (2, 0)
    assert (job.action, job.location_id, job.requested_by) == ("delete", "over", "chargehand")
    assert items == ["CP-0", "CP-1"]
    assert {tuple(row) for row in live} == {(ORGANIZATION, "later"), ("globex", "over")}


def test_a_location_whose_time_is_extended_at_that_moment_stays(world: World) -> None:
    with world.sessions.begin() as session:
        session.add(Location(organization_id=ORGANIZATION, id="here", expires_at=func.now()))

    with ThreadPoolExecutor() as threads, world.sessions.begin() as session:
        session.execute(update(Location).values(expires_at=func.now() + timedelta(hours=1)))
        meanwhile = threads.submit(expire_locations, world.sessions).result(10)
        session.commit()

    assert (meanwhile, expire_locations(world.sessions)) == (0, 0)


def test_a_deletion_that_is_not_committed_is_not_logged(world: World) -> None:
    with world.sessions.begin() as session:
        session.add(Location(organization_id=ORGANIZATION, id="here", expires_at=func.now()))

    def fail(_: Session) -> None:
        raise ConnectionError

    event.listen(world.sessions, "before_commit", fail)
    try:
        with capture_logs() as logs, pytest.raises(ConnectionError):
            expire_locations(world.sessions)
    finally:
        event.remove(world.sessions, "before_commit", fail)

    assert [entry for entry in logs if entry["event"] == "location.expired"] == []
    assert expire_locations(world.sessions) == 1
