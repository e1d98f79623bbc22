"""How api and worker talk to the broker."""

import ssl
from typing import Any

import pytest
from redis._parsers.base import BaseParser

from shared.broker import BROKER_ERRORS, make_celery


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


def test_a_channel_has_one_redis_client_for_all_its_commands(redis_url: str) -> None:
    with make_celery(redis_url, publisher=True).connection_for_write() as connection:
        channel: Any = connection.default_channel
        with channel.conn_or_acquire() as one, channel.conn_or_acquire() as another:
            assert one.ping()
        assert one is another

        channel._disconnect_pools()

        with channel.conn_or_acquire() as later:
            assert later is not one
            assert later.ping()


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
