"""The example of GET /ocpp/operations in the OpenAPI document."""

from api.http.document.examples import Examples

_AT = "2026-04-02T09:16:10Z"

EXAMPLES = Examples(
    {
        "at": _AT,
        "commands": {
            "open": 31,
            "held": 30,
            "oldest_s": 25.2,
            "by_queue": [
                {
                    "queue": "lifecycle",
                    "served_by": 2,
                    "open": 31,
                    "oldest_s": 25.2,
                    "by_age": [
                        {"older_than_s": 0, "count": 31},
                        {"older_than_s": 5, "count": 11},
                        {"older_than_s": 60, "count": 0},
                        {"older_than_s": 300, "count": 0},
                    ],
                },
            ],
            "oldest": [
                {
                    "id": "0196f5a0-7d1a-7b0a-9c2e-abc123456789",
                    "charger_id": "dep-123",
                    "identity": "CP-TEST-001",
                    "event_type": "start_charger",
                    "status": "queued",
                    "reason": "Waiting for the ECS rate budget, about 7 s",
                    "attempts": 1,
                    "created_at": "2026-04-02T09:15:45Z",
                }
            ],
        },
        "workers": [
            {
                "name": "worker1@a",
                "host": "a",
                "queues": ["lifecycle", "maintenance", "provisioning"],
                "threads": 32,
                "busy": 9,
                "tasks_done": 4120,
                "started_at": "2026-04-01T08:00:00Z",
                "seen_at": "2026-04-02T09:16:07Z",
                "alive": True,
                "version": "0.1.0",
            }
        ],
        "links": [
            {"id": "link-a", "sessions": 200, "seen_at": "2026-04-02T09:16:09Z", "alive": True},
        ],
        "budget": [
            {
                "group": "service_changes",
                "per_second": 5,
                "burst": 50,
                "used_per_second": 4.5,
                "waiting": 30,
                "throttled_10_min": 0,
                "eta_s": 6,
            }
        ],
        "maintenance": [
            {
                "task": "maintenance.sweep",
                "every_s": 2,
                "age_s": 1.1,
                "duration_s": 0.01,
                "failures": 0,
                "late": False,
                "error": None,
            }
        ],
        "lights": [
            {
                "name": "database",
                "ok": True,
                "detail": "The database answers",
                "since": None,
                "latency_ms": 0.4,
            },
            {
                "name": "broker",
                "ok": True,
                "detail": "The broker takes messages",
                "since": None,
                "latency_ms": 6.1,
            },
        ],
    }
)
