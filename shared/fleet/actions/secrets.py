"""Masks what must not be shown in an action's event: secret fields, and values under names such as AuthorizationKey."""

import re
from collections.abc import Mapping
from typing import Any

from shared.fleet.actions.table import Field

MASK = "***"

#: Configuration keys, variables and fields whose values are secret; case, dots, dashes and underscores do not count.
SECRET_NAME = re.compile("authorizationkey|password|passphrase|privatekey|secret|simpin")
SEPARATORS = re.compile(r"[\s._-]")
#: Where an entry that names a key or a variable has its value.
VALUE_FIELDS = frozenset({"value", "attributevalue", "actualvalue"})
NAME_FIELDS = frozenset({"key", "variable"})


def mask_event(event: Mapping[str, Any], fields: tuple[Field, ...]) -> dict[str, Any]:
    """The event with its secrets masked. Equal to the event when it has none. Null and empty values stay."""
    secret = {field.name for field in fields if field.secret}
    below = {field.name: field for field in fields}
    return {
        name: _masked(value) if name in secret else _mask_value(name, value, below.get(name))
        for name, value in event.items()
    }


def _mask_value(name: str, value: Any, field: Field | None) -> Any:
    if is_secret(name):
        return _masked(value)
    if isinstance(value, dict):
        masked = mask_event(value, (field and field.fields) or ())
        return _mask_entry(masked)
    if isinstance(value, list):
        return [_mask_value("", item, field and field.items) for item in value]
    return value


def _mask_entry(entry: dict[str, Any]) -> dict[str, Any]:
    """Mask the value of an entry that names a secret: {"key": "AuthorizationKey", "value": ...}."""
    names = (_name_in(value) for name, value in entry.items() if _plain(name) in NAME_FIELDS)
    return _mask_values(entry) if any(map(is_secret, names)) else entry


def _mask_values(part: Any) -> Any:
    """Mask the values in it, also those that are deeper, as in the `variableAttribute` of a report."""
    if isinstance(part, dict):
        return {
            name: _masked(value) if _plain(name) in VALUE_FIELDS else _mask_values(value)
            for name, value in part.items()
        }
    return [_mask_values(each) for each in part] if isinstance(part, list) else part


def _name_in(value: Any) -> str:
    """The name of a key, or of a variable such as {"name": "BasicAuthPassword"}."""
    named = value.get("name") if isinstance(value, dict) else value
    return named if isinstance(named, str) else ""


def _masked(value: Any) -> Any:
    return value if value is None or value in ("", [], {}) else MASK


def is_secret(name: str) -> bool:
    """Whether the value of a key or a variable of this name is secret."""
    return SECRET_NAME.search(_plain(name)) is not None


def _plain(name: str) -> str:
    return SEPARATORS.sub("", name).lower()
