from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from celery import Celery
from celery.contrib.testing.worker import start_worker
from redis.backoff import NoBackoff
from redis.retry import Retry

from embedded.ports import HOST, free_port
from embedded.process import running
from embedded.redis import fake_redis, find_redis, real_redis, running_redis
from embedded.redis_server import PasswordHandler, fake_server

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


@pytest.fixture(scope="module", params=["Redis", "fakeredis"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server of each kind."""
    tmp_path = tmp_path_factory.mktemp("server")
    binary = find_redis()
    if request.param == "Redis" and binary is None:
        pytest.skip("this machine has no Redis binary")
    real = request.param == "Redis" and binary is not None
    made = real_redis(str(binary), tmp_path, free_port()) if real else fake_redis(tmp_path, free_port())
    with running(made.program, tmp_path / "log"):
        yield made.url


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("password", [None, "", "guessed"])
def test_another_user_of_the_machine_is_refused(server: str, protocol: int, password: str | None) -> None:
    at = urlsplit(server)
    once = Retry(NoBackoff(), 0)
    given: dict[str, Any] = {"protocol": protocol, "retry": once, "socket_timeout": 5}
    refusals = (redis.AuthenticationError, redis.ResponseError)
    for call in ("GET", "FLUSHALL", "CONFIG GET requirepass", "EVAL return(1) 0", "SUBSCRIBE a"):
        with redis.Redis(HOST, at.port or 0, password=password, **given) as stranger, pytest.raises(refusals):
            stranger.execute_command(*call.split())

    with redis.Redis(HOST, at.port or 0, password=at.password, **given) as owner:
        assert owner.set("key", "value")
        assert owner.get("key") == b"value"


@needs_binary
def test_a_full_server_refuses_instead_of_evicting(tmp_path: Path) -> None:
    with running_redis(tmp_path) as url, client_of(url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


@needs_binary
def test_a_state_folder_with_a_space_and_quotes_in_its_name_serves(tmp_path: Path) -> None:
    folder = tmp_path / 'my "state" folder'

    with running_redis(folder) as url, client_of(url) as client:
        assert client.ping()
    assert (folder / "redis" / "redis.conf").stat().st_mode & 0o077 == 0


def test_a_machine_without_a_binary_gets_the_fake_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedded.redis.find_redis", lambda: None)

    with running_redis(tmp_path) as url, client_of(url) as client:
        client.set("key", "value")

        assert client.get("key") == b"value"


def test_the_fake_server_carries_celery_tasks(tmp_path: Path) -> None:
    """A broker needs Lua scripts for acknowledgements."""
    server = fake_redis(tmp_path, free_port())
    sums: Queue[int] = Queue()
    with running(server.program, tmp_path / "log"):
        app = Celery("fallback", broker=server.url, set_as_current=False)
        app.conf.update(task_acks_late=True, task_ignore_result=True)

        @app.task(name="add")
        def add(x: int, y: int) -> None:
            sums.put(x + y)

        with app, start_worker(app, pool="threads", concurrency=4, perform_ping_check=False):
            for n in range(50):
                app.send_task("add", (n, 1))
            got = sorted(sums.get(timeout=10) for _ in range(50))

    assert got == [n + 1 for n in range(50)]


def test_the_fake_server_sends_small_answers_at_once() -> None:
    """With Nagle's algorithm each of them waits 40 ms for an acknowledgement."""
    with fake_server((HOST, 0), b"password") as server:
        assert server.RequestHandlerClass is PasswordHandler
        assert PasswordHandler.disable_nagle_algorithm
