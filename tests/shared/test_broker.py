"""How api and worker talk to the broker."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from redis._parsers.base import BaseParser

from api.limits.rate_limit import RateLimit, TooManyRequests
from embedded.ports import free_port
from embedded.process import Program, running
from embedded.redis import find_redis
from shared.broker.app import BROKER_ERRORS, CLUSTER, Sender, broker_trouble, check_broker, make_celery
from shared.broker.url import BadBrokerUrl, broker_url, check_redis_url
from shared.queues import Queue, TaskName
from tests.support.waiting import wait_until


@pytest.mark.parametrize(
    "answer",
    [
        "READONLY You can't write against a read only replica.",
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
        "NOREPLICAS Not enough good replicas to write.",
        "NOAUTH Authentication required.",
        "NOPERM this user has no permissions to run the 'lpush' command",
        "WRONGPASS invalid username-password pair or user is disabled.",
    ],
    ids=lambda answer: answer.partition(" ")[0],
)
def test_what_redis_answers_during_a_failover_is_an_error_of_the_broker(answer: str) -> None:
    """So a worker connects anew, and whoever publishes leaves it to the sweep."""
    error = BaseParser.parse_error(answer)  # type: ignore[no-untyped-call]
    connection = make_celery("redis://127.0.0.1/0", publisher=False).connection_for_read()

    assert isinstance(error, BROKER_ERRORS)
    assert isinstance(error, (*connection.connection_errors, *connection.channel_errors))


@pytest.mark.parametrize("url", ["redis://:secret@127.0.0.1:1/0", "rediss://:secret@127.0.0.1:1/0"])
def test_the_broker_is_known_by_the_url_it_was_given(url: str) -> None:
    """Flower chooses by the scheme how to look into the queue."""
    connection = make_celery(url, publisher=False).connection()

    assert connection.as_uri(include_password=True) == url


@pytest.mark.parametrize(
    ("url", "verified"),
    [
        ("rediss://:secret@127.0.0.1:1/0", ssl.CERT_REQUIRED),
        ("rediss://:secret@127.0.0.1:1/0?ssl_cert_reqs=none", ssl.CERT_NONE),
    ],
)
def test_a_broker_behind_tls_must_show_a_good_certificate_unless_the_url_says_otherwise(
    url: str, verified: ssl.VerifyMode
) -> None:
    connection: Any = make_celery(url, publisher=True).connection()

    assert connection.ssl["ssl_cert_reqs"] == verified


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("localhost", "must be a URL: redis://HOST:PORT/NUMBER"),
        ("http://h", "must be a URL: redis://HOST:PORT/NUMBER"),
        ("memory://", "must be a URL"),
        ("sqs://k:cret@", "must be a URL"),
        ("sentinel://127.0.0.1:1/0", "must not lead to Sentinel"),
        ("redis+socket:///tmp/s", "must be written unix:///PATH?db=NUMBER"),
        ("redis-cluster://h", "must be a URL"),
        ("REDIS://:cret@h/0", "must begin with redis://"),
        ("redis:0", "must begin with redis://"),
        ("unix:/tmp/s", "must begin with unix://"),
        ("redis://:cret@h:99999", "must have a port from 1 to 65535"),
        ("redis://:se/cret@h", "%2F"),
        ("redis://:se#cret@h", "%23"),
        ("redis://h/0#cret", "has a #, which is written %23"),
        ("redis://h/abc", "must end with the number of a database"),
        ("redis://h/-1", "must end with the number of a database"),
        ("redis://h/1/2", "must end with the number of a database"),
        ("redis://h/0?db=1", "has the parameter 'db'"),
        ("redis://h/0?socket_timeout=5", "has the parameter 'socket_timeout'"),
        ("redis://h/0?ssl_cert_reqs=none", "has the parameter 'ssl_cert_reqs'"),
        ("redis://a,b", "must name one host"),
        ("redis://a;redis://b", "must name one host"),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", "none, optional, required as ssl_cert_reqs"),
        ("rediss://h?ssl_check_hostname=perhaps", "true or false as ssl_check_hostname"),
        ("rediss://h?ssl_ca_certs=/no/such", "ssl_ca_certs that cannot be read: /no/such"),
        ("unix://h/s", "three slashes"),
        ("unix://", "three slashes"),
        ("unix:///s?db=x", "must end with the number of a database"),
    ],
)
def test_a_url_that_no_part_can_use_is_refused_in_a_line_without_a_secret(url: str, reason: str) -> None:
    for check in (check_redis_url, broker_url):
        with pytest.raises(BadBrokerUrl) as refused:
            check(url)

        said = str(refused.value)
        assert reason in said
        assert "\n" not in said
        assert "cret" not in said


def test_rabbitmq_is_a_broker_and_no_redis() -> None:
    assert broker_url("amqps://u:p@h/v?heartbeat=10") == "amqps://u:p@h/v?heartbeat=10"
    with pytest.raises(BadBrokerUrl, match="RabbitMQ goes into BROKER_URL"):
        check_redis_url("amqp://h")
    with pytest.raises(BadBrokerUrl, match="heartbeat=SECONDS only"):
        broker_url("amqp://h?heartbeat=often")


@pytest.mark.parametrize("url", ["redis://", "redis:///1", "redis://us%20er:p%40@[::1]:1/2", "redis://h:2/0"])
def test_a_good_url_is_read_alike_by_all_that_use_it(url: str) -> None:
    check_redis_url(url)
    read = redis.ConnectionPool.from_url(url).connection_kwargs
    connection = make_celery(broker_url(url), publisher=True).connection_for_write()

    assert (connection.hostname or "localhost") == read.get("host", "localhost")
    assert (connection.port or 6379) == read.get("port", 6379)
    assert (connection.userid, connection.password) == (read.get("username"), read.get("password"))
    assert str(connection.virtual_host).strip("/") in (str(read.get("db", 0)), "")


@pytest.fixture(scope="module")
def odd_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Starts a Redis with options of its own. Returns its socket's path."""
    binary = find_redis()
    if binary is None:
        pytest.skip("fakeredis has no options")
    with ExitStack() as servers:

        def start(name: str, *options: str) -> str:
            folder = tmp_path_factory.mktemp(name)
            argv = (binary, "--port", "0", "--unixsocket", "s", "--dir", str(folder), *options)
            program = Program(name, argv, is_ready=partial(listens, folder / "s"), cwd=folder)
            servers.enter_context(running(program, folder / "log"))
            return str(folder / "s")

        yield start


