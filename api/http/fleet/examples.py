"""The examples of the fleet's overview in the OpenAPI document."""

from api.http.document.examples import Examples

SUMMARY = Examples(
    {
        "total": 10000,
        "attention": 49,
        "observed": {"running": 9812, "stopped": 180, "starting": 3, "stopping": 0, "unknown": 5},
        "ocpp_state": {
            "disconnected": 38,
            "connecting": 2,
            "connected": 0,
            "accepted": 9771,
            "rejected": 1,
            "none": 0,
        },
        "status": {"PENDING": 0, "PROVISIONING": 2, "READY": 9993, "FAILED": 5},
        "open_commands": 5,
        "held_commands": 2,
    }
)

ME = Examples(
    {
        "subject": "ada",
        "role": "user",
        "organization_id": "demo",
        "expires_at": "2026-04-03T09:15:00Z",
        "server_time": "2026-04-02T09:16:10Z",
        "version": "0.1.0",
        "stale_after_s": 180.0,
        "flower_url": "https://flower.example.com",
        "csms_url": "wss://csms.example.com/ocpp",
        "quotas": {
            "chargers": {"used": 10000, "allowed": 50000},
            "open_commands": {"used": 5, "allowed": 50000},
            "open_actions": {"used": 0, "allowed": 50000},
        },
    }
)

ORGANIZATIONS = Examples(
    {
        "data": [{"organization_id": "demo", "chargers": 10000}],
        "total": 1,
        "page": 1,
        "limit": 1000,
    }
)
