"""The time after which a charger or a location goes away by itself."""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, null

MIN_TTL_S = 60
MAX_TTL_S = 31_536_000  # a year


def expires_after(ttl_s: int | None, now: Any = None) -> Any:
    """`expires_at` so many seconds from now, by the database's clock, whose value may be given; null for never."""
    if ttl_s is None:
        return null() if now is None else None
    return (func.now() if now is None else now) + timedelta(seconds=ttl_s)
