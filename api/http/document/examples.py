"""The examples of the OpenAPI document, by operation id: mostly those that the contract publishes.

A charger connects to the ws_url of a body that somebody tries on the document's page, so none names a stranger's host:
only the CSMS of `make run`, and names that RFC 2606 and RFC 6761 reserve.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Examples:
    """What the document shows for one operation."""

    answer: Any = None
    final: Any = None  #: the 200 with `wait`
    accepted: Any = None  #: the 200 with `until=accepted`; none where the operation cannot wait for that
    bodies: Mapping[str, Any] | None = None  #: request bodies to try, by name
    answers: Mapping[str, Any] | None = None  #: instead of `answer`: several, by name


_CREATED_AT = "2026-04-02T09:15:00Z"
_OBSERVED_SINCE = "2026-04-02T09:15:30Z"
_OBSERVED_AT = "2026-04-02T09:16:10Z"
_COMMAND_ID = "0196f5a0-7d1a-7b0a-9c2e-abc123456789"

_RUNTIME = {
    "desired": "running",
    "observed": "running",
    "observed_since": _OBSERVED_SINCE,
    "desired_count": 1,
    "running_count": 1,
    "pending_count": 0,
    "generation": 1,
    "observed_generation": 1,
    "observed_at": _OBSERVED_AT,
    "stale": False,
    "stale_at": "2026-04-02T09:19:10Z",
    "attention": False,
    "attention_at": None,
    "attention_reason": None,
    "reason": None,
    "reason_code": None,
    "placement": "dedicated",
    "host_id": None,
    "ocpp": {
        "state": "accepted",
        "reason": None,
        "since": "2026-04-02T09:15:31Z",
        "last_frame_at": "2026-04-02T09:16:01Z",
        "stale_reason": None,
    },
}

_CHARGER = {
    "id": "dep-123",
    "identity": "CP-TEST-001",
    "name": "Bay A01",
    "vendor_name": "Wallbox",
    "model": "Pulsar Plus",
    "image_url": None,
    "ocpp_version": "OCPP1.6",
    "number_of_connectors": 1,
    "max_charging_power": 22000,
    "connector_type": "Type2",
    "location_id": "4090477f-a416-4515-a302-97aa344a0a2a",
    "created_at": _CREATED_AT,
    "updated_at": _CREATED_AT,
    "status": "READY",
    "ws_url": "wss://csms.example.com/ocpp",
    "location_name": "La Defense Charging Hub",
    "brand_slug": "wallbox",
    "model_slug": "wallbox-pulsar-plus",
    "labels": {"run": "1234"},
    "expires_at": None,
    "error": None,
    "command": {
        "id": _COMMAND_ID,
        "event_type": "create_charger",
        "status": "succeeded",
        "reason": None,
        "error": None,
        "attempts": 1,
        "held": False,
        "next_attempt_at": None,
        "requested_by": "ada",
        "created_at": _CREATED_AT,
        "applied_at": "2026-04-02T09:15:01.120Z",
        "finished_at": _OBSERVED_SINCE,
    },
    "runtime": _RUNTIME,
}

_SPEC = {
    "revision": 1,
    "applied_revision": 1,
    "error": None,
    "updated_at": _CREATED_AT,
    "ws_url": "wss://csms.example.com/ocpp",
    "security": {
        "profile": 2,
        "password_set": True,
        "authorization_key_set": False,
        "ca_certificates": None,
    },
    "connectors": None,
    "configuration": {"HeartbeatInterval": 60},
    "vehicle": {"battery_wh": 77000, "soc_percent": 20, "plug_in_after_s": 5, "leave_after_s": "never"},
    "visitors": None,
    "scenario": None,
    "serial_number": "SN-0001",
    "firmware_version": None,
    "iccid": None,
    "imsi": None,
    "meter_start_wh": None,
    "boot_on_reconnect": None,
    "reconnect": None,
}

_CONNECTOR = {
    "connector_id": 1,
    "evse_id": None,
    "status": "Charging",
    "plugged": True,
    "id_tag": "CARD-1",
    "reservation_id": None,
    "transaction_id": "4711",
    "transaction_energy_wh": 4100.5,
    "power_w": 11000.0,
    "energy_wh": 2513400.5,
    "soc_percent": 71.3,
    "fault": None,
}
_CONTROL = {
    "connected": True,
    "since": "2026-04-02T09:15:30Z",
    "version": "0.1.0",
    "reported_at": "2026-04-02T09:16:09Z",
    "stale": False,
    "remark": None,
}
_ONE_CHARGER = _CHARGER | {"connectors": [_CONNECTOR], "control": _CONTROL, "spec": _SPEC}

_CHARGER_PAGE = {"data": [_CHARGER], "total": 1, "page": 1, "limit": 50, "next_cursor": None}

_UPDATED = _ONE_CHARGER | {
    "name": "Bay A02",
    "location_id": "5d4e8d84-6f1c-49a7-9e0d-5e6d65f0f4a2",
    "updated_at": "2026-04-03T11:45:00Z",
}

_CREATE_BODIES = {
    "wallbox": {
        "summary": "An AC charger in a location",
        "value": {
            "identity": "CP-TEST-001",
            "brand_slug": "wallbox",
            "model_slug": "wallbox-pulsar-plus",
            "connector_type": "Type2",
            "ws_url": "ws://127.0.0.1:9000/ocpp",
            "ocpp_version": "OCPP1.6",
            "charge_point_name": "Bay A01",
            "location_id": "4090477f-a416-4515-a302-97aa344a0a2a",
            "location_name": "La Defense Charging Hub",
        },
    },
    "abb": {
        "summary": "A DC charger that speaks OCPP 2.0.1",
        "value": {
            "identity": "CP-FAST-201",
            "brand_slug": "abb",
            "model_slug": "terra-184",
            "connector_type": "CCS2",
            "ws_url": "wss://example-ocpp-backend.test/ws",
            "ocpp_version": "OCPP2.0.1",
            "charge_point_name": "Fast Bay 01",
        },
    },
    "tester": {
        "summary": "With a password, two connectors and a car of its own",
        "value": {
            "identity": "CP-SECURE-301",
            "brand_slug": "wallbox",
            "model_slug": "wallbox-pulsar-plus",
            "connector_type": "Type2",
            "ws_url": "ws://127.0.0.1:9000/ocpp",
            "security": {"profile": 1, "password": "a-secret-of-the-charger"},
            "connectors": {"number": 2},
            "configuration": {"HeartbeatInterval": 60, "MeterValueSampleInterval": 10},
            "vehicle": {
                "battery_wh": 77000,
                "soc_percent": 20,
                "plug_in_after_s": 5,
                "leave_after_s": "never",
            },
            "serial_number": "SN-0301",
            "firmware_version": "2.4.0",
        },
    },
}

_UPDATE_BODIES = {
    "move": {
        "summary": "Another name and another location",
        "value": {
            "charge_point_name": "Bay A02",
            "location_id": "5d4e8d84-6f1c-49a7-9e0d-5e6d65f0f4a2",
        },
    },
    "csms": {
        "summary": "Another CSMS, with another password",
        "value": {
            "ws_url": "ws://127.0.0.1:9000/ocpp",
            "security": {"profile": 1, "password": "another-secret"},
        },
    },
    "vehicle": {
        "summary": "Other cars",
        "value": {"vehicle": {"battery_wh": 40000, "max_power_w": 7400}, "visitors": None},
    },
}

_LIFECYCLE_BODIES = {"empty": {"summary": "The content is ignored", "value": {}}}

_ACCEPTED = {
    "charger_id": "dep-123",
    "identity": "CP-TEST-001",
    "status": "PENDING",
    "workflow_run_id": "wfr_abc123",
    "status_url": "/ocpp/chargers/dep-123/status",
    "command_id": _COMMAND_ID,
    "generation": 1,
}

_STATUS = {
    "charger_id": "dep-123",
    "status": "READY",
    "workflow_run_id": "wfr_abc123",
    "error": None,
    "provisioned_at": "2026-04-02T09:15:30Z",
}


def _queued(event_type: str, desired_count: int) -> dict[str, Any]:
    return {
        "id": "dep-123",
        "event_type": event_type,
        "ocpp_version": "OCPP1.6",
        "payload": {
            "provider": "aws",
            "runtime_kind": "ecs_service",
            "service_name": "dep-123",
            "desired_count": desired_count,
            "status": "ACTIVE",
        },
        "command_id": _COMMAND_ID,
        "generation": 2,
        "status_url": f"/ocpp/chargers/dep-123/commands/{_COMMAND_ID}",
    }


_START = _queued("start_charger", 1)
_STOP = _queued("stop_charger", 0)
_RESET = _queued("reset_charger", 1)

_COMMAND = {
    "id": _COMMAND_ID,
    "charger_id": "dep-123",
    "event_type": "stop_charger",
    "generation": 2,
    "status": "succeeded",
    "error": None,
    "reason": None,
    "attempts": 1,
    "requested_by": "ada",
    "request_id": "0196f5a07d1a7b0a9c2eabc123456780",
    "created_at": "2026-04-02T10:00:00Z",
    "applied_at": "2026-04-02T10:00:00.120Z",
    "finished_at": "2026-04-02T10:00:02.310Z",
    "queue": "lifecycle",
    "held_since": None,
    "next_attempt_at": None,
    "superseded_by": None,
}

_FINISHED_STOP = _STOP | {"command": _COMMAND}
_FINISHED_START = _START | {"command": _COMMAND | {"event_type": "start_charger"}}
_FINISHED_RESET = _RESET | {"command": _COMMAND | {"event_type": "reset_charger"}}
_FINISHED_CREATE = (
    _ACCEPTED
    | {"status": "READY"}
    | {"command": _COMMAND | {"event_type": "create_charger", "generation": 1, "queue": "provisioning"}}
)

# With until=accepted.
_ACCEPTED_CREATE = _FINISHED_CREATE | {"runtime": _RUNTIME}
_ACCEPTED_START = _FINISHED_START | {"runtime": _RUNTIME | {"generation": 2, "observed_generation": 2}}
_ACCEPTED_RESET = _FINISHED_RESET | {"runtime": _RUNTIME | {"generation": 2, "observed_generation": 2}}

_BRAND = {
    "id": "550e8400-e29b-41d4-a716-446655440001",
    "slug": "wallbox",
    "name": "Wallbox",
    "image_url": None,
    "created_at": "2026-03-01T09:00:00Z",
}

_MODEL = {
    "id": "550e8400-e29b-41d4-a716-446655440002",
    "slug": "wallbox-pulsar-plus",
    "name": "Pulsar Plus",
    "brand_slug": "wallbox",
    "brand_id": "550e8400-e29b-41d4-a716-446655440001",
    "image_url": None,
    "connector_count": 1,
    "current_type": "ac",
    "supported_kwh": [7.4, 22],
    "connector_types": ["Type2"],
    "created_at": "2026-03-01T09:00:00Z",
}


def _page_of(row: dict[str, Any]) -> dict[str, Any]:
    """A page with just this row."""
    return {"data": [row], "total": 1, "page": 1, "limit": 50}


_START_EXAMPLES = Examples(_START, _FINISHED_START, _ACCEPTED_START, _LIFECYCLE_BODIES)
_RESET_EXAMPLES = Examples(_RESET, _FINISHED_RESET, _ACCEPTED_RESET, _LIFECYCLE_BODIES)

EXAMPLES: Mapping[str, Examples] = MappingProxyType(
    {
        "list_chargers": Examples(_CHARGER_PAGE),
        "create_charger": Examples(_ACCEPTED, _FINISHED_CREATE, _ACCEPTED_CREATE, _CREATE_BODIES),
        "get_charger": Examples(_ONE_CHARGER),
        "get_charger_status": Examples(_STATUS),
        "update_charger": Examples(_UPDATED, bodies=_UPDATE_BODIES),
        "start_charger": _START_EXAMPLES,
        "stop_charger": Examples(_STOP, _FINISHED_STOP, bodies=_LIFECYCLE_BODIES),
        "reset_charger": _RESET_EXAMPLES,
        "restart_charger": _RESET_EXAMPLES,
        "list_commands": Examples(_page_of(_COMMAND)),
        "get_command": Examples(_COMMAND),
        "list_brands": Examples(_page_of(_BRAND)),
        "list_models": Examples(_page_of(_MODEL)),
        "get_model": Examples(_MODEL),
        "health_check": Examples({"status": "ok", "version": "0.1.0"}),
        "readiness_check": Examples({"status": "ready", "broker": "ok", "maintenance": "ok"}),
    }
)
