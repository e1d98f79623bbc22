"""Lists of chargers: filters, sort orders and pages, at a cost that does not grow with the organization.

What takes few values (statuses, states, versions, brands and models) makes groups: chargers of one group agree in all
of it, and carry the same number, `list_group`. A list finds the organization's groups by jumping from one number to
the next in an index, picks those that it wants, and merges the first chargers of each, which an index has in order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    ScalarSelect,
    Select,
    String,
    func,
    join,
    literal,
    outerjoin,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.orm import Session, aliased, joinedload

from shared.models import Charger, ChargerCount, ChargerSearch

#: A text that this share of a sample has is searched by walking the list: the index of texts has no order, and PostgreSQL
#: may compute the substrings of each match again. A text that fewer have is searched by the index.
COMMON = 0.01
SAMPLE = 250  #: chargers, of the oldest and of the newest each
TEXTS = 10_000  #: that are taken from the index; a text that more have is common, whatever the sample says
WALK, LONG_WALK = 1000, 10_000  #: chargers that are read in the order of the list, before all texts are


class SortKey(StrEnum):
    CREATED_AT = "created_at"
    IDENTITY = "identity"
    STATE_SINCE = "state_since"


@dataclass(frozen=True, slots=True)
class Sort:
    key: SortKey
    descending: bool


@dataclass(frozen=True, slots=True)
class Filters:
    """What all chargers of a list have. None filters nothing."""

    status: tuple[str, ...] | None = None
    observed: tuple[str, ...] | None = None
    ocpp_state: tuple[str, ...] | None = None
    ocpp_version: tuple[str, ...] | None = None
    brand_slug: str | None = None
    model_slug: str | None = None
    location_id: str | None = None
    identity: str | None = None  #: the whole of it: one charger at most
    q: str | None = None  #: a part of the identity or the name, in any case of letters


Position = tuple[str] | tuple[datetime, str]  #: of a charger in a list: the values that the list is sorted by


class Listed(NamedTuple):
    rows: Sequence[Charger]
    after: Position | None  #: the last row's, when there are more


#: Ids are made in the order of time, so they are the order of creation.
_KEYS: Mapping[SortKey, tuple[ColumnElement[Any], ...]] = {
    SortKey.CREATED_AT: (Charger.__table__.c.id,),
    SortKey.IDENTITY: (Charger.__table__.c.identity,),
    SortKey.STATE_SINCE: (Charger.__table__.c.observed_since, Charger.__table__.c.id),
}
_FACTS: Mapping[str, ColumnElement[Any]] = {
    "status": Charger.__table__.c.provisioning_status,
    "observed": func.observed_state(
        Charger.desired_count, Charger.running_count, Charger.pending_count, Charger.observed_at, type_=String
    ),
    "ocpp_state": Charger.__table__.c.ocpp_state,
    "ocpp_version": Charger.__table__.c.ocpp_version,
    "brand_slug": Charger.__table__.c.brand_slug,
    "model_slug": Charger.__table__.c.model_slug,
}


def list_chargers(
    session: Session,
    *,
    organization_id: str,
    filters: Filters,
    sort: Sort,
    limit: int,
    after: Position | None = None,
    offset: int = 0,
) -> Listed:
    """The chargers that come after the position, without the first `offset` of them, at most `limit`.

    Reading on from `after` neither repeats nor skips a charger while others come and go. A charger whose own place
    in the list changes meanwhile may be met again, or not at all.
    """
    queries = _Queries(organization_id, filters, sort, after)
    most = offset + limit + 1

    def read(ids: Select[Any]) -> Sequence[Charger]:
        return session.scalars(queries.rows(ids).offset(offset).limit(limit + 1)).all()

    if filters.identity is not None:
        rows = read(queries.of_identity())
    elif filters.location_id is not None:
        rows = read(queries.of_location(most))
    elif filters.q is None:
        rows = read(queries.agreeing(most))
    else:
        is_common = _seems_common(session, organization_id, filters.q)
        rows = _read_with_text(
            session, queries, filters.q, is_common=is_common, offset=offset, limit=limit + 1
        )
    return Listed(rows[:limit], _position(rows[limit - 1], sort) if len(rows) > limit else None)


def _read_with_text(
    session: Session, queries: "_Queries", text: str, *, is_common: bool, offset: int, limit: int
) -> Sequence[Charger]:
    """By the way that is likely to be the cheapest; the last one always has an answer, the others may have None."""

    def by_index() -> Sequence[Charger] | None:
        found = session.execute(queries.with_few_texts(text, offset, limit)).all()
        saw_all = found[0].number < TEXTS
        return [charger for charger, _ in found if charger is not None] if saw_all else None

    def along(walk: int) -> Sequence[Charger] | None:
        walk = max(walk, offset + limit)
        walked = session.execute(queries.walked(walk, text).offset(offset).limit(limit)).all()
        saw_all = bool(walked) and walked[0].number < walk
        rows = [charger for charger, _ in walked if charger is not None]
        return rows if saw_all or len(rows) == limit else None

    first, second = (partial(along, WALK), by_index) if is_common else (by_index, partial(along, WALK))
    for way in (first, second, partial(along, LONG_WALK)):
        rows = way()
        if rows is not None:
            return rows
    return session.scalars(queries.rows(queries.with_text(text, offset, limit))).all()


def _seems_common(session: Session, organization_id: str, query: str) -> bool:
    """Whether a sample of the organization's chargers has the text often."""
    has_text = _has_text(query).label("has_text")
    ends = (
        select(has_text).where(*_live(organization_id)).order_by(order).limit(SAMPLE).subquery()
        for order in (Charger.id.asc(), Charger.id.desc())
    )
    sample = union_all(*(select(end) for end in ends)).subquery("sample")
    found = session.scalar(select(func.count()).where(sample.c.has_text)) or 0
    return found >= 2 * SAMPLE * COMMON


