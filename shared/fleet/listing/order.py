"""The orders that a list has, and the positions in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, case

from shared.fleet.attention import Attention, attention_in, attention_of
from shared.fleet.listing.filters import FACTS
from shared.fleet.observed import observed_state
from shared.models import Charger


class SortKey(StrEnum):
    CREATED_AT = "created_at"
    IDENTITY = "identity"
    STATE_SINCE = "state_since"
    ATTENTION = "attention"  #: ascending only: those whose facts ask for it first, then by identity


@dataclass(frozen=True, slots=True)
class Sort:
    key: SortKey
    descending: bool


#: Of a charger in a list: its values of KEYS.
Position = tuple[str] | tuple[datetime, str] | tuple[int, str]


def attention_rank(attention: ColumnElement[int]) -> ColumnElement[int]:
    """0 for chargers that need attention, now or soon, and 1 for the others: the same for a whole group."""
    return case((attention < Attention.NEVER.value, 0), else_=1)


#: The columns that each order sorts by, with names. An id grows with time, so it sorts by creation.
KEYS: Mapping[SortKey, Mapping[str, ColumnElement[Any]]] = {
    SortKey.CREATED_AT: {"id": Charger.__table__.c.id},
    SortKey.IDENTITY: {"identity": Charger.__table__.c.identity},
    SortKey.STATE_SINCE: {
        "observed_since": Charger.__table__.c.observed_since,
        "id": Charger.__table__.c.id,
    },
    SortKey.ATTENTION: {
        "attention_rank": attention_rank(attention_in(FACTS)),
        "identity": Charger.__table__.c.identity,
    },
}


def position_of(charger: Charger, sort: Sort) -> Position:
    match sort.key:
        case SortKey.CREATED_AT:
            return (charger.id,)
        case SortKey.IDENTITY:
            return (charger.identity,)
        case SortKey.STATE_SINCE:
            return (charger.observed_since, charger.id)
        case SortKey.ATTENTION:
            attention = attention_of(charger.provisioning_status, observed_state(charger), charger.link_state)
            return (int(attention == Attention.NEVER), charger.identity)
