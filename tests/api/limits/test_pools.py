"""Requests that use up the connections for reading keep none from storing a command, and no probe from its answer."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from api.app import create_app
from api.limits import reads
from api.limits.pools import OWN_CONNECTIONS, make_pools
from api.resources import Resources
from shared.database.engine import Sessions, transactional
from shared.settings import Settings
from tests.support.environment import Token
from tests.support.fleet import NEW_CHARGER, Fleet
from tests.support.waiting import wait_until


@pytest.fixture
def busy(settings: Settings) -> Iterator[Flask]:
    """An app whose connections for reading are all in use, as by a client that reads long logs page by page."""
    app = create_app(replace(settings, database_pool_size=4))
    resources: Resources = app.extensions["chargehand"]
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(resources.pools.reading.connect())
        yield app
    resources.publisher.close()
    resources.pools.dispose()


def test_a_process_whose_readers_are_busy_is_ready_and_stores_commands(
    busy: Flask, fleet: Fleet, sessions: Sessions, token: Token
) -> None:
    charger_id = fleet.ready()
    crowded = Fleet(busy.test_client(), sessions, token)

    answers = [
        crowded.get("/ready"),
        crowded.post(f"/ocpp/chargers/{charger_id}/stop-charger"),
        crowded.post(f"/ocpp/chargers/{charger_id}/start-charger", headers={"Idempotency-Key": "key"}),
        crowded.post("/ocpp/chargers", json=NEW_CHARGER | {"identity": "CP-2"}),
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


def test_an_organization_whose_reads_are_slow_leaves_connections_to_others(
    settings: Settings, fleet: Fleet, sessions: Sessions, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two connections for readers; three reads of one organization, none of which ends."""
    monkeypatch.setattr(reads, "WAIT_S", 1.0)
    app = create_app(replace(settings, database_pool_size=4))
    resources: Resources = app.extensions["chargehand"]

    def get(path: str, organization: str) -> Any:
        return Fleet(app.test_client(), sessions, token).get(path, organization=organization)

    with ThreadPoolExecutor(3) as pool:
        with transactional(resources.pools.accepting).begin() as connection:
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            connection.execute(text("LOCK TABLE chargers IN ACCESS EXCLUSIVE MODE"))
            slow = [pool.submit(get, "/ocpp/chargers", "acme") for _ in range(3)]
            wait_until(lambda: sum(one.done() for one in slow) == 2)
            other = get("/ocpp/catalog/brands", "globex")
        answers = [one.result(10) for one in slow]
    resources.publisher.close()
    resources.pools.dispose()

    assert other.status_code == 200
    assert sorted(answer.status_code for answer in answers) == [200, 429, 429]
    assert all("Retry-After" in answer.headers for answer in answers if answer.status_code == 429)


def test_an_organization_gets_one_report_at_a_time_and_its_other_reads_go_on(
    settings: Settings, fleet: Fleet, sessions: Sessions, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report reads much. Two are requested, and neither ends."""
    monkeypatch.setattr(reads, "REPORT_WAIT_S", 0.5)
    job_id = fleet.post("/ocpp/chargers/stop", json={"charger_ids": [fleet.create()]}).json["job_id"]
    app = create_app(replace(settings, database_pool_size=6))
    resources: Resources = app.extensions["chargehand"]

    def get(path: str) -> Any:
        return Fleet(app.test_client(), sessions, token).get(path)

    with ThreadPoolExecutor(2) as pool:
        with transactional(resources.pools.accepting).begin() as connection:
            connection.execute(text("LOCK TABLE job_items IN ACCESS EXCLUSIVE MODE"))
            reports = [pool.submit(get, f"/ocpp/jobs/{job_id}/report") for _ in range(2)]
            wait_until(lambda: sum(one.done() for one in reports) == 1)
            other = get("/ocpp/chargers")
        answers = [one.result(10) for one in reports]
    resources.publisher.close()
    resources.pools.dispose()

    assert other.status_code == 200
    assert sorted(answer.status_code for answer in answers) == [200, 429]
