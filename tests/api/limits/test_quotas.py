"""An organization may have a limited number of chargers and open commands; above it only its own requests are refused."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.orm import sessionmaker

from api.app import create_app
from api.limits import open_rows
from api.resources import Resources
from api.routes import location_chargers
from embedded.ports import free_port
from shared.database.engine import Sessions, make_engine
from shared.models import Charger, Command
from shared.settings import Settings
from tests.support.environment import Token
from tests.support.fleet import NEW_CHARGER, Fleet
from tests.support.waiting import wait_until

CHARGERS = "/ocpp/chargers"
MAX_CHARGERS = 5
COUNT_EVERY_S = 0.05


@pytest.fixture
def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setattr(open_rows, "COUNT_EVERY_S", COUNT_EVERY_S)
    small = replace(
        settings, chargers_per_organization=MAX_CHARGERS, open_commands_per_organization=MAX_CHARGERS
    )
    app = create_app(replace(small, database_pool_size=8))
    yield app
    resources: Resources = app.extensions["chargehand"]
    resources.publisher.close()
    resources.pools.dispose()


@pytest.fixture
def fleet(app: Flask, sessions: Sessions, token: Token) -> Fleet:
    return Fleet(app.test_client(), sessions, token)


@dataclass
class Together:
    """Many requests at once."""

    app: Flask
    fleet: Fleet

    def create(self, identities: list[str]) -> list[Any]:
        def create(identity: str) -> Any:
            return self.app.test_client().post(
                CHARGERS, json=NEW_CHARGER | {"identity": identity}, headers=self.fleet.headers()
            )

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(create, identities))


def finish_all(fleet: Fleet, charger_ids: list[str]) -> None:
    for charger_id in charger_ids:
        fleet.finish(charger_id)


def stop_all(fleet: Fleet, charger_ids: list[str]) -> None:
    """Each as soon as the API has noticed that what came before is final."""
    for charger_id in charger_ids:
        stop = f"{CHARGERS}/{charger_id}/stop-charger"
        wait_until(lambda path=stop: fleet.post(path).status_code == 202)  # type: ignore[misc]


def full(fleet: Fleet) -> list[str]:
    """As many chargers as there may be, all of them READY."""
    charger_ids = [fleet.create(identity=f"CP-{number}") for number in range(MAX_CHARGERS)]
    finish_all(fleet, charger_ids)
    wait_until(lambda: fleet.post(f"{CHARGERS}/{charger_ids[0]}/start-charger").status_code == 202)
    finish_all(fleet, charger_ids[:1])
    return charger_ids


def test_a_charger_too_many_is_refused_and_changes_nothing(fleet: Fleet, sessions: Sessions) -> None:
    charger_ids = full(fleet)

    refused = fleet.post(CHARGERS, json=NEW_CHARGER)

    assert refused.status_code == 403
    assert refused.json == {
        "detail": "The organization has 5 chargers, the most it may have: delete some first"
    }
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Charger)) == MAX_CHARGERS
        assert session.scalar(select(func.count()).where(Command.charger_id.not_in(charger_ids))) == 0


def test_others_may_create_and_a_deletion_makes_room(fleet: Fleet) -> None:
    charger_ids = full(fleet)

    other = fleet.post(CHARGERS, json=NEW_CHARGER, organization="globex")
    fleet.delete(f"{CHARGERS}/{charger_ids[0]}")

    assert other.status_code == 202
    assert fleet.post(CHARGERS, json=NEW_CHARGER).status_code == 202


def test_a_repeat_of_a_create_is_answered_also_when_the_quota_is_full(fleet: Fleet) -> None:
    *_, last = (fleet.create(identity=f"CP-{number}") for number in range(MAX_CHARGERS))
    finish_all(fleet, [row.id for row in rows(fleet) if row.id != last])

    def repeated() -> bool:
        again = fleet.post(CHARGERS, json=NEW_CHARGER | {"identity": f"CP-{MAX_CHARGERS - 1}"})
        return bool(again.status_code == 202 and again.json["charger_id"] == last)

    wait_until(repeated)


def test_a_refused_create_leaves_its_idempotency_key_free(fleet: Fleet) -> None:
    charger_ids = full(fleet)
    key = {"Idempotency-Key": "once"}
    refused = fleet.post(CHARGERS, json=NEW_CHARGER, headers=key)
    fleet.delete(f"{CHARGERS}/{charger_ids[0]}")

    assert refused.status_code == 403
    assert fleet.post(CHARGERS, json=NEW_CHARGER, headers=key).status_code == 202


def test_concurrent_creates_stop_exactly_at_the_quota(app: Flask, fleet: Fleet) -> None:
    resources: Resources = app.extensions["chargehand"]
    resources.open_quota._max_open = 1_000

    answers = Together(app, fleet).create([f"CP-{number}" for number in range(4 * MAX_CHARGERS)])

    assert sorted(answer.status_code for answer in answers) == [202] * MAX_CHARGERS + [403] * 3 * MAX_CHARGERS
    assert len(rows(fleet)) == MAX_CHARGERS


def test_a_command_too_many_waits_for_others_to_become_final(fleet: Fleet) -> None:
    charger_ids = full(fleet)
    stop_all(fleet, charger_ids)
    start = f"{CHARGERS}/{charger_ids[0]}/start-charger"

    refused = fleet.post(start)
    other = fleet.post(CHARGERS, json=NEW_CHARGER, organization="globex")
    finish_all(fleet, charger_ids)

    assert refused.status_code == 429
    assert refused.json["detail"].startswith("5 commands of the organization are not final")
    assert refused.headers["Retry-After"] == "5"
    assert other.status_code == 202
    wait_until(lambda: fleet.post(start).status_code == 202)


def test_chargers_may_be_deleted_when_too_many_commands_are_open(fleet: Fleet) -> None:
    charger_ids = full(fleet)
    stop_all(fleet, charger_ids)

    assert fleet.delete(f"{CHARGERS}/{charger_ids[0]}").status_code == 204


def test_an_update_of_many_fails_for_those_that_would_be_too_many(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quota is checked before each portion; a request that finds it full is refused as a whole."""
    monkeypatch.setattr(location_chargers, "PORTION", 2)
    charger_ids = full(fleet)
    url = f"/ocpp/locations/{fleet.locate()}/chargers"
    location_id = url.split("/")[3]
    with fleet.sessions.begin() as session:
        session.execute(update(Charger).values(location_id=location_id))
    stop_all(fleet, charger_ids[:3])
    items = [{"charger_id": charger_id, "ws_url": "ws://new.test"} for charger_id in charger_ids]

    answer = fleet.put(url, json={"chargers": items})
    refused = fleet.put(url, json={"chargers": items})

    assert [row["id"] for row in answer.json["updated"]] == charger_ids[:2]
    assert [item["charger_id"] for item in answer.json["failed"]] == charger_ids[2:]
    assert answer.json["failed"][0]["error"].startswith("5 commands of the organization are not final")
    assert refused.status_code == 429


