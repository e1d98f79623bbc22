"""The search of a list by a text in identity or name, or by labels, and whether the index of these is the cheaper way."""

from collections.abc import Sequence

from sqlalchemy import CTE, ColumnElement, ScalarSelect, Select, and_, func, select, union_all
from sqlalchemy.orm import Session, aliased

from shared.fleet.labels import Label
from shared.fleet.listing.filters import Filters, is_live, match_searched
from shared.models import Charger, ChargerLabel, ChargerSearch

#: What this share of a sample matches is searched by walking the list: the index of texts has no order, nor has that of
#: labels for most sorts, and PostgreSQL may compute the substrings of each match again. What is rarer is searched by the index.
COMMON_SHARE = 0.01
SAMPLE_SIZE = 250  #: chargers, of the oldest and of the newest each
MAX_FOUND = 10_000  #: read from the index; what has more matches is common, whatever the sample says


def seems_common(session: Session, organization_id: str, filters: Filters) -> bool:
    """Whether a COMMON_SHARE or more of a sample of the organization's chargers has the text and the labels."""
    found = and_(*match_searched(filters)).label("found")
    ends = (
        select(found).where(*is_live(organization_id)).order_by(order).limit(SAMPLE_SIZE).subquery()
        for order in (Charger.id.asc(), Charger.id.desc())
    )
    sample = union_all(*(select(end) for end in ends)).subquery("sample")
    matching = session.scalar(select(func.count()).where(sample.c.found)) or 0
    return matching >= 2 * SAMPLE_SIZE * COMMON_SHARE


def all_found(organization_id: str, filters: Filters) -> Select[str]:
    """The ids of the organization's chargers that have the text; without one, the labels."""
    if filters.q is not None:
        return _all_with_text(organization_id, filters.q)
    return all_with_labels(organization_id, filters.labels or ())


def few_found(organization_id: str, filters: Filters) -> CTE:
    """The same ids by an index, at most MAX_FOUND."""
    found = all_found(organization_id, filters)
    if filters.q is not None:
        grams = func.search_grams(ChargerSearch.organization_id, ChargerSearch.content)
        has_grams = grams.bool_op("@>")(func.searched_grams(organization_id, func.lower(filters.q)))
        found = found.where(has_grams)
    return found.limit(MAX_FOUND).cte("found").prefix_with("MATERIALIZED")


def number_of(found: CTE) -> ScalarSelect[int]:
    return select(func.count()).select_from(found).scalar_subquery()


def all_with_labels(organization_id: str, labels: Sequence[Label]) -> Select[str]:
    """The ids of the organization's chargers that have all the labels, by the index of labels."""
    first, *others = sorted(labels, key=lambda label: label.value is None)  # a value is rarer than a name
    found = select(ChargerLabel.charger_id).where(*_has_label(ChargerLabel, organization_id, first))
    for label in others:
        other = aliased(ChargerLabel)
        found = found.where(
            select(other.charger_id)
            .where(*_has_label(other, organization_id, label), other.charger_id == ChargerLabel.charger_id)
            .exists()
        )
    return found


def _has_label(row: type[ChargerLabel], organization_id: str, label: Label) -> list[ColumnElement[bool]]:
    conditions = [row.organization_id == organization_id, row.name == label.name]
    return conditions if label.value is None else [*conditions, row.value == label.value]


def _all_with_text(organization_id: str, text: str) -> Select[str]:
    in_content = func.strpos(ChargerSearch.content, func.lower(text)) > 0
    return select(ChargerSearch.charger_id).where(
        ChargerSearch.organization_id == organization_id, in_content
    )
