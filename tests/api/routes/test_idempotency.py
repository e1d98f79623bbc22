"""A POST that is sent again with its Idempotency-Key changes nothing and gets the first answer again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import orjson
import pytest
from flask import Flask
from sqlalchemy import Engine, delete, func, select, text, update

from shared.database.engine import Sessions, transactional
from shared.models import Charger, Command, IdempotencyKey
from shared.vocabulary import ProvisioningStatus
from tests.support.fleet import NEW_CHARGER, Fleet

KEY = {"Idempotency-Key": "key-1"}
REPLAYED = "Idempotent-Replayed"


def _stop(charger_id: str) -> str:
    return f"/ocpp/chargers/{charger_id}/stop-charger"


def _count(sessions: Sessions, model: type[Charger | IdempotencyKey]) -> int:
    with sessions() as session:
        return session.scalars(select(func.count()).select_from(model)).one()


def test_a_repeated_create_is_given_the_first_answer_again_whatever_happened_since(
    fleet: Fleet, sessions: Sessions
) -> None:
    first = fleet.post("/ocpp/chargers", json=NEW_CHARGER, headers=KEY)
    fleet.settle(first.json["charger_id"], provisioning_status=ProvisioningStatus.READY)

    again = fleet.post("/ocpp/chargers", json=NEW_CHARGER, headers=KEY)

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.data == first.data
    assert again.headers["Location"] == first.headers["Location"]
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert _count(sessions, Charger) == 1


def test_the_stored_hash_of_a_body_does_not_let_its_reader_try_passwords(
    fleet: Fleet, sessions: Sessions
) -> None:
    body = orjson.dumps(NEW_CHARGER)

    fleet.post("/ocpp/chargers", data=body, content_type="application/json", headers=KEY)

    with sessions() as session:
        assert session.scalars(select(IdempotencyKey.body_hash)).one() != sha256(body).digest()


def test_a_repeat_is_known_by_the_hash_of_the_release_before(fleet: Fleet, sessions: Sessions) -> None:
    given: Any = {"data": orjson.dumps(NEW_CHARGER), "content_type": "application/json", "headers": KEY}
    first = fleet.post("/ocpp/chargers", **given)
    with sessions.begin() as session:
        session.scalars(select(IdempotencyKey)).one().body_hash = sha256(given["data"]).digest()

    again = fleet.post("/ocpp/chargers", **given)

    assert again.data == first.data


def test_a_repeated_command_is_the_first_one_even_when_that_is_long_over(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    first = fleet.post(_stop(charger_id), headers=KEY)
    fleet.settle(charger_id)
    fleet.post(f"/ocpp/chargers/{charger_id}/start-charger")
    fleet.settle(charger_id)

    again = fleet.post(_stop(charger_id), headers=KEY)

    assert again.data == first.data
    assert len(fleet.commands(charger_id)) == 3
    assert fleet.row(charger_id).desired_count == 1


@pytest.mark.parametrize("wait", ["", "?wait=1"])
def test_a_repeat_is_answered_after_its_command_was_pruned(fleet: Fleet, wait: str) -> None:
    charger_id = fleet.ready()
    first = fleet.post(_stop(charger_id) + wait, headers=KEY)
    fleet.finish(charger_id)
    fleet.post(f"/ocpp/chargers/{charger_id}/start-charger")
    fleet.finish(charger_id)
    with fleet.sessions.begin() as session:
        session.execute(delete(Command).where(Command.id == UUID(first.json["command_id"])))

    again = fleet.post(_stop(charger_id) + wait, headers=KEY)
    command = fleet.get(first.json["status_url"])
    history = fleet.get(f"/ocpp/chargers/{charger_id}/commands").json

    assert (again.status_code, again.json["command_id"]) == (202, first.json["command_id"])
    assert again.headers[REPLAYED] == "true"
    assert (command.status_code, command.json) == (
        404,
        {
            "detail": f"Command {first.json['command_id']} not found. "
            "A command is kept for a limited time after its end"
        },
    )
    assert (history["total"], [each["generation"] for each in history["data"]]) == (2, [3, 1])


def test_eight_equal_requests_at_once_are_one_command_with_eight_equal_answers(
    fleet: Fleet, app: Flask, sessions: Sessions
) -> None:
    headers = fleet.headers() | KEY

    def create(_: int) -> Any:
        return app.test_client().post("/ocpp/chargers", json=NEW_CHARGER, headers=headers)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(create, range(8)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.data for answer in answers}) == 1
    assert sum(REPLAYED not in answer.headers for answer in answers) == 1
    assert (_count(sessions, Charger), _count(sessions, IdempotencyKey)) == (1, 1)
    assert len(fleet.commands(answers[0].json["charger_id"])) == 1


@pytest.mark.parametrize(
    "body", [NEW_CHARGER | {"connector_type": "Type1"}, NEW_CHARGER | {"serial_number": "1"}]
)
def test_a_key_with_another_body_is_refused(fleet: Fleet, sessions: Sessions, body: dict[str, Any]) -> None:
    fleet.post("/ocpp/chargers", json=NEW_CHARGER, headers=KEY)

    answer = fleet.post("/ocpp/chargers", json=body, headers=KEY)

    assert answer.status_code == 422
    (item,) = answer.json["detail"]
    assert (item["loc"], item["type"]) == (["header", "Idempotency-Key"], "value_error")
    assert _count(sessions, Charger) == 1


def test_the_key_of_another_organization_is_another_key(fleet: Fleet) -> None:
    one = fleet.post("/ocpp/chargers", json=NEW_CHARGER, headers=KEY)
    other = fleet.post("/ocpp/chargers", json=NEW_CHARGER, headers=KEY, organization="globex")

    assert other.status_code == 202
    assert REPLAYED not in other.headers
    assert other.json["charger_id"] != one.json["charger_id"]


def test_the_key_of_another_path_is_another_key(fleet: Fleet) -> None:
    one, other = fleet.ready(identity="CP-1"), fleet.ready(identity="CP-2")
    paths = [_stop(one), _stop(other), f"/ocpp/chargers/{one}/start-charger"]

    answers = [fleet.post(path, headers=KEY) for path in paths]

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json["command_id"] for answer in answers}) == 3


def test_a_request_that_failed_keeps_no_key(fleet: Fleet, sessions: Sessions) -> None:
    charger_id = fleet.create()
    refused = fleet.post(_stop(charger_id), headers=KEY)
    fleet.settle(charger_id, provisioning_status=ProvisioningStatus.READY)

    answer = fleet.post(_stop(charger_id), headers=KEY)

    assert (refused.status_code, answer.status_code) == (422, 202)
    assert REPLAYED not in answer.headers
    assert _count(sessions, IdempotencyKey) == 1


def test_a_request_that_crashes_on_its_way_leaves_nothing_behind(
    fleet: Fleet, app: Flask, engine: Engine, sessions: Sessions
) -> None:
    """The key is written, the command is not yet, and the connection is gone."""
    charger_id = fleet.ready()
    headers = fleet.headers() | KEY
    with ThreadPoolExecutor(1) as pool, _locked(engine, charger_id):
        future = pool.submit(lambda: app.test_client().post(_stop(charger_id), headers=headers))
        _end_the_connection_that_waits(engine)
        crashed: Any = future.result()

    answer = fleet.post(_stop(charger_id), headers=KEY)

    assert crashed.status_code == 503
    assert answer.status_code == 202
    assert REPLAYED not in answer.headers
    assert len(fleet.commands(charger_id)) == 2
    assert _count(sessions, IdempotencyKey) == 1


@contextmanager
def _locked(engine: Engine, charger_id: str) -> Iterator[None]:
    with transactional(engine).begin() as connection:
        connection.execute(select(Charger.id).where(Charger.id == charger_id).with_for_update())
        yield


def _end_the_connection_that_waits(engine: Engine) -> None:
    ending = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = monotonic() + 5
    with engine.connect() as connection:
        while not connection.execute(ending).all():
            assert monotonic() < deadline, "nobody waits"
            sleep(0.02)


def test_a_key_is_free_again_after_a_day(fleet: Fleet, sessions: Sessions) -> None:
    charger_id = fleet.ready()
    first = fleet.post(_stop(charger_id), headers=KEY)
    fleet.settle(charger_id)
    with sessions.begin() as session:
        session.execute(update(IdempotencyKey).values(created_at=func.now() - timedelta(hours=24, seconds=1)))

    second = fleet.post(_stop(charger_id), headers=KEY)
    third = fleet.post(_stop(charger_id), headers=KEY)

    assert second.json["command_id"] != first.json["command_id"]
    assert REPLAYED not in second.headers
    assert third.data == second.data
    assert REPLAYED in third.headers


@pytest.mark.parametrize("operation", ["create", "stop", "restart"])
def test_a_repeat_of_a_request_that_an_earlier_version_answered_gets_that_answer(
    fleet: Fleet, sessions: Sessions, operation: str
) -> None:
    """Versions before migration 0017 stored the rendered answer."""
    path = "/ocpp/chargers"
    if operation != "create":
        path = f"/ocpp/chargers/{fleet.ready(identity='CP-2')}/{operation}-charger"
    first = fleet.post(path, json=NEW_CHARGER, headers=KEY)
    with sessions.begin() as session:
        stored = session.scalars(select(IdempotencyKey)).one()
        session.execute(update(IdempotencyKey).values(receipt=None))

    again = fleet.post(path, json=NEW_CHARGER, headers=KEY)

    assert (stored.status, stored.body) == (202, first.json)
    assert stored.headers == {"Location": first.headers["Location"]}
    assert (again.status_code, again.data) == (202, first.data)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers[REPLAYED] == "true"


def test_a_receipt_with_fields_of_a_later_version_can_be_read(fleet: Fleet, sessions: Sessions) -> None:
    first = fleet.post("/ocpp/chargers", json=NEW_CHARGER, headers=KEY)
    with sessions.begin() as session:
        session.execute(update(IdempotencyKey).values(receipt=IdempotencyKey.receipt.op("||")({"new": 1})))

    again = fleet.post("/ocpp/chargers", json=NEW_CHARGER, headers=KEY)

    assert again.data == first.data


@pytest.mark.parametrize("key", ["", "k" * 256, "tab\there", "\x7f", "schlüssel"])
def test_an_invalid_key_is_refused(fleet: Fleet, sessions: Sessions, key: str) -> None:
    answer = fleet.post("/ocpp/chargers", json=NEW_CHARGER, headers={"Idempotency-Key": key})

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["header", "Idempotency-Key"]
    assert _count(sessions, Charger) == 0


def test_a_key_of_255_characters_is_good(fleet: Fleet) -> None:
    headers = {"Idempotency-Key": " ~" + "k" * 253}

    first = fleet.post("/ocpp/chargers", json=NEW_CHARGER, headers=headers)
    again = fleet.post("/ocpp/chargers", json=NEW_CHARGER, headers=headers)

    assert first.status_code == 202
    assert again.data == first.data


def test_every_post_is_documented_to_take_a_key(app: Flask) -> None:
    document = app.test_client().get("/openapi.json").json
    assert document is not None
    reference = {"$ref": "#/components/parameters/IdempotencyKey"}
    for path, operations in document["paths"].items():
        for method in operations.keys() & {"get", "post", "put", "delete"}:
            parameters = operations.get("parameters", []) + operations[method].get("parameters", [])
            assert (reference in parameters) == (method == "post"), path
