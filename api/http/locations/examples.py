"""The examples of the locations' operations in the OpenAPI document."""

from api.http.document.examples import Examples

_GIVEN = {
    "name": "La Defense Charging Hub",
    "address": "14 Rue de la Paix",
    "city": "Paris",
    "country": "FR",
    "coordinates": {"latitude": 48.8566, "longitude": 2.3522},
    "timezone": "Europe/Paris",
    "owner_name": "VINCI Autoroutes",
    "public": True,
}
_LOCATION = {
    "id": "4090477f-a416-4515-a302-97aa344a0a2a",
    "slug": "la-defense-charging-hub-ab12cd34",
    **_GIVEN,
    "status": "active",
    "created_at": "2026-04-02T09:15:00Z",
    "updated_at": "2026-04-02T09:15:00Z",
    "labels": {"run": "1234"},
    "expires_at": None,
    "chargers": {
        "total": 50,
        "observed": {"running": 48, "stopped": 2, "starting": 0, "stopping": 0, "unknown": 0},
        "ocpp_state": {
            "disconnected": 1,
            "connecting": 0,
            "connected": 0,
            "accepted": 47,
            "rejected": 0,
            "none": 0,
        },
        "status": {"PENDING": 0, "PROVISIONING": 0, "READY": 50, "FAILED": 0},
    },
}
_CHANGES = {"name": "La Defense Charging Hub - West", "timezone": "Europe/Paris", "public": False}

LOCATION = Examples(_LOCATION)
LOCATIONS = Examples({"data": [_LOCATION], "total": 1, "page": 1, "limit": 50})
_WITH_CHARGERS = _GIVEN | {"template_slug": "urban-ac-hub", "ws_url": "ws://127.0.0.1:9000/ocpp"}
_JOB_ID = "17"
_STATUS_URL = f"/ocpp/locations/{_LOCATION['id']}/chargers/jobs/{_JOB_ID}"
CREATED = Examples(
    answers={
        "site": {"summary": "A site", "value": _LOCATION},
        "template": {
            "summary": "With the chargers of a template",
            "value": _LOCATION | {"job_id": _JOB_ID, "status_url": _STATUS_URL},
        },
    },
    bodies={
        "site": {"summary": "A site", "value": _GIVEN},
        "template": {"summary": "With the chargers of a template", "value": _WITH_CHARGERS},
    },
)
UPDATED = Examples(
    _LOCATION | _CHANGES | {"updated_at": "2026-04-03T11:45:00Z"},
    bodies={"name": {"summary": "Another name, not public", "value": _CHANGES}},
)
WAITED = Examples(
    {
        "reached": False,
        "total": 50,
        "needed": 48,
        "accepted": 47,
        "impossible": 2,
        "not_accepted": [
            {
                "charger_id": "dep-123",
                "identity": "CP-TEST-001",
                "observed": "running",
                "ocpp_state": "disconnected",
                "reason": "Runs since 2026-04-02 09:15:00 UTC, but its CSMS has not accepted it: it is disconnected",
            }
        ],
    },
    bodies={
        "all": {"summary": "All", "value": {}},
        "share": {"summary": "95 %", "value": {"share": 0.95}},
    },
)
