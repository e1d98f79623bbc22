"""The examples of the operations on a location's chargers in the OpenAPI document."""

from api.http.document.examples import EXAMPLES, Examples

_PAGE = {name: value for name, value in EXAMPLES["list_chargers"].answer.items() if name != "next_cursor"}
_FAILED = [{"charger_id": "dep-124", "error": "Charger dep-124 not found in this location"}]

LISTED = Examples(_PAGE)
UPDATED = Examples(
    {"updated_count": 1, "failed_count": 1, "updated": _PAGE["data"], "failed": _FAILED},
    bodies={
        "names": {
            "summary": "Another name, and another CSMS",
            "value": {
                "chargers": [
                    {"charger_id": "dep-123", "charge_point_name": "Bay A01"},
                    {"charger_id": "dep-124", "ws_url": "ws://127.0.0.1:9000/ocpp"},
                ]
            },
        }
    },
)
DELETED = Examples({"deleted_count": 1, "failed_count": 1, "deleted": ["dep-123"], "failed": _FAILED})
