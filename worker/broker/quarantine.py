"""Queue entries that are no messages of ours are put aside before they are consumed.

Some of them end a Celery worker: a queue full of them would end one after the other.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from redis import Redis

log = structlog.get_logger(__name__)

QUARANTINE = "quarantine"  # a Redis list, newest first
KEPT = 1_000
CHECKED = 5_000  # entries at each end of a queue: where they come in, and where they are taken


def put_aside(client: "Redis", keys: Iterable[str]) -> int:
    """Move what is not readable from these lists to QUARANTINE. Returns how many. Safe to run at once."""
    moved = 0
    for key in keys:
        for entry in _unreadable(client, key):
            # The stubs know text only; what lies here may be anything.
            if client.lrem(key, 1, entry):  # type: ignore[arg-type]
                client.lpush(QUARANTINE, entry)
                moved += 1
                log.warning("queue.quarantined", queue=key, entry=repr(entry[:200]))
    if moved:
        client.ltrim(QUARANTINE, 0, KEPT - 1)
    return moved


def _unreadable(client: "Redis", key: str) -> Iterator[bytes]:
    if client.type(key) not in (b"list", "list"):
        return
    entries: list[Any] = [
        *client.lrange(key, 0, CHECKED - 1),
        *client.lrange(key, max(CHECKED, client.llen(key) - CHECKED), -1),
    ]
    for entry in entries:
        raw = entry.encode() if isinstance(entry, str) else entry
        if not readable(raw):
            yield raw


def readable(entry: bytes) -> bool:
    """Whether this is a task of Celery's protocol 2, as JSON, in the envelope that kombu expects."""
    try:
        envelope = json.loads(entry)
        headers, properties = envelope["headers"], envelope["properties"]
        body = base64.b64decode(envelope["body"], validate=True)
        arguments, keywords, embedded = json.loads(body)
        texts = (headers["id"], headers["task"], properties["delivery_tag"])
        routing_key, content_type = properties["delivery_info"]["routing_key"], envelope["content-type"]
    except (KeyError, RecursionError, TypeError, ValueError):
        return False
    return (
        content_type == "application/json"
        and properties.get("body_encoding") == "base64"
        and isinstance(arguments, list)
        and isinstance(keywords, dict)
        and isinstance(embedded, dict)
        and all(isinstance(text, str) for text in (*texts, routing_key))
    )
