"""The link gets a hint after a commit, and no request waits for Redis."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import redis

from api.live import hints as module
from api.live.hints import Hints
from embedded.ports import free_port
from embedded.process import running
from embedded.redis import prepare_redis
from shared.fleet.control import HINTS
from tests.support.proxy import TcpProxy
from tests.support.waiting import wait_until


@pytest.fixture
def channel(redis_url: str) -> Iterator[Any]:
    """A subscription of the link."""
    with redis.Redis.from_url(redis_url) as client, client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(HINTS)
        channel.get_message(timeout=5)
        yield channel


def _given(hints: Hints) -> Hints:
    hints.give()
    return hints


def test_a_hint_arrives_and_is_empty(redis_url: str, channel: Any) -> None:
    hints = _given(Hints(redis_url))

    message = channel.get_message(timeout=5)
    hints.close()

    assert (message["channel"], message["data"]) == (HINTS.encode(), b"")


def test_hints_go_out_again_when_redis_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_AFTER_FAILURE_S", 0.05)
    server = prepare_redis(tmp_path, free_port())
    hints = _given(Hints(server.url))
    wait_until(lambda: hints.failing)

    with (
        running(server.program, tmp_path / "redis.log"),
        redis.Redis.from_url(server.url) as client,
        client.pubsub(ignore_subscribe_messages=True) as channel,
    ):
        channel.subscribe(HINTS)
        channel.get_message(timeout=5)
        hints.give()
        assert channel.get_message(timeout=5) is not None
    hints.close()


def test_nobody_waits_for_a_redis_that_hangs(redis_url: str) -> None:
    proxy = TcpProxy(int(redis_url.rpartition(":")[2].partition("/")[0]))
    proxy.freeze()
    hints = Hints(f"redis://127.0.0.1:{proxy.port}/0")

    began = monotonic()
    for _ in range(1000):
        hints.give()
    took_s = monotonic() - began
    wait_until(lambda: hints.failing)
    hints.close()
    proxy.close()

    assert took_s < module.TIMEOUT_S / 2


def test_an_installation_without_redis_gives_no_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> None:
        raise AssertionError("a thread was started")

    monkeypatch.setattr(Hints, "_start", fail)

    Hints("").give()


def test_a_hint_whose_thread_could_not_start_fails_no_request_and_goes_out_with_the_next(
    redis_url: str, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("threading.Thread.start", fail)
        hints = _given(Hints(redis_url))
    hints.give()

    assert channel.get_message(timeout=5) is not None
    hints.close()