def listens(path: Path) -> bool:
    """The socket is there before it takes connections."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def test_a_redis_behind_a_socket_serves_the_broker_the_rate_limit_and_the_budget(
    odd_redis: Callable[..., str],
) -> None:
    url = f"unix://:secret@{odd_redis('socket', '--requirepass', 'secret')}?db=2"
    check_redis_url(url)

    check_broker(make_celery(broker_url(url), publisher=True))
    limit = RateLimit(url, "1/hour")

    def refused() -> bool:
        try:
            limit.count("acme")
        except TooManyRequests:
            return True
        return False  # the first one; and while Redis takes more than 200 ms, all

    wait_until(refused)
    with redis.Redis.from_url(url) as client:
        assert client.connection_pool.connection_kwargs["db"] == 2
        assert client.dbsize() > 0


def test_a_redis_cluster_and_a_number_that_it_does_not_have_are_named(odd_redis: Callable[..., str]) -> None:
    port = next(port for port in iter(free_port, None) if port < 55_000)  # its bus is at 10,000 more
    cluster = odd_redis("cluster", "--cluster-enabled", "yes", "--port", str(port))
    small = odd_redis("small", "--databases", "1")
    said = []
    for url in (f"unix://{cluster}", f"unix://{cluster}?db=1", f"unix://{small}?db=1"):
        with pytest.raises(redis.RedisError) as refused:
            check_broker(make_celery(broker_url(url), publisher=True))
        said.append(broker_trouble(refused.value))

    assert said == [CLUSTER, CLUSTER, "The broker refuses: DB index is out of range"]


def test_the_messages_on_a_full_redis_are_counted(odd_redis: Callable[..., str]) -> None:
    """So neither beat nor the sweep adds to a queue that filled it."""
    url = f"unix://{odd_redis('full')}"
    with closing(Sender(make_celery(broker_url(url), publisher=True))) as sender:
        sender.send([(TaskName.SWEEP, {}), (TaskName.OBSERVE, {})])
        with redis.Redis.from_url(url) as client:
            client.config_set("maxmemory", 1)

        assert sender.waiting(Queue.MAINTENANCE) == 2
