"""Moves queue entries that are not messages of ours to a list of their own before a worker takes them.

Some of them end a Celery worker, and a queue full of them would end one worker after the other.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from redis import Redis

log = structlog.get_logger(__name__)

QUARANTINE = "quarantine"  #: a Redis list, newest entry first
MAX_QUARANTINED = 1_000  #: entries; the oldest ones are dropped
CHECKED_PER_END = 5_000  #: entries at each end of a queue: the newest ones, and the next ones to be taken


def quarantine_unreadable(client: "Redis", keys: Iterable[str]) -> int:
    """Move unreadable entries of these lists to QUARANTINE. Returns their number. Several workers may do it at once."""
    moved = 0
    for key in keys:
        for entry in _unreadable(client, key):
            if client.lrem(key, 1, entry):  # type: ignore[arg-type]  # the stubs allow text only
                client.lpush(QUARANTINE, entry)
                moved += 1
                log.warning("queue.quarantined", queue=key, entry=repr(entry[:200]))
    if moved:
        client.ltrim(QUARANTINE, 0, MAX_QUARANTINED - 1)
    return moved


def _unreadable(client: "Redis", key: str) -> Iterator[bytes]:
    if client.type(key) not in (b"list", "list"):
        return
    entries: list[Any] = [
        *client.lrange(key, 0, CHECKED_PER_END - 1),
        *client.lrange(key, max(CHECKED_PER_END, client.llen(key) - CHECKED_PER_END), -1),
    ]
    for entry in entries:
        raw = entry.encode() if isinstance(entry, str) else entry
        if not is_readable(raw):
            yield raw


def is_readable(entry: bytes) -> bool:
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
