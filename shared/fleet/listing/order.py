"""The orders that a list has, and the positions in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement

from shared.models import Charger


class SortKey(StrEnum):
    CREATED_AT = "created_at"
    IDENTITY = "identity"
    STATE_SINCE = "state_since"


@dataclass(frozen=True, slots=True)
class Sort:
    key: SortKey
    descending: bool


Position = tuple[str] | tuple[datetime, str]  #: of a charger in a list: its values of KEYS

#: The columns that each order sorts by. An id grows with time, so it sorts by creation.
KEYS: Mapping[SortKey, tuple[ColumnElement[Any], ...]] = {
    SortKey.CREATED_AT: (Charger.__table__.c.id,),
    SortKey.IDENTITY: (Charger.__table__.c.identity,),
    SortKey.STATE_SINCE: (Charger.__table__.c.observed_since, Charger.__table__.c.id),
}


def position_of(charger: Charger, sort: Sort) -> Position:
    match sort.key:
        case SortKey.CREATED_AT:
            return (charger.id,)
        case SortKey.IDENTITY:
            return (charger.identity,)
        case SortKey.STATE_SINCE:
            return (charger.observed_since, charger.id)