def count_chargers(session: Session, *, organization_id: str, filters: Filters) -> int:
    """How many chargers the list has. With a filter this counts them: some tenths of a second for a million."""
    live = _live(organization_id)
    if filters == Filters():
        kept = select(ChargerCount.chargers).where(ChargerCount.organization_id == organization_id)
        return session.scalar(kept) or 0
    if filters.identity is not None:
        named = [*live, *_of_location(filters), *_all_of(filters)]
        return session.scalar(select(func.count()).select_from(Charger).where(*named)) or 0
    if filters.location_id is None and filters.q is None:
        groups = _groups(organization_id)
        of_group = (
            select(func.count().label("chargers"))
            .select_from(Charger)
            .where(*live, Charger.list_group == groups.c.list_group)
            .lateral("of_group")
        )
        total = (
            select(func.sum(of_group.c.chargers))
            .select_from(groups.join(of_group, true()))
            .where(*_agrees(groups.c, filters))
        )
        return int(session.scalar(total) or 0)
    if filters.location_id is not None:
        here = [*live, Charger.location_id == filters.location_id]
        of_location = select(func.count()).select_from(Charger).where(*here, *_all_of(filters))
        return session.scalar(of_location) or 0
    few = _few_texts(organization_id, filters.q or "")
    is_few = _number_of(few) < TEXTS
    of_few = session.scalar(_count_with_text(organization_id, filters, few).where(is_few).having(is_few))
    if of_few is not None:
        return int(of_few)
    texts = _texts(organization_id, filters.q or "").cte("texts")
    return session.scalar(_count_with_text(organization_id, filters, texts)) or 0


def _count_with_text(organization_id: str, filters: Filters, texts: CTE) -> Select[Any]:
    with_text = select(func.count()).select_from(texts)
    if filters == Filters(q=filters.q):
        return with_text
    return with_text.join(Charger, Charger.id == texts.c.charger_id).where(
        *_live(organization_id), *_agrees(_FACTS, filters)
    )


