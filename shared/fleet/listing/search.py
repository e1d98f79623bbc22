"""The search of a list by a text in identity or name, and whether the index of texts is the cheaper way."""

from sqlalchemy import CTE, ColumnElement, ScalarSelect, Select, func, select, union_all
from sqlalchemy.orm import Session

from shared.fleet.listing.filters import has_text, is_live
from shared.models import Charger, ChargerSearch

#: A text that this share of a sample has is searched by walking the list: the index of texts has no order, and PostgreSQL
#: may compute the substrings of each match again. A rarer text is searched by the index.
COMMON_SHARE = 0.01
SAMPLE_SIZE = 250  #: chargers, of the oldest and of the newest each
MAX_TEXTS = 10_000  #: read from the index; a text with more matches is common, whatever the sample says


def seems_common(session: Session, organization_id: str, text: str) -> bool:
    """Whether a COMMON_SHARE or more of a sample of the organization's chargers has the text."""
    found = has_text(text).label("has_text")
    ends = (
        select(found).where(*is_live(organization_id)).order_by(order).limit(SAMPLE_SIZE).subquery()
        for order in (Charger.id.asc(), Charger.id.desc())
    )
    sample = union_all(*(select(end) for end in ends)).subquery("sample")
    matching = session.scalar(select(func.count()).where(sample.c.has_text)) or 0
    return matching >= 2 * SAMPLE_SIZE * COMMON_SHARE


def all_with_text(organization_id: str, text: str) -> Select[str]:
    """The ids of the organization's chargers that have the text."""
    return select(ChargerSearch.charger_id).where(
        ChargerSearch.organization_id == organization_id, _in_content(text)
    )


def few_with_text(organization_id: str, text: str) -> CTE:
    """The same ids by the index of texts, at most MAX_TEXTS."""
    grams = func.search_grams(ChargerSearch.organization_id, ChargerSearch.content)
    has_grams = grams.bool_op("@>")(func.searched_grams(organization_id, func.lower(text)))
    found = all_with_text(organization_id, text).where(has_grams).limit(MAX_TEXTS)
    return found.cte("texts").prefix_with("MATERIALIZED")


def number_of(texts: CTE) -> ScalarSelect[int]:
    return select(func.count()).select_from(texts).scalar_subquery()


def _in_content(text: str) -> ColumnElement[bool]:
    return func.strpos(ChargerSearch.content, func.lower(text)) > 0
