"""The filters of a list, as conditions on a charger or on a group of chargers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CTE, ColumnElement, String, func, select, true

from shared.fleet.attention import attention_in, attention_until
from shared.fleet.labels import Label, match_labels
from shared.models import Charger


@dataclass(frozen=True, slots=True)
class Filters:
    """What every charger of a list matches. None filters nothing."""

    status: tuple[str, ...] | None = None
    observed: tuple[str, ...] | None = None
    ocpp_state: tuple[str, ...] | None = None
    ocpp_version: tuple[str, ...] | None = None
    attention: bool | None = None
    brand_slug: str | None = None
    model_slug: str | None = None
    placement: str | None = None
    location_id: str | None = None
    host_id: str | None = None
    identity: str | None = None  #: the whole identity: matches one charger at most
    q: str | None = None  #: a part of the identity or the name, case-insensitive
    labels: tuple[Label, ...] | None = None  #: all of them


#: The filters whose values make groups, and the columns that they compare.
FACTS: Mapping[str, ColumnElement[Any]] = {
    "status": Charger.__table__.c.provisioning_status,
    "observed": func.observed_state(
        Charger.desired_count, Charger.running_count, Charger.pending_count, Charger.observed_at, type_=String
    ),
    "ocpp_state": Charger.__table__.c.ocpp_state,
    "ocpp_version": Charger.__table__.c.ocpp_version,
    "brand_slug": Charger.__table__.c.brand_slug,
    "model_slug": Charger.__table__.c.model_slug,
    "placement": Charger.__table__.c.placement,
}
#: The filters by what has few chargers, and an index of these by creation; and the columns that they compare.
PLACES: Mapping[str, ColumnElement[Any]] = {
    "location_id": Charger.__table__.c.location_id,
    "host_id": Charger.__table__.c.host_id,
}


def groups_of(organization_id: str) -> CTE:
    """The organization's groups, a row each with its number and FACTS: one jump in an index per group."""
    facts = [Charger.list_group, *(fact.label(name) for name, fact in FACTS.items())]
    next_one = select(*facts).where(*is_live(organization_id)).order_by(Charger.list_group).limit(1)
    groups = select(next_one.subquery("lowest")).cte("groups", recursive=True)
    higher = next_one.where(Charger.list_group > groups.c.list_group).lateral("higher")
    return groups.union_all(select(higher).select_from(groups.join(higher, true())))


def matches(filters: Filters) -> list[ColumnElement[bool]]:
    """Conditions on a charger's row for every filter but PLACES."""
    conditions = matches_facts(filters) + match_searched(filters)
    if filters.identity is not None:
        conditions.append(Charger.identity == filters.identity)
    return conditions


def matches_facts(filters: Filters) -> list[ColumnElement[bool]]:
    """Conditions on a charger's row for FACTS and the attention that follows from them."""
    return match_facts(FACTS, filters) + match_attention(attention_in(FACTS), filters)


def match_facts(facts: Any, filters: Filters) -> list[ColumnElement[bool]]:
    """Conditions on FACTS, given by name: the columns of a group or of a charger."""
    conditions: list[ColumnElement[bool]] = []
    for name in FACTS:
        wanted = getattr(filters, name)
        if isinstance(wanted, tuple):
            conditions.append(facts[name].in_(wanted))
        elif wanted is not None:
            conditions.append(facts[name] == wanted)
    return conditions


def match_attention(attention: ColumnElement[int], filters: Filters) -> list[ColumnElement[bool]]:
    """Conditions on a charger of which the facts say this."""
    if filters.attention is None:
        return []
    until = attention_until(attention)
    return [Charger.observed_since <= until if filters.attention else Charger.observed_since > until]


def places_of(filters: Filters) -> Mapping[str, str]:
    """Those of PLACES that the filters name, with their values."""
    return {name: value for name in PLACES if (value := getattr(filters, name)) is not None}


def match_places(filters: Filters, *, without: str | None = None) -> list[ColumnElement[bool]]:
    """Conditions on a charger's row for PLACES."""
    return [PLACES[name] == value for name, value in places_of(filters).items() if name != without]


def is_searched(filters: Filters) -> bool:
    """Whether a filter may take any value, so that it makes no groups: see shared/fleet/listing/search.py."""
    return filters.q is not None or filters.labels is not None


def match_searched(filters: Filters) -> list[ColumnElement[bool]]:
    """Conditions on a charger's row for the text and the labels."""
    conditions = match_labels(Charger.labels, filters.labels)
    if filters.q is not None:
        content = func.search_text(Charger.identity, Charger.name)
        conditions.append(func.strpos(content, func.lower(filters.q)) > 0)
    return conditions


def is_live(organization_id: str) -> list[ColumnElement[bool]]:
    return [Charger.organization_id == organization_id, Charger.deleted_at.is_(None)]
