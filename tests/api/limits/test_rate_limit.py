"""An organization may send a limited number of requests, counted in Redis; without Redis all are admitted."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
import structlog
from flask import Flask
from flask.testing import FlaskClient

from api.app import create_app
from api.limits import rate_limit
from api.limits.rate_limit import RateLimit, TooManyRequests
from api.resources import Resources
from embedded.redis import running_redis
from shared.settings import Settings, SettingsError
from tests.support.environment import Token
from tests.support.proxy import TcpProxy
from tests.support.waiting import wait_until

CHARGERS = "/ocpp/chargers"

Get = Callable[..., Any]


@pytest.fixture
def line(redis_url: str) -> Iterator[TcpProxy]:
    """Between the app and Redis."""
    port = urlsplit(redis_url).port
    assert port is not None
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter("chargehand:rate*"):
            client.delete(key)
    line = TcpProxy(port)
    yield line
    line.close()


@pytest.fixture
def limited(settings: Settings, redis_url: str, line: TcpProxy) -> Iterator[Flask]:
    url = redis_url.replace(f":{urlsplit(redis_url).port}", f":{line.port}")
    app = create_app(replace(settings, rate_limit="5/minute", redis_url=url, database_pool_size=2))
    yield app
    resources: Resources = app.extensions["chargehand"]
    assert resources.rate_limit is not None
    resources.rate_limit.close()
    resources.pools.dispose()


@pytest.fixture
def get(limited: Flask, token: Token) -> Get:
    def get(path: str = CHARGERS, organization: str = "acme") -> Any:
        headers = {"Authorization": f"Bearer {token(organization=organization)}"}
        return limited.test_client().get(path, headers=headers)

    return get


def use_up(get: Get) -> None:
    """Send what the organization may send."""
    assert [get().status_code for _ in range(6)][-1] == 429


def test_a_request_above_the_rate_is_refused_with_a_time_to_retry_after(get: Get) -> None:
    answers = [get() for _ in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    refused = answers[-1]
    assert refused.json["detail"].startswith("More than 5 per 1 minute: try again in ")
    assert 1 <= int(refused.headers["Retry-After"]) <= 120
    assert refused.headers["X-Request-Id"]


def test_requests_for_hosts_count_but_not_those_of_an_admin_for_all_organizations(
    limited: Flask, get: Get, token: Token
) -> None:
    admin = {"Authorization": f"Bearer {token(role='admin')}"}

    answers = [get("/ocpp/hosts") for _ in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    for _ in range(10):
        assert limited.test_client().get("/ocpp/hosts", headers=admin).status_code == 200


def test_each_organization_has_a_rate_of_its_own(get: Get) -> None:
    use_up(get)

    assert get(organization="globex").status_code == 200


def test_a_request_without_a_valid_token_is_refused_before_it_is_counted(limited: Flask, get: Get) -> None:
    for _ in range(10):
        assert limited.test_client().get(CHARGERS).status_code == 401

    assert get().status_code == 200


def test_an_options_request_is_not_counted(limited: Flask, get: Get) -> None:
    for _ in range(10):
        assert limited.test_client().options(CHARGERS).status_code == 200

    assert get().status_code == 200


def test_what_does_not_exist_yet_is_counted_too(get: Get) -> None:
    answers = [get("/ocpi/cpos") for _ in range(6)]

    assert [answer.status_code for answer in answers] == [501] * 5 + [429]


def test_what_has_no_organization_is_not_counted(get: Get) -> None:
    answers = [get("/ocpp/catalog/brands") for _ in range(10)] + [get("/health") for _ in range(10)]

    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.parametrize("fault", ["freeze", "cut"])
def test_without_redis_everybody_is_let_in_at_once(get: Get, line: TcpProxy, fault: str) -> None:
    use_up(get)

    getattr(line, fault)()
    first = get()
    started = monotonic()
    others = [get() for _ in range(20)]
    took_s = monotonic() - started

    assert {answer.status_code for answer in (first, *others)} == {200}
    assert took_s < 2


def test_the_rate_holds_again_when_redis_is_back(get: Get, line: TcpProxy) -> None:
    use_up(get)
    line.freeze()
    assert get().status_code == 200

    line.heal()
    wait_until(lambda: get().status_code == 429, what="requests are counted again")


def test_a_redis_that_refuses_is_left_alone_until_it_counts_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "PROBE_EVERY_S", 0.01)
    with (
        running_redis(tmp_path) as url,
        redis.Redis.from_url(url) as client,
        structlog.testing.capture_logs() as lines,
    ):
        limit = RateLimit(url, "1/minute")
        client.replicaof("127.0.0.1", 1)
        refused = client.info("stats")["total_error_replies"]
        for _ in range(3):
            limit.count("acme")
        wait_until(lambda: client.info("stats")["total_error_replies"] > refused + 3)  # probes go on
        meanwhile = [line["event"] for line in lines]
        client.replicaof("NO", "ONE")
        wait_until(lambda: "rate_limit.on" in [line["event"] for line in lines])
        limit.count("acme")
        with pytest.raises(TooManyRequests):
            limit.count("acme")
        limit.close()

    assert meanwhile == ["rate_limit.off"]


def test_a_limit_that_makes_no_sense_is_refused_at_the_start(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="RATE_LIMIT"):
        create_app(replace(settings, rate_limit="many"))


def test_without_a_limit_nothing_is_counted(app: Flask, client: FlaskClient) -> None:
    resources: Resources = app.extensions["chargehand"]

    assert resources.rate_limit is None
