"""Committed commands reach the queue, whatever the broker does meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from api.live.publisher import Publisher
from embedded.ports import free_port
from embedded.process import running
from embedded.redis import Redis, prepare_redis
from shared.queues import TaskName, message
from tests.support.waiting import wait_until


class Broker:
    """A Redis that may be away."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: Redis = prepare_redis(folder, free_port())
        self.url = self._server.url

    @contextmanager
    def up(self) -> Iterator[None]:
        with running(self._server.program, self._folder / "redis.log"):
            yield

    @property
    def has(self) -> int:
        """Messages on the queue of starts and stops."""
        with redis.Redis.from_url(self.url) as client:
            return int(client.llen("lifecycle"))


@pytest.fixture
def broker(tmp_path: Path) -> Broker:
    return Broker(tmp_path)


@pytest.fixture
def publisher(broker: Broker) -> Iterator[Publisher]:
    publisher = Publisher(broker.url, buffer_size=1000)
    yield publisher
    publisher.close()


def publish(publisher: Publisher) -> None:
    hint = message(
        charger_id="dep-1", command_id=None, event_type="stop_charger", generation=2, desired_count=0
    )
    publisher.publish([(TaskName.STOP, hint)])


def test_messages_go_out_again_when_the_broker_is_back(broker: Broker, publisher: Publisher) -> None:
    for turn in (1, 2):
        with broker.up():
            publish(publisher)
            wait_until(lambda: not publisher.failing and not publisher.waiting)
            before = broker.has
            publish(publisher)
            wait_until(lambda: broker.has > before)  # noqa: B023

        publish(publisher)
        wait_until(lambda: publisher.failing)

        assert publisher.dropped >= turn


def test_an_unexpected_error_does_not_end_the_publisher(
    broker: Broker, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with broker.up():
        with monkeypatch.context() as patch:
            patch.setattr("api.live.publisher.Sender.send", fail)
            publish(publisher)
            wait_until(lambda: publisher.failing)
        publish(publisher)

        wait_until(lambda: broker.has == 1)


def test_a_publisher_whose_thread_could_not_start_fails_no_request_and_starts_with_the_next(
    broker: Broker, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with broker.up():
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fail)
            publish(publisher)
        publish(publisher)

        wait_until(lambda: broker.has == 2)
