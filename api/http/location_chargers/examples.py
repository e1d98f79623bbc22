"""The examples of the operations on a location's chargers in the OpenAPI document."""

from api.http.document.examples import Examples

_FAILED = [{"charger_id": "dep-124", "error": "Charger dep-124 not found in this location"}]

DELETED = Examples({"deleted_count": 1, "failed_count": 1, "deleted": ["dep-123"], "failed": _FAILED})
