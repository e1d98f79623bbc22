"""The pages of a list of chargers."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    CTE,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Integer,
    Select,
    Text,
    bindparam,
    case,
    column,
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

from shared.fleet.attention import ATTENTION_AFTER, Attention, attention_in
from shared.fleet.listing.filters import (
    FACTS,
    PLACES,
    Filters,
    groups_of,
    is_live,
    is_searched,
    match_facts,
    match_places,
    match_searched,
    matches,
    matches_facts,
    places_of,
)
from shared.fleet.listing.order import KEYS, Position, Sort, SortKey, attention_rank, position_of
from shared.fleet.listing.search import MAX_FOUND, all_found, few_found, number_of, seems_common
from shared.models import Charger

RANK = "attention_rank"  #: of the keys that lists are sorted by

#: Chargers that a search reads in the order of the list before it reads all texts: first the one, then the other number.
WALK_LENGTH, LONG_WALK_LENGTH = 1000, 10_000


class ChargerPage(NamedTuple):
    rows: Sequence[Charger]
    after: Position | None  #: the last row's position; None when the list ends with it


def list_chargers(
    session: Session,
    *,
    organization_id: str,
    filters: Filters,
    sort: Sort,
    limit: int,
    after: Position | None = None,
    offset: int = 0,
) -> ChargerPage:
    """At most `limit` of the chargers after the position, without the first `offset` of them.

    Reading on from `after` neither repeats nor skips a charger while others come and go. A charger whose own position
    changes meanwhile may be returned again, or not at all.
    """
    queries = _Queries(organization_id, filters, sort, after)
    max_rows = offset + limit + 1

    def read(ids: Select[Any]) -> Sequence[Charger]:
        return session.scalars(queries.rows(ids).offset(offset).limit(limit + 1)).all()

    if filters.identity is not None:
        rows = read(queries.of_identity())
    elif places_of(filters):
        rows = read(queries.of_place(max_rows))
    elif not is_searched(filters):
        rows = read(queries.matching_facts(max_rows))
    else:
        is_common = seems_common(session, organization_id, filters)
        rows = _read_found(session, queries, is_common=is_common, offset=offset, limit=limit + 1)
    return ChargerPage(rows[:limit], position_of(rows[limit - 1], sort) if len(rows) > limit else None)


def read_chargers(session: Session, organization_id: str, charger_ids: Sequence[str]) -> Sequence[Charger]:
    """The organization's chargers with the ids, as a list shows them, in the order of the ids. Leaves out deleted ones."""
    named = (
        func.unnest(bindparam("charger_ids", list(charger_ids), type_=ARRAY(Text)))
        .table_valued(column("id", Text), with_ordinality="position")
        .render_derived("named")
    )
    charger = _charger_of(named, *is_live(organization_id))
    rows = select(charger).select_from(named.join(charger, true())).order_by(named.c.position)
    return session.scalars(_with_what_rows_show(rows, charger)).all()


def _read_found(
    session: Session, queries: "_Queries", *, is_common: bool, offset: int, limit: int
) -> Sequence[Charger]:
    """Try the way that is likely to be cheaper, then the other, then a long walk, then all texts or labels, which always
    answers."""

    def by_index() -> Sequence[Charger] | None:
        found = session.execute(queries.of_few(offset, limit)).all()
        saw_all = found[0].number < MAX_FOUND
        return [charger for charger, _ in found if charger is not None] if saw_all else None

    def along(length: int) -> Sequence[Charger] | None:
        length = max(length, offset + limit)
        walked = session.execute(queries.walked(length).offset(offset).limit(limit)).all()
        saw_all = bool(walked) and walked[0].number < length
        rows = [charger for charger, _ in walked if charger is not None]
        return rows if saw_all or len(rows) == limit else None

    walk = partial(along, WALK_LENGTH)
    first, second = (walk, by_index) if is_common else (by_index, walk)
    for way in (first, second, partial(along, LONG_WALK_LENGTH)):
        rows = way()
        if rows is not None:
            return rows
    return session.scalars(queries.rows(queries.of_all(offset, limit))).all()


