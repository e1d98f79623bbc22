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
}
_CHANGES = {"name": "La Defense Charging Hub - West", "timezone": "Europe/Paris", "public": False}

LOCATION = Examples(_LOCATION)
LOCATIONS = Examples({"data": [_LOCATION], "total": 1, "page": 1, "limit": 50})
CREATED = Examples(_LOCATION, bodies={"site": {"summary": "A site", "value": _GIVEN}})
UPDATED = Examples(
    _LOCATION | _CHANGES | {"updated_at": "2026-04-03T11:45:00Z"},
    bodies={"name": {"summary": "Another name, not public", "value": _CHANGES}},
)
