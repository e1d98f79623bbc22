"""No header of a client or a proxy changes the path, the scheme or the address of a request."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.support.api_server import running_api


@pytest.fixture(scope="module")
def server(
    new_database: Callable[[], str], redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A stray variable of another project is in its environment."""
    folder = tmp_path_factory.mktemp("headers")
    with running_api(new_database(), redis_url, folder, WEB_CONCURRENCY="1", SCRIPT_NAME="/nope") as url:
        yield url


@pytest.mark.parametrize(
    "given",
    [
        {"SCRIPT_NAME": "/nope"},
        {"Script-Name": "/nope"},
        {"PATH_INFO": "/nope"},
        {"Path-Info": "/nope"},
        {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off"},
        {"X-Forwarded-Proto": "gopher"},
        {"X-Forwarded-Protocol": "ssl", "X-Forwarded-Proto": "http"},
        {"X-Forwarded-For": "10.0.0.1", "Forwarded": "for=10.0.0.1;proto=https;host=evil"},
        {"X-Forwarded-Host": "evil", "X-Forwarded-Prefix": "/nope", "X-Forwarded-Port": "0"},
        {"X-Original-Url": "/nope", "X-Rewrite-Url": "/nope"},
        {"X-Http-Method-Override": "DELETE"},
    ],
    ids="+".join,
)
def test_no_header_moves_a_path_a_scheme_or_an_address(server: str, given: dict[str, str]) -> None:
    """The server's clients here are on the same host, as many a proxy is."""
    answer = httpx.get(f"{server}/health", headers=given)

    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
