"""How api and worker talk to the broker."""

import ssl
from typing import Any

import pytest

from shared.broker import make_celery


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
