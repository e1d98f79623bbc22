"""JSON that every reader takes, of values that only some do: a CSMS may have sent them."""

import json
import re
from typing import Any

#: Half of a surrogate pair, NUL, no number, a number beyond 64 bits. Also in texts that are plain.
SUSPICIOUS = re.compile(r"\\u(?:d[89a-f]|0000)|NaN|Infinity|[0-9]{19}")


_as_json = json.JSONEncoder(separators=(",", ":")).encode


def plain_text(value: Any) -> str:
    """The value as JSON in ASCII, made plain."""
    text = _as_json(value)
    return _as_json(plain(value)) if SUSPICIOUS.search(text) else text


def plain(value: Any) -> Any:
    """Texts without NUL and halves of surrogate pairs, which become U+FFFD; null for a number beyond 64 bits."""
    match value:
        case str():
            return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case dict():
            return {plain(str(name)): plain(part) for name, part in value.items()}
        case list() | tuple():
            return [plain(part) for part in value]
        case int() | float():
            return value if -(2**63) <= value < 2**63 else None
        case _:
            return value
