import time
from pathlib import Path
from queue import Queue

import pytest
import redis
from celery import Celery
from celery.contrib.testing.worker import start_worker
from redis.backoff import NoBackoff
from redis.retry import Retry

from embedded.ports import HOST, free_port
from embedded.process import running
from embedded.redis import fake_redis, find_redis, running_redis

needs_binary = pytest.mark.skipif(find_redis() is None, reason="this machine has no Redis binary")


def client_of(url: str) -> redis.Redis:
    return redis.Redis.from_url(url)


def test_the_url_leads_to_a_server_that_keeps_values(tmp_path: Path) -> None:
    with running_redis(tmp_path) as url, client_of(url) as client:
        client.set("key", "value")

        assert client.get("key") == b"value"


@needs_binary
def test_values_are_there_again_after_a_restart(tmp_path: Path) -> None:
    with running_redis(tmp_path) as url, client_of(url) as client:
        client.set("key", "value")

    with running_redis(tmp_path) as url, client_of(url) as client:
        assert client.get("key") == b"value"


@needs_binary
def test_another_user_of_the_machine_does_not_get_in(tmp_path: Path) -> None:
    with running_redis(tmp_path) as url:
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        once = Retry(NoBackoff(), 0)
        with redis.Redis(HOST, port, retry=once) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.get("key")

    assert (tmp_path / "redis" / "redis.conf").stat().st_mode & 0o077 == 0


@needs_binary
def test_a_full_server_refuses_instead_of_forgetting(tmp_path: Path) -> None:
    with running_redis(tmp_path) as url, client_of(url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


@needs_binary
def test_a_state_folder_with_a_space_and_quotes_in_its_name_serves(tmp_path: Path) -> None:
    folder = tmp_path / 'my "state" folder'

    with running_redis(folder) as url, client_of(url) as client:
        assert client.ping()


def test_a_machine_without_a_binary_gets_the_fake_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedded.redis.find_redis", lambda: None)

    with running_redis(tmp_path) as url, client_of(url) as client:
        client.set("key", "value")

        assert client.get("key") == b"value"


def test_the_fake_server_carries_celery_tasks_and_quickly(tmp_path: Path) -> None:
    """The fallback has to do as the broker: Lua scripts for acknowledgements, small packets at once."""
    server = fake_redis(free_port())
    sums: Queue[int] = Queue()
    with running(server.program, tmp_path / "log"):
        app = Celery("fallback", broker=server.url, set_as_current=False)
        app.conf.update(task_acks_late=True, task_ignore_result=True)

        @app.task(name="add")
        def add(x: int, y: int) -> None:
            sums.put(x + y)

        with app, start_worker(app, pool="threads", concurrency=4, perform_ping_check=False):
            begin = time.monotonic()
            for n in range(50):
                app.send_task("add", (n, 1))
            got = sorted(sums.get(timeout=10) for _ in range(50))
            took_s = time.monotonic() - begin

    assert got == [n + 1 for n in range(50)]
    assert took_s < 3, "small answers wait for delayed acknowledgements again"
