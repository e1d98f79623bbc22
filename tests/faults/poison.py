"""Messages that no publisher of ours makes: what strangers or a broken broker may leave on a queue."""

import base64
import json
from typing import Any

from shared.queues import TaskName

PROPERTIES: dict[str, Any] = {
    "correlation_id": "poison",
    "delivery_mode": 2,
    "delivery_info": {"exchange": "", "routing_key": "lifecycle"},
    "priority": 0,
    "body_encoding": "base64",
    "delivery_tag": "poison",
}
HEADERS: dict[str, Any] = {
    "lang": "py",
    "task": TaskName.STOP.value,
    "id": "poison",
    "argsrepr": "",
    "kwargsrepr": "",
}
BODY: list[Any] = [
    [],
    {"charger_id": "dep-nobody"},
    {"callbacks": None, "errbacks": None, "chain": None, "chord": None},
]


def _envelope(
    *,
    body: Any = BODY,
    raw_body: bytes | None = None,
    headers: Any = HEADERS,
    content_type: str = "application/json",
    encoded: str | None = None,
) -> bytes:
    plain = json.dumps(body).encode() if raw_body is None else raw_body
    message = {
        "body": base64.b64encode(plain).decode() if encoded is None else encoded,
        "content-encoding": "utf-8",
        "content-type": content_type,
        "headers": headers,
        "properties": PROPERTIES,
    }
    return json.dumps(message).encode()


POISON = [
    b"garbage",
    b"[]",
    b"null",
    b"{}",
    _envelope(encoded="!!! not base64 !!!"),
    _envelope(body={"a": 1}),
    _envelope(headers={"task": TaskName.STOP.value}),
    _envelope(headers={}),
    _envelope(headers=HEADERS | {"task": "charger.explode"}),
    _envelope(content_type="application/x-unknown"),
    _envelope(content_type="application/x-python-serialize", raw_body=b"cposix\nsystem\n(S'false'\ntR."),
    _envelope(raw_body=b"{not json"),
    _envelope(raw_body=b"[" * 50_000 + b"]" * 50_000),
    _envelope(headers=HEADERS | {"eta": "tomorrow, perhaps"}),
    _envelope(body=[[1, 2, 3], {}, BODY[2]]),
    _envelope(headers=HEADERS | {"expires": "2001-01-01T00:00:00+00:00"}),
    _envelope(headers=HEADERS | {"retries": "x"}),
]