class _Queries:
    """Queries for the chargers of a list after a position: ids with their sort keys, and the rows of such ids, in order."""

    def __init__(self, organization_id: str, filters: Filters, sort: Sort, after: Position | None) -> None:
        self._organization_id = organization_id
        self._filters = filters
        self._sort = sort
        self._after = after
        self._keys = KEYS[sort.key]

    def rows(self, ids: Select[Any]) -> Select[Any]:
        first = ids.subquery("first")
        charger = _charger_of(first)
        rows = select(charger).select_from(first.join(charger, true()))
        return self._in_order(_with_what_rows_show(rows, charger), first.c)

    def matching_facts(self, max_rows: int) -> Select[Any]:
        """The first chargers that match all filters but the text."""
        wanted = [getattr(self._filters, name) for name in FACTS]
        of_all = self._sort.key in (SortKey.CREATED_AT, SortKey.IDENTITY)
        if of_all and not any(wanted) and self._filters.attention is None:
            # By an index of all chargers of the organization.
            return self._in_order(self._beyond()).limit(max_rows)
        groups = groups_of(self._organization_id)
        merged = self._first_of_groups(groups, max_rows).subquery("merged")
        return self._in_order(select(merged), merged.c).limit(max_rows)

    def _first_of_groups(self, groups: CTE, max_rows: int) -> Select[Any] | CompoundSelect[Any]:
        """The first chargers of each group that the filters match.

        A group that will need attention later is read in order, and its few changed chargers are left out; or these
        alone are read, by the age of their state.
        """
        attention = attention_in(groups.c)
        first = self._walk(groups, max_rows)
        if self._filters.attention is None:
            return self._merge(groups, first)
        if self._filters.attention:
            return self._merge(groups, first).where(attention < Attention.NEVER.value)
        changed = self._in_group(groups).where(
            Charger.list_group == groups.c.list_group,
            Charger.observed_since > func.now() - ATTENTION_AFTER,
        )
        return union_all(
            self._merge(groups, first).where(attention == Attention.NEVER.value),
            self._merge(groups, changed).where(attention == Attention.LATER.value),
        )

    def _merge(self, groups: CTE, chargers_of_group: Select[Any]) -> Select[Any]:
        chargers = chargers_of_group.lateral()
        merged = select(chargers).select_from(groups.join(chargers, true()))
        merged = merged.where(*match_facts(groups.c, self._filters))
        if self._sort.key == SortKey.ATTENTION and self._after is not None:
            merged = merged.where(attention_rank(attention_in(groups.c)) >= literal(self._after[0], Integer))
        return merged

    def _walk(self, groups: CTE, max_rows: int) -> Select[Any]:
        """The first chargers of a group, by the index that has them in order."""
        # Not `=`, and sorted by the group too: no index but the group's own then gives this order.
        group = Charger.list_group
        here = self._in_group(groups).where(group >= groups.c.list_group, group <= groups.c.list_group)
        if self._filters.attention:
            # A CASE of the row's own columns, so that the index by the age of the state does not seem to be the better one.
            at_once = attention_in(FACTS) == Attention.AT_ONCE.value
            here = here.where(
                case((at_once, true()), else_=Charger.observed_since <= func.now() - ATTENTION_AFTER)
            )
        keys = [key for name, key in self._keys.items() if name != RANK]
        order = [group, *keys]
        return here.order_by(*(key.desc() if self._sort.descending else key for key in order)).limit(max_rows)

    def _in_group(self, groups: CTE) -> Select[Any]:
        """Ids and sort keys of the chargers after the position. All of a group have its rank."""
        if self._sort.key != SortKey.ATTENTION:
            return self._beyond()
        rank = attention_rank(attention_in(groups.c))
        here = select(Charger.__table__.c.id, rank.label(RANK), Charger.__table__.c.identity)
        here = here.where(*is_live(self._organization_id))
        if self._after is None:
            return here
        after_rank, after_identity = self._after[0], self._after[-1]
        return here.where(
            Charger.identity > case((rank == literal(after_rank, Integer), after_identity), else_="")
        )

    def walked(self, length: int) -> Select[Any]:
        """Rows among the first `length` matches of FACTS that have the text and the labels, each with the number walked.

        When none has them, one row without a charger.
        """
        first = self.matching_facts(length).cte("first")
        return self._numbered(first, first, *match_searched(self._filters))

    def of_few(self, offset: int, limit: int) -> Select[Any]:
        """Rows of the matches that the index of texts or of labels finds, each with the number found.

        When no row is left, one without a charger. When MAX_FOUND are found there may be more, and no rows come back.
        """
        found = few_found(self._organization_id, self._filters)
        ids = self._of_found(found).where(number_of(found) < MAX_FOUND)
        return self._numbered(ids.offset(offset).limit(limit).subquery("first"), found)

    def of_all(self, offset: int, limit: int) -> Select[Any]:
        """Ids of the chargers that match, found by reading all texts, or all entries of a label."""
        found = all_found(self._organization_id, self._filters).cte("found").prefix_with("MATERIALIZED")
        return self._of_found(found).offset(offset).limit(limit)

    def _of_found(self, found: CTE) -> Select[Any]:
        """The limit of 1 keeps PostgreSQL from walking the whole fleet in order instead."""
        conditions = [*matches_facts(self._filters), *match_searched(self._filters)]
        charger = self._beyond().where(Charger.id == found.c.charger_id, *conditions)
        one = charger.limit(1).lateral("one")
        return self._in_order(select(one).select_from(found.join(one, true())), one.c)

    def _numbered(self, first: FromClause, counted: CTE, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Rows of the chargers in `first`, each with the `number` of rows in `counted`; one without a charger for none."""
        number = select(func.count().label("number")).select_from(counted).subquery("counted")
        charger = _charger_of(first, *conditions)
        found = join(first, charger, true())
        rows = select(charger, number.c.number).select_from(outerjoin(number, found, true()))
        return self._in_order(_with_what_rows_show(rows, charger), first.c)

    def of_identity(self) -> Select[Any]:
        """The charger with the identity, one at most, by the index that keeps identities unique."""
        named = self._keyed().where(*match_places(self._filters), *matches(self._filters))
        found = named.cte("of_identity").prefix_with("MATERIALIZED")
        return self._in_order(select(found).where(*self._after_position(found.c)), found.c)

    def of_place(self, max_rows: int) -> Select[Any]:
        """The chargers of one of PLACES: few, with an index by creation; for another order all of them are sorted."""
        name, place = next(iter(places_of(self._filters).items()))
        of_place = PLACES[name]
        wanted = [*match_places(self._filters, without=name), *matches(self._filters)]
        if self._sort.key == SortKey.CREATED_AT:
            # As with groups: no index but the place's own gives this order.
            here = self._beyond().where(of_place >= place, of_place <= place, *wanted)
            return self._in_order(
                here.order_by(of_place.desc() if self._sort.descending else of_place)
            ).limit(max_rows)
        all_here = self._keyed().where(of_place == place, *wanted)
        found = all_here.cte("of_place").prefix_with("MATERIALIZED")
        return self._in_order(select(found).where(*self._after_position(found.c)), found.c).limit(max_rows)

    def _beyond(self) -> Select[Any]:
        """Ids and sort keys of the chargers after the position."""
        return self._keyed().where(*self._after_position(self._keys))

    def _keyed(self) -> Select[Any]:
        others = [key.label(name) for name, key in self._keys.items() if name != "id"]
        return select(Charger.__table__.c.id, *others).where(*is_live(self._organization_id))

    def _after_position(self, columns: Any) -> list[ColumnElement[bool]]:
        if self._after is None:
            return []
        position = tuple_(
            *(literal(value, key.type) for value, key in zip(self._after, self._keys.values(), strict=True))
        )
        keys = tuple_(*(columns[name] for name in self._keys))
        return [keys < position if self._sort.descending else keys > position]

    def _in_order(self, query: Select[Any], columns: Any = None) -> Select[Any]:
        """Sort by the keys, which are among the columns: a charger's unless given."""
        columns = self._keys if columns is None else columns
        keys = [columns[name] for name in self._keys]
        return query.order_by(*(key.desc() if self._sort.descending else key.asc() for key in keys))


def _with_what_rows_show(rows: Select[Any], charger: type[Charger]) -> Select[Any]:
    return rows.options(joinedload(charger.link), joinedload(charger.command))


def _charger_of(first: FromClause, *conditions: ColumnElement[bool]) -> type[Charger]:
    """The row with the id of `first`, if it meets the conditions. The limit keeps PostgreSQL from reading all rows."""
    row = select(Charger).where(Charger.id == first.c.id, *conditions).limit(1)
    return aliased(Charger, row.lateral("charger"))
