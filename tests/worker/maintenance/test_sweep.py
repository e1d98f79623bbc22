"""A command whose message was lost is published again, until it is done."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from sqlalchemy import func, update

from embedded.ports import free_port
from embedded.process import running
from embedded.redis import prepare_redis, running_redis
from shared.broker.app import make_celery
from shared.models import Charger
from tests.support.plans import only_nested_loops
from tests.support.world import World
from worker.maintenance.sweep import sweep


@pytest.fixture
def celery(redis_url: str) -> Iterator[Celery]:
    app = make_celery(redis_url, publisher=True)
    _drain(app)
    yield app
    _drain(app)
    app.close()


def _drain(app: Celery) -> list[dict[str, Any]]:
    """Take every waiting message off the queues. Returns the arguments of each."""
    taken = []
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        for queue in app.amqp.queues.values():
            bound = queue(channel)
            bound.declare()
            while (message := bound.get(no_ack=True)) is not None:
                taken.append({"task": message.headers["task"], **message.payload[1]})
    return taken


def long_after(world: World) -> None:
    with world.sessions.begin() as session:
        session.execute(
            update(Charger)
            .where(Charger.publish_at.is_not(None))
            .values(publish_at=func.now() - timedelta(seconds=1))
        )


def test_a_command_that_no_message_carried_is_published(world: World, celery: Celery) -> None:
    charger_id = world.ready()
    stop = world.stop(charger_id)
    too_early = sweep(world.sessions, celery)
    long_after(world)

    published = sweep(world.sessions, celery)

    assert (too_early, published) == (0, 1)
    assert _drain(celery) == [
        {
            "task": "charger.stop",
            "command_id": str(stop.command_id),
            "charger_id": charger_id,
            "event_type": "stop_charger",
            "generation": 2,
            "payload": {"desired_count": 0},
        }
    ]


def test_one_sweep_never_publishes_more_than_its_limit_whatever_plan_the_database_chooses(
    world: World, celery: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.maintenance.sweep.SWEEP_LIMIT", 2)
    for number in range(5):
        world.stop(world.ready(f"CP-{number}"))
    long_after(world)

    with only_nested_loops(world.sessions.kw["bind"]):
        published = [sweep(world.sessions, celery) for _ in range(4)]

    assert published == [2, 2, 1, 0]


def test_what_was_just_published_is_left_alone(world: World, celery: Celery) -> None:
    world.stop(world.ready())
    long_after(world)

    assert [sweep(world.sessions, celery) for _ in range(3)] == [1, 0, 0]


def test_what_is_done_is_not_published(world: World, celery: Celery) -> None:
    charger_id = world.ready()
    world.stop(charger_id)
    world.work(charger_id)
    long_after(world)

    assert sweep(world.sessions, celery) == 0


def test_a_drifted_charger_is_published_as_a_repair(world: World, celery: Celery) -> None:
    charger_id = world.ready()
    world.ecs.services[charger_id].desired_count = 0
    world.observe()

    sweep(world.sessions, celery)

    assert [message["task"] for message in _drain(celery)] == ["charger.repair"]


def test_a_command_of_a_drifted_charger_is_published_as_that_command(world: World, celery: Celery) -> None:
    """A client waits for it, so it does not queue with repairs, nor with rollouts, a task that old workers do not have."""
    charger_id = world.ready()
    with world.sessions.begin() as session:
        session.execute(
            update(Charger).values(drifted_at=func.now(), publish_at=func.now(), rollout_hash="new")
        )
    world.stop(charger_id)
    long_after(world)

    sweep(world.sessions, celery)

    assert [message["task"] for message in _drain(celery)] == ["charger.stop"]


def test_a_broker_that_is_away_leaves_the_work_for_the_next_sweep(world: World, tmp_path: Path) -> None:
    world.stop(world.ready())
    long_after(world)
    broker = prepare_redis(tmp_path, free_port())
    celery = make_celery(broker.url, publisher=True)

    sweep(world.sessions, celery)
    with running(broker.program, tmp_path / "redis.log"):
        published = sweep(world.sessions, celery)
        messages = _drain(celery)

    assert published == 1
    assert [message["task"] for message in messages] == ["charger.stop"]
    celery.close()


def test_a_broker_that_became_a_replica_leaves_the_work_for_the_next_sweep(
    world: World, tmp_path: Path
) -> None:
    """A replica refuses messages, and keeps its connections."""
    world.stop(world.ready())
    long_after(world)
    with running_redis(tmp_path) as url, redis.Redis.from_url(url) as client:
        app = make_celery(url, publisher=True)
        client.replicaof("127.0.0.1", 1)
        refused = sweep(world.sessions, app)
        client.replicaof("NO", "ONE")

        published = sweep(world.sessions, app)
        app.close()

        assert (refused, published, client.llen("lifecycle")) == (1, 1, 1)


def test_hints_do_not_pile_up_on_a_queue_that_nobody_serves(
    world: World, celery: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.maintenance.sweep.MAX_WAITING", 2)
    stopped, created = world.ready("CP-1"), world.create("CP-2")
    stop = world.stop(stopped)

    for _ in range(5):
        long_after(world)
        sweep(world.sessions, celery)
    waited = _drain(celery)
    long_after(world)
    sweep(world.sessions, celery)

    per_charger = Counter(message["charger_id"] for message in waited)
    assert per_charger == {stopped: 2, created: 2}  # each queue has its own limit
    assert {message["command_id"] for message in _drain(celery)} >= {str(stop.command_id)}
