"""Chargers for the tests of the charger view."""

from typing import Any
from uuid import uuid4

import httpx

from tests.support.fleet import NEW_CHARGER
from tests.support.waiting import wait_until


def new_identity() -> str:
    return f"V{uuid4().hex[:8]}"


def accepted(client: httpx.Client, ws_url: str, **fields: Any) -> tuple[str, str]:
    """A charger that its CSMS has accepted and that can be given actions. Its id and its identity."""
    charger_id, identity = created(client, ws_url, **fields, params={"wait": 30, "until": "accepted"})
    wait_until(lambda: read(client, charger_id)["control"]["connected"], 10)
    return charger_id, identity


def created(
    client: httpx.Client, ws_url: str, *, params: dict[str, Any] | None = None, **fields: Any
) -> tuple[str, str]:
    """A charger as soon as it is stored. Its id and its identity."""
    body = NEW_CHARGER | {"identity": new_identity(), "ws_url": ws_url} | fields
    answer = client.post("/ocpp/chargers", json=body, params=params, timeout=60).json()
    return answer["charger_id"], body["identity"]


def read(client: httpx.Client, charger_id: str) -> Any:
    return client.get(f"/ocpp/chargers/{charger_id}").json()


def act(client: httpx.Client, charger_id: str, path: str, **event: Any) -> Any:
    """What came of an action."""
    body = {"target": {"charger_id": charger_id}, "event": event}
    return client.post(f"/ocpp/commands/{path}", json=body, params={"wait": 10}, timeout=30).json()


def charge(client: httpx.Client, charger_id: str, **place: int) -> None:
    """Begin a transaction, and wait until power flows."""
    act(client, charger_id, "plug-connector", **place)
    act(client, charger_id, "present-token", id_tag="CARD-1", **place)
    wait_until(lambda: any(each["power_w"] for each in read(client, charger_id)["connectors"] or []), 10)
