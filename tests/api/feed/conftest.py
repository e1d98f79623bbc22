"""Clients that watch an organization."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlencode

import pytest

from tests.support.feeding import FeedClient
from tests.support.fleet import Fleet

WatchAll = Callable[..., FeedClient]


@pytest.fixture
def watch_all(fleet: Fleet) -> Iterator[WatchAll]:
    """Opens GET /ocpp/events with the query; closed after the test."""
    with ExitStack() as stack:

        def watch_all(organization: str = "acme", **query: str) -> FeedClient:
            answer = fleet.get(f"/ocpp/events?{urlencode(query)}", organization=organization)
            assert answer.status_code == 200, answer.text
            client = FeedClient(answer)
            stack.callback(client.close)
            return client

        yield watch_all