class _Queries:
    """For the chargers of a list after a position, in order: ids with sort keys, and the rows of such."""

    def __init__(self, organization_id: str, filters: Filters, sort: Sort, after: Position | None) -> None:
        self._organization_id = organization_id
        self._filters = filters
        self._sort = sort
        self._after = after
        self._keys = _KEYS[sort.key]

    def rows(self, ids: Select[Any]) -> Select[Any]:
        first = ids.subquery("first")
        charger = _charger_of(first)
        rows = select(charger).select_from(first.join(charger, true())).options(joinedload(charger.link))
        return self._in_order(rows, first.c)

    def agreeing(self, most: int) -> Select[Any]:
        """The first `most` that agree in all but the text."""
        wanted = [getattr(self._filters, name) for name in _FACTS]
        if not any(wanted) and self._sort.key != SortKey.STATE_SINCE:
            return self._in_order(self._beyond()).limit(
                most
            )  # by an index of all chargers of the organization
        groups = _groups(self._organization_id)
        # Not `=`, and sorted by the group too: no index but the group's own then gives this order.
        group = Charger.list_group
        of_group = (
            self._in_order(
                self._beyond()
                .where(group >= groups.c.list_group, group <= groups.c.list_group)
                .order_by(group.desc() if self._sort.descending else group)
            )
            .limit(most)
            .lateral("of_group")
        )
        merged = select(of_group).select_from(groups.join(of_group, true()))
        return self._in_order(merged.where(*_agrees(groups.c, self._filters)), of_group.c).limit(most)

    def walked(self, walk: int, text: str) -> Select[Any]:
        """Rows of the first `walk` that agree in all but the text and have it, each with the number of those first.

        When none has the text, one row without a charger.
        """
        first = self.agreeing(walk).cte("first")
        return self._numbered(first, first, _has_text(text))

    def with_few_texts(self, text: str, offset: int, limit: int) -> Select[Any]:
        """Rows of those that the index finds for the text, each with the number of texts found.

        When no row is left, one without a charger. When as many as TEXTS are found, there may be more: no rows then.
        """
        texts = _few_texts(self._organization_id, text)
        ids = self._of_texts(texts).where(_number_of(texts) < TEXTS)
        return self._numbered(ids.offset(offset).limit(limit).subquery("first"), texts)

    def with_text(self, text: str, offset: int, limit: int) -> Select[Any]:
        """Of those whose text has it, found among all texts."""
        texts = _texts(self._organization_id, text).cte("texts").prefix_with("MATERIALIZED")
        return self._of_texts(texts).offset(offset).limit(limit)

    def _of_texts(self, texts: CTE) -> Select[Any]:
        """PostgreSQL is not to walk the whole fleet in order for them instead."""
        charger = self._beyond().where(Charger.id == texts.c.charger_id, *_agrees(_FACTS, self._filters))
        found = charger.limit(1).lateral("found")
        return self._in_order(select(found).select_from(texts.join(found, true())), found.c)

    def _numbered(self, first: FromClause, counted: CTE, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Rows of the chargers in `first`, each with the `number` of rows in `counted`; one without a charger for none."""
        number = select(func.count().label("number")).select_from(counted).subquery("counted")
        charger = _charger_of(first, *conditions)
        found = join(first, charger, true())
        rows = select(charger, number.c.number).select_from(outerjoin(number, found, true()))
        return self._in_order(rows.options(joinedload(charger.link)), first.c)

    def of_identity(self) -> Select[Any]:
        """The charger with the identity, which is one at most, by the index that keeps identities unique."""
        named = self._keyed().where(*_of_location(self._filters), *_all_of(self._filters))
        found = named.cte("of_identity").prefix_with("MATERIALIZED")
        return self._in_order(select(found).where(*self._after_place(found.c)), found.c)

    def of_location(self, most: int) -> Select[Any]:
        """Of a location, which has few chargers, and an index by their age: for other orders it is sorted as a whole."""
        of_location = Charger.location_id
        wanted = _all_of(self._filters)
        if self._sort.key == SortKey.CREATED_AT:
            # As with groups: no index but the location's own gives this order.
            here = self._beyond().where(
                of_location >= self._filters.location_id, of_location <= self._filters.location_id, *wanted
            )
            return self._in_order(
                here.order_by(of_location.desc() if self._sort.descending else of_location)
            ).limit(most)
        all_here = self._keyed().where(of_location == self._filters.location_id, *wanted)
        found = all_here.cte("of_location").prefix_with("MATERIALIZED")
        return self._in_order(select(found).where(*self._after_place(found.c)), found.c).limit(most)

    def _beyond(self) -> Select[Any]:
        """Id and sort keys of those after the position."""
        return self._keyed().where(*self._after_place(Charger.__table__.c))

    def _keyed(self) -> Select[Any]:
        others = [key for key in self._keys if key.name != "id"]
        return select(Charger.__table__.c.id, *others).where(*_live(self._organization_id))

    def _after_place(self, columns: Any) -> list[ColumnElement[bool]]:
        if self._after is None:
            return []
        place = tuple_(
            *(literal(value, key.type) for value, key in zip(self._after, self._keys, strict=True))
        )
        keys = tuple_(*(columns[key.name] for key in self._keys))
        return [keys < place if self._sort.descending else keys > place]

    def _in_order(self, query: Select[Any], columns: Any = None) -> Select[Any]:
        """By the sort keys, which are among the columns: those of a charger unless given."""
        keys = self._keys if columns is None else [columns[key.name] for key in self._keys]
        return query.order_by(*(key.desc() if self._sort.descending else key.asc() for key in keys))


def _charger_of(first: FromClause, *conditions: ColumnElement[bool]) -> type[Charger]:
    """The row with the id of `first`, if it is as it should be. The limit keeps PostgreSQL from reading all rows."""
    row = select(Charger).where(Charger.id == first.c.id, *conditions).limit(1)
    return aliased(Charger, row.lateral("charger"))


def _groups(organization_id: str) -> CTE:
    """The organization's groups: what one charger of each has, found by a jump in an index for each."""
    facts = [Charger.list_group, *(fact.label(name) for name, fact in _FACTS.items())]
    next_one = select(*facts).where(*_live(organization_id)).order_by(Charger.list_group).limit(1)
    groups = select(next_one.subquery("lowest")).cte("groups", recursive=True)
    higher = next_one.where(Charger.list_group > groups.c.list_group).lateral("higher")
    return groups.union_all(select(higher).select_from(groups.join(higher, true())))


def _live(organization_id: str) -> list[ColumnElement[bool]]:
    return [Charger.organization_id == organization_id, Charger.deleted_at.is_(None)]


def _agrees(facts: Any, filters: Filters) -> list[ColumnElement[bool]]:
    """Conditions on facts by name: columns of a group, or of a charger."""
    conditions: list[ColumnElement[bool]] = []
    for name in _FACTS:
        wanted = getattr(filters, name)
        if isinstance(wanted, tuple):
            conditions.append(facts[name].in_(wanted))
        elif wanted is not None:
            conditions.append(facts[name] == wanted)
    return conditions


def _all_of(filters: Filters) -> list[ColumnElement[bool]]:
    """Conditions on a charger's own row, but for the location."""
    conditions = _agrees(_FACTS, filters)
    if filters.identity is not None:
        conditions.append(Charger.identity == filters.identity)
    if filters.q is not None:
        conditions.append(_has_text(filters.q))
    return conditions


def _of_location(filters: Filters) -> list[ColumnElement[bool]]:
    return [] if filters.location_id is None else [Charger.location_id == filters.location_id]


def _has_text(query: str) -> ColumnElement[bool]:
    return func.strpos(func.search_text(Charger.identity, Charger.name), func.lower(query)) > 0


def _texts(organization_id: str, query: str) -> Select[Any]:
    """The ids of the organization's chargers that have the text."""
    return select(ChargerSearch.charger_id).where(
        ChargerSearch.organization_id == organization_id, _in_content(query)
    )


def _few_texts(organization_id: str, query: str) -> CTE:
    """The same by the index, at most TEXTS."""
    grams = func.search_grams(ChargerSearch.organization_id, ChargerSearch.content)
    has_grams = grams.bool_op("@>")(func.searched_grams(organization_id, func.lower(query)))
    found = _texts(organization_id, query).where(has_grams).limit(TEXTS)
    return found.cte("texts").prefix_with("MATERIALIZED")


def _number_of(texts: CTE) -> ScalarSelect[int]:
    return select(func.count()).select_from(texts).scalar_subquery()


def _in_content(query: str) -> ColumnElement[bool]:
    return func.strpos(ChargerSearch.content, func.lower(query)) > 0


def _position(charger: Charger, sort: Sort) -> Position:
    match sort.key:
        case SortKey.CREATED_AT:
            return (charger.id,)
        case SortKey.IDENTITY:
            return (charger.identity,)
        case SortKey.STATE_SINCE:
            return (charger.observed_since, charger.id)
