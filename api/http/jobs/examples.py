"""The examples of the jobs' operations in the OpenAPI document."""

from typing import Any

from api.http.document.examples import Examples

_JOB = {
    "id": "17",
    "action": "stop",
    "location_id": None,
    "status": "running",
    "total": 200,
    "counts": {
        "waiting": 150,
        "requested": 12,
        "succeeded": 34,
        "failed": 1,
        "superseded": 1,
        "skipped": 2,
        "cancelled": 0,
    },
    "rate_per_second": 2.0,
    "requested_by": "tom",
    "retry_of": None,
    "created_at": "2026-04-02T09:15:00Z",
    "finished_at": None,
    "eta_s": 75.0,
    "waits_for": "Ramp: 2 per second",
}
_ITEM = {
    "position": 7,
    "charger_id": "dep-123",
    "identity": "CP-TEST-001",
    "result": "failed",
    "reason": "ECS cannot pull the image",
    "reason_code": "image_unavailable",
    "command_id": "0196f5a0-7d1a-7b0a-9c2e-abc123456789",
    "requested_at": "2026-04-02T09:15:03Z",
    "finished_at": "2026-04-02T09:15:41Z",
}
PREVIEW = {
    "total": 37,
    "sample": [{"id": "dep-123", "identity": "CP-TEST-001"}],
    "left_out": [{"reason": "The charger is stopped already", "reason_code": "already_stopped", "count": 4}],
}


def of_lifecycle(action: str) -> Examples:
    """Of a request that makes a job."""
    return Examples(
        {"job_id": "17", "action": action, "total": 2, "status_url": "/ocpp/jobs/17"},
        bodies={
            "ids": {"summary": "Some chargers", "value": {"charger_ids": ["dep-123", "dep-124"]}},
            "filters": {
                "summary": "All that match, two per second",
                "value": {
                    "filters": {"location_id": "hamburg-nord", "observed": "running"},
                    "expected_count": 37,
                    "rate_per_second": 2,
                },
            },
            "dry_run": {"summary": "How many?", "value": {"filters": {}, "dry_run": True}},
        },
    )


def of_location(action: str) -> Examples:
    """Of a request that makes a job of a location's chargers."""
    return Examples(
        {"job_id": "17", "action": action, "total": 37, "status_url": "/ocpp/jobs/17"},
        bodies={
            "all": {"summary": "All", "value": {}},
            "ramp": {"summary": "Two per second", "value": {"expected_count": 37, "rate_per_second": 2}},
            "some": {"summary": "Some of them", "value": {"filters": {"observed": "running"}}},
        },
    )


def _page_of(row: dict[str, Any]) -> Examples:
    return Examples({"data": [row], "total": 1, "page": 1, "limit": 50})


JOB = Examples(_JOB)
JOBS = _page_of(_JOB)
ITEMS = _page_of(_ITEM)
RETRY = Examples({"job_id": "18", "action": "stop", "total": 1, "status_url": "/ocpp/jobs/18"})
PAUSED = Examples(_JOB | {"status": "paused", "eta_s": None, "waits_for": "Paused by tom"})
CANCELLED = Examples(
    _JOB
    | {
        "status": "cancelled",
        "eta_s": 6.0,
        "waits_for": "Cancelled by tom: the commands that are recorded already end first",
    }
)