def test_no_request_is_refused_while_the_commands_cannot_be_counted(app: Flask, fleet: Fleet) -> None:
    resources: Resources = app.extensions["chargehand"]
    charger_ids = full(fleet)
    stop_all(fleet, charger_ids)
    away = make_engine(f"postgresql+psycopg://127.0.0.1:{free_port()}/none")
    resources.open_quota._autocommit = sessionmaker(away)

    wait_until(lambda: fleet.post(f"{CHARGERS}/{charger_ids[0]}/start-charger").status_code == 202)


def test_requests_that_store_no_command_take_nothing_of_the_quota(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeats, and requests for what is not there: one command is open all the time."""
    charger_id = fleet.ready()
    fleet.finish(charger_id)
    wait_until(lambda: fleet.post(f"{CHARGERS}/{charger_id}/stop-charger").status_code == 202)
    monkeypatch.setattr(open_rows, "COUNT_EVERY_S", 3600.0)

    stops = [fleet.post(f"{CHARGERS}/{charger_id}/stop-charger").status_code for _ in range(3 * MAX_CHARGERS)]
    others = [fleet.post(f"{CHARGERS}/dep-none/stop-charger").status_code for _ in range(3 * MAX_CHARGERS)]

    assert stops == [202] * 3 * MAX_CHARGERS
    assert others == [404] * 3 * MAX_CHARGERS
    assert fleet.post(f"{CHARGERS}/{charger_id}/start-charger").status_code == 202


def test_commands_far_below_the_quota_are_not_counted(app: Flask, fleet: Fleet) -> None:
    resources: Resources = app.extensions["chargehand"]
    resources.open_quota._max_open = 1_000
    charger_id = fleet.ready()
    resources.open_quota._autocommit = sessionmaker()  # has no database

    stops = [fleet.post(f"{CHARGERS}/{charger_id}/stop-charger").status_code for _ in range(90)]

    assert stops == [202] * 90


def rows(fleet: Fleet) -> list[Charger]:
    with fleet.sessions() as session:
        return list(session.scalars(select(Charger)))
