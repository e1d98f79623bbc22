"""The examples of reports in the OpenAPI document."""

from api.http.document.examples import Examples

_REPORT = {
    "job_id": "17",
    "action": "start",
    "location_id": None,
    "generated_at": "2026-04-02T09:20:00Z",
    "total": 2,
    "outcomes": {"passed": 1, "failed": 1, "skipped": 0, "open": 0},
    "until": "accepted",
    "seconds": {"count": 1, "p50": 1.204, "p95": 1.204, "p99": 1.204, "max": 1.204},
    "slowest": [{"charger_id": "dep-123", "identity": "CP-TEST-001", "seconds": 1.204}],
    "failures": [
        {
            "reason_code": "connection_refused",
            "reason": "Its CSMS has not accepted it: disconnected, nothing listens on csms.test:80",
            "count": 1,
            "charger_ids": ["dep-124"],
        }
    ],
    "range": {"start": "2026-04-02T09:15:00Z", "end": "2026-04-02T09:20:00Z"},
    "frames": {
        "total": 26,
        "complete": True,
        "max_per_charger": 100000,
        "cut_by_quota": 0,
        "read_until": "2026-04-02T09:19:58Z",
        "by_action": [
            {
                "action": "Heartbeat",
                "caller": "charger",
                "calls": 10,
                "results": 9,
                "errors": 1,
                "unanswered": 0,
                "latency_ms": {"p50": 4.1, "p95": 12.8, "p99": 12.8, "max": 12.8},
            }
        ],
        "csms_errors": [{"code": "NotSupported", "action": "Heartbeat", "count": 1}],
    },
    "chargers": [
        {
            "charger_id": "dep-123",
            "identity": "CP-TEST-001",
            "outcome": "passed",
            "result": "succeeded",
            "reason_code": None,
            "reason": None,
            "requested_at": "2026-04-02T09:15:01Z",
            "accepted_at": "2026-04-02T09:15:02.204Z",
            "finished_at": "2026-04-02T09:15:06Z",
            "seconds": 1.204,
            "ocpp_state": "accepted",
            "frames": 26,
            "csms_errors": 1,
        },
        {
            "charger_id": "dep-124",
            "identity": "CP-TEST-002",
            "outcome": "failed",
            "result": "succeeded",
            "reason_code": "connection_refused",
            "reason": "Its CSMS has not accepted it: disconnected, nothing listens on csms.test:80",
            "requested_at": "2026-04-02T09:15:01Z",
            "accepted_at": None,
            "finished_at": "2026-04-02T09:15:06Z",
            "seconds": None,
            "ocpp_state": "disconnected",
            "frames": 0,
            "csms_errors": 0,
        },
    ],
}

OF_JOB = Examples(_REPORT)
OF_LOCATION = Examples(
    _REPORT | {"job_id": None, "action": None, "location_id": "4090477f-a416-4515-a302-97aa344a0a2a"}
)
