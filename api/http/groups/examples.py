"""The examples of the operations that create the chargers of a location in the OpenAPI document."""

from api.http.document.examples import Examples

_URL = "/ocpp/locations/4090477f-a416-4515-a302-97aa344a0a2a/chargers/jobs/17"
_ACCEPTED = {
    "job_id": "17",
    "status": "PENDING",
    "workflow_run_id": "wfr_abc123",
    "status_url": _URL,
    "total": 5,
}
_GROUP = {
    "template": {
        "brand_slug": "wallbox",
        "model_slug": "wallbox-pulsar-plus",
        "connector_type": "Type2",
        "ws_url": "ws://127.0.0.1:9000/ocpp",
        "ocpp_version": "OCPP1.6",
        "identity_prefix": "SITE_A_",
        "template_name": "Charger",
    },
    "charger_ids": ["001", "002"],
    "chargers_number": 5,
}
_NONE = {
    "waiting": 0,
    "requested": 0,
    "succeeded": 0,
    "failed": 0,
    "superseded": 0,
    "skipped": 0,
    "cancelled": 0,
}
_JOB = {
    "job_id": "17",
    "job_type": "location_chargers_create",
    "status": "PROVISIONING",
    "workflow_run_id": "wfr_abc123",
    "error": None,
    "results": None,
    "provisioned_at": None,
    "total": 5,
    "counts": _NONE | {"waiting": 2, "requested": 2, "succeeded": 1},
    "rate_per_second": 1.0,
    "created_at": "2026-04-02T09:15:00Z",
    "eta_s": 4.0,
    "waits_for": "Ramp: 1 per second",
}

ACCEPTED = Examples(
    _ACCEPTED,
    bodies={
        "both": {"summary": "Two by their suffixes, three random ones", "value": [_GROUP]},
        "number": {
            "summary": "Ten for an hour",
            "value": [{"template": _GROUP["template"] | {"ttl_seconds": 3600}, "chargers_number": 10}],  # type: ignore[operator]
        },
    },
)
JOB = Examples(
    answers={
        "provisioning": {"summary": "Under way", "value": _JOB},
        "ready": {
            "summary": "Every charger is final",
            "value": _JOB
            | {
                "status": "READY",
                "provisioned_at": "2026-04-02T09:15:20Z",
                "counts": _NONE | {"succeeded": 4, "failed": 1},
                "eta_s": None,
                "waits_for": None,
                "results": {
                    "created_count": 4,
                    "failed_count": 1,
                    "created": [],
                    "failed": [
                        {
                            "identity": "SITE_A_002",
                            "error": "Identity already exists",
                            "reason_code": "identity_taken",
                        }
                    ],
                },
            },
        },
    }
)
