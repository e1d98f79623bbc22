"""What a charger is to be changes while it runs: at its CSMS within two seconds, without ECS, and no secret is seen anywhere."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
import sqlalchemy

from tests.support.http import PLAIN_HTTP
from tests.support.stack import RememberingCsms, Stack
from tests.support.waiting import wait_until

UPDATES = 12
WITHIN_S = 2.0


@pytest.fixture
def http(stack: Stack, stack_token: Callable[..., str]) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {stack_token()}"}
    with httpx.Client(base_url=stack.api_url, headers=headers, timeout=70, **PLAIN_HTTP) as client:
        yield client


@pytest.fixture
def charger(http: httpx.Client, csms: RememberingCsms) -> Iterator[tuple[str, str]]:
    """Its id and its identity: a charger that its CSMS has accepted, with a password."""
    identity = f"CP-{uuid4().hex[:8]}"
    body = {
        "identity": identity,
        "brand_slug": "wallbox",
        "model_slug": "wallbox-pulsar-plus",
        "connector_type": "Type2",
        "ws_url": csms.url,
        "security": {"password": "geheim-of-the-create"},
    }
    answer = http.post("/ocpp/chargers?wait=40&until=accepted", json=body)
    assert answer.status_code == 200, answer.text
    yield answer.json()["charger_id"], identity
    http.delete(f"/ocpp/chargers/{answer.json()['charger_id']}")


def put(http: httpx.Client, charger_id: str, **changes: Any) -> dict[str, Any]:
    answer = http.put(f"/ocpp/chargers/{charger_id}", json=changes)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def wait_for_boot_after(csms: RememberingCsms, identity: str, known: int) -> None:
    """In another session than the first `known` of this charger."""
    wait_until(lambda: any(each.booted_at for each in csms.of(identity)[known:]), 10)


def calls_about(stack: Stack, charger_id: str) -> list[str]:
    """The operations of ECS that named the charger, but for those with which the observer reads."""
    calls = httpx.get(f"{stack.ecs_url}/_chargehand/calls", auth=stack.ecs_owner, **PLAIN_HTTP).json()
    return [
        call["action"]
        for call in calls
        if charger_id in json.dumps(call) and not call["action"].startswith(("Describe", "List"))
    ]


def test_a_changed_url_and_password_are_at_the_csms_within_two_seconds_without_a_call_of_ecs(
    stack: Stack, http: httpx.Client, csms: RememberingCsms, charger: tuple[str, str]
) -> None:
    charger_id, identity = charger
    calls = calls_about(stack, charger_id)
    assert calls.count("RegisterTaskDefinition") == 1

    for number in range(UPDATES):
        known = len(csms.of(identity))
        began_s = monotonic()
        url = f"{csms.url}/{number}"
        put(http, charger_id, ws_url=url, security={"password": f"geheim-{number:04}"})
        wait_for_boot_after(csms, identity, known)
        assert monotonic() - began_s < WITHIN_S

    assert calls_about(stack, charger_id) == calls
    wait_until(
        lambda: http.get(f"/ocpp/chargers/{charger_id}").json()["spec"]["applied_revision"] == UPDATES + 1, 5
    )
    assert http.get(f"/ocpp/chargers/{charger_id}/commands").json()["total"] == 1


def test_other_connectors_boot_the_charger_and_not_its_task(
    stack: Stack, http: httpx.Client, csms: RememberingCsms, charger: tuple[str, str]
) -> None:
    charger_id, identity = charger
    calls = calls_about(stack, charger_id)
    known = len(csms.of(identity))

    shown = put(http, charger_id, connectors={"number": 3}, serial_number="SN-7")

    assert shown["number_of_connectors"] == 3
    wait_for_boot_after(csms, identity, known)
    boot = csms.wait_for_call(identity, "BootNotification", lambda call: "SN-7" in call.values())
    assert boot.payload["chargePointSerialNumber"] == "SN-7"
    assert calls_about(stack, charger_id) == calls


def test_no_secret_is_in_any_log_row_answer_process_list_or_task_definition(
    stack: Stack, http: httpx.Client, csms: RememberingCsms, charger: tuple[str, str]
) -> None:
    charger_id, identity = charger
    known = len(csms.of(identity))
    answers = [put(http, charger_id, security={"password": "geheim-of-the-update"})]
    wait_until(lambda: csms.of(identity)[known:], 10)
    answers.append(put(http, charger_id, security={"authorization_key_hex": "DECAFBAD" * 4}))
    refused = http.put(
        f"/ocpp/chargers/{charger_id}", json={"security": {"password": "geheim" * 9, "profile": 3}}
    )
    wait_until(lambda: csms.of(identity)[known + 1 :], 10)
    answers += [
        http.get(f"/ocpp/chargers/{charger_id}{path}").json()
        for path in ("", "/logs", "/logs?kind=remark", "/logs?kind=connection", "/commands", "/status")
    ]

    places = {
        "answers": json.dumps(answers) + refused.text,
        "rows": "".join(_rows(stack)),
        "logs and task definitions": "".join(_files(stack.folder)),
        "processes": "\n".join(
            " ".join(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"])
        ),
    }

    assert "simulator" in places["processes"]
    assert all(charger_id in text for name, text in places.items() if name != "processes")
    for name, text in places.items():
        assert "geheim" not in text, name
        assert "DECAFBAD" not in text.upper(), name
        assert "Basic " not in text, name


def _rows(stack: Stack) -> Iterator[str]:
    engine = sqlalchemy.create_engine(stack.database_url)
    with engine.connect() as connection:
        for table in sqlalchemy.inspect(engine).get_table_names():
            for row in connection.execute(sqlalchemy.text(f'SELECT "{table}"::text FROM "{table}"')):  # noqa: S608
                yield str(row)
    engine.dispose()


def _files(folder: Path) -> Iterator[str]:
    """Everything that the programs of the stack wrote: their logs, and the state and the logs of the ECS."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.read_text(errors="ignore")
