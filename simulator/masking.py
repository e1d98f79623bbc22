"""Finds passwords in frames and other texts."""

import json
import re
from collections.abc import Set
from typing import Any
from urllib.parse import quote

MASK = "***"

#: OCPP 1.6's key, and 2.0.1's variable, which is also a field of a network profile, with or without its component; names are
#: not case-sensitive.
NAMES = frozenset({"authorizationkey", "basicauthpassword"})

#: Secrets of a network profile by the field that has them (APNType and VPNType; a `key` elsewhere is none).
PROFILE_FIELDS = {"apn": frozenset({"apnPassword", "simPin"}), "vpn": frozenset({"password", "key"})}

#: Where an entry that names the password has its value: ChangeConfiguration, SetVariables, NotifyReport, NotifyEvent.
VALUE_FIELDS = frozenset({"value", "attributeValue", "actualValue"})

# Also a name with escaped letters, which JSON allows.
MAY_NAME_PASSWORD = re.compile(r'AuthorizationKey|BasicAuthPassword|"[av]pn"|\\u00', re.IGNORECASE)
ANY_VALUE = re.compile(
    r'("(?:value|attributeValue|actualValue|basicAuthPassword|apnPassword|simPin|password|key)"\s*:\s*)'
    r'(?:"(?:[^"\\]|\\.)*(?:"|\\?$)|[0-9]+)',
    re.IGNORECASE,
)


def mask_passwords(frame: str) -> str:
    """The frame with the value of each password masked, and nothing else. In a frame that is not JSON, all values."""
    if not MAY_NAME_PASSWORD.search(frame):
        return frame
    try:
        content = json.loads(frame)
        found = _mask(content)
    except (ValueError, RecursionError):
        return ANY_VALUE.sub(rf'\1"{MASK}"', frame)
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")) if found else frame


def _mask(part: Any) -> int:
    """Masks in place, and counts the passwords."""
    if isinstance(part, list):
        return sum(map(_mask, part))
    if not isinstance(part, dict):
        return 0
    secret_fields = {name for name in part if _names_password(name)}
    found = sum(map(_mask, part.values())) + _mask_texts(part)
    for name, fields in PROFILE_FIELDS.items():
        found += _mask_fields(part.get(name), fields)
    entries = [part]
    if _names_password(part.get("key")) or _names_password(part.get("variable")):
        secret_fields |= VALUE_FIELDS
        attributes = part.get("variableAttribute")
        entries += attributes if isinstance(attributes, list) else []
    return found + sum(_mask_fields(entry, secret_fields) for entry in entries)


def _mask_texts(part: dict[str, Any]) -> int:
    """In texts that are JSON themselves: the data of a DataTransfer."""
    found = 0
    for name, text in part.items():
        if isinstance(text, str) and (masked := mask_passwords(text)) != text:
            part[name] = masked
            found += 1
    return found


def _mask_fields(entry: Any, fields: Set[str]) -> int:
    names = entry.keys() & fields if isinstance(entry, dict) else ()
    for name in names:
        entry[name] = MASK
    return len(names)


def _names_password(name: Any) -> bool:
    if isinstance(name, dict):
        name = name.get("name")
    return isinstance(name, str) and name.lower().rpartition(".")[2] in NAMES


#: OCPP 1.6's key is written in hexadecimal, and sent as its bytes.
HEX_KEY = re.compile("(?:[0-9A-Fa-f]{2}){16,20}")


def spellings(secret: str) -> set[str]:
    """How a secret may be written in a text: as it is, in JSON, in a URL; a hexadecimal one also as its bytes."""
    texts = {secret}
    if HEX_KEY.fullmatch(secret):
        texts |= {secret.lower(), secret.upper(), bytes.fromhex(secret).decode("latin-1")}
    written = set(texts)
    for text in texts:
        written |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        written |= {quote(text, safe="", errors="replace"), str(text.encode("utf-8", "replace"))[2:-1]}
    return written
