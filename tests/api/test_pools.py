"""Whoever uses up the connections for reading keeps nobody from storing a command, and no probe from its answer."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from flask import Flask

from api.app import create_app
from api.parts import Parts
from api.pools import OWN_CONNECTIONS, make_pools
from shared.database import Sessions
from shared.settings import Settings
from tests.api.conftest import WISH, Fleet
from tests.conftest import Token


@pytest.fixture
def busy(settings: Settings) -> Iterator[Flask]:
    """An app all of whose connections for reading are taken, as by somebody who reads long logs page by page."""
    app = create_app(replace(settings, database_pool_size=4))
    parts: Parts = app.extensions["chargehand"]
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(parts.pools.reading.connect())
        yield app
    parts.publisher.close()
    parts.pools.dispose()


def test_a_process_whose_readers_are_busy_is_ready_and_stores_commands(
    busy: Flask, fleet: Fleet, sessions: Sessions, token: Token
) -> None:
    charger_id = fleet.ready()
    crowded = Fleet(busy.test_client(), sessions, token)

    answers = [
        crowded.get("/ready"),
        crowded.post(f"/ocpp/chargers/{charger_id}/stop-charger"),
        crowded.post(f"/ocpp/chargers/{charger_id}/start-charger", headers={"Idempotency-Key": "key"}),
        crowded.post("/ocpp/chargers", json=WISH | {"identity": "CP-2"}),
        crowded.put(f"/ocpp/chargers/{charger_id}", json={"name": "new"}),
        crowded.delete(f"/ocpp/chargers/{charger_id}"),
    ]
    reader = crowded.get("/ocpp/chargers")

    assert [answer.status_code for answer in answers] == [200, 202, 202, 202, 200, 204]
    assert reader.status_code == 503


def test_the_sizes_of_the_pools_add_up_to_the_setting(settings: Settings) -> None:
    pools = make_pools(settings.database_url, size=20)
    engines = (pools.reading, pools.accepting, pools.batching, pools.polling, pools.probing)

    assert sum(engine.pool.size() for engine in engines) == 20 + OWN_CONNECTIONS  # type: ignore[attr-defined]
