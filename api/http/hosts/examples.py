"""The examples of hosts in the OpenAPI document."""

from typing import Any

from api.http.document.examples import Examples

_HOST: dict[str, Any] = {
    "id": "host-0196f5a07d1a7b0a9c2eabc123456789",
    "organization_id": "demo",
    "service_name": "host-0196f5a07d1a7b0a9c2eabc123456789",
    "state": "running",
    "reason": None,
    "reason_code": None,
    "short_of": [],
    "control": {"connected": True, "since": "2026-04-02T09:15:30Z"},
    "capacity": 1000,
    "chargers": 998,
    "max_chargers": 1000,
    "running": 990,
    "connected": 989,
    "lag_ms": 3.1,
    "memory_bytes": 60_000_000,
    "memory_limit_bytes": 536_870_912,
    "cpu_percent": 6.1,
    "lines_dropped": 0,
    "version": "0.1.0",
    "task_definition_arn": "arn:aws:ecs:eu-central-1:123456789012:task-definition/host-0196f5a07d1a7b0a9c2eabc123456789:1",
    "running_task_arn": "arn:aws:ecs:eu-central-1:123456789012:task/chargehand/0f9de17a6465404e8b1b2356dc13c2f8",
    "created_at": "2026-04-02T09:15:00Z",
    "draining_at": None,
    "observed_at": "2026-04-02T09:16:10Z",
    "reported_at": "2026-04-02T09:16:09Z",
}

HOST = Examples(_HOST)
HOSTS = Examples({"data": [_HOST], "total": 1, "page": 1, "limit": 50})
DRAINING = Examples(
    _HOST | {"state": "draining", "draining_at": "2026-04-02T09:16:11Z"},
    bodies={"empty": {"summary": "The content is ignored", "value": {}}},
)
