"""Pages of a charger's log by cursor: of one or several kinds, filtered, in either direction, at the same cost at any place."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import FromClause, Select, case, func, or_, select
from sqlalchemy.orm import Session

from shared.fleet.logs.filters import LogFilters, conditions
from shared.fleet.logs.rows import Bound, Entry, Position, entries_of, in_order, position_of, rows_in_order
from shared.fleet.scope import check_charger

#: Rows that a page reads at most when filters leave some out: some tenths of a second with the longest messages.
MAX_ROWS_READ = 5000


class Cursor(NamedTuple):
    """Where a page begins, and in which direction it is read."""

    position: Position
    inclusive: bool
    backward: bool  #: against the order of the pages

    def turned(self) -> "Cursor":
        """The same place, read in the other direction."""
        return Cursor(self.position, not self.inclusive, not self.backward)


class Entries(NamedTuple):
    """A page of entries."""

    entries: list[Entry]
    next: Cursor | None  #: None when the log ends here
    previous: Cursor | None  #: also for what is added later; None of an empty log
    searched_until: (
        datetime | None
    )  #: the page ends here because MAX_ROWS_READ rows were read: more may match


def list_entries(
    session: Session,
    *,
    organization_id: str,
    charger_id: str,
    filters: LogFilters,
    descending: bool,
    cursor: Cursor | None,
    limit: int,
    max_bytes: int,
) -> Entries:
    """The entries that the filters want from the cursor on, newest first if `descending`.

    A page has at most `limit` entries and max_bytes of messages, but at least one entry if one matches among the first
    MAX_ROWS_READ. A message longer than max_bytes is cut, and its entry has `truncated`. Pages on from `next` have each
    entry once; one that is stored later, with an earlier time, is not among them. Raises ChargerNotFound.
    """
    check_charger(session, organization_id=organization_id, charger_id=charger_id)
    backward = cursor is not None and cursor.backward
    read_descending = descending != backward
    bound = Bound(cursor.position, cursor.inclusive) if cursor else None
    max_rows = max(MAX_ROWS_READ, limit + 1) if filters.are_selective else limit + 1
    read = rows_in_order(charger_id, filters, descending=read_descending, bound=bound, max_rows=max_rows)
    rows = session.execute(_page(read, filters, read_descending, limit, max_bytes)).all()
    searched_until = None
    end: Position | None = None
    if rows and len(rows) < rows[0].matches:  # of at most limit + 1
        end = position_of(rows[-1])
    elif filters.are_selective and (
        stopped := session.execute(_last_read(read, read_descending, max_rows)).one_or_none()
    ):
        end, searched_until = position_of(stopped), stopped.timestamp
    return _turned_to_order(rows, cursor, end, searched_until)


def _page(read: FromClause, filters: LogFilters, descending: bool, limit: int, max_bytes: int) -> Select[Any]:
    """The first matches whose messages together have at most max_bytes, each with the number of matches up to limit + 1."""
    size = func.coalesce(
        func.octet_length(read.c.message), 0
    )  # PostgreSQL knows it without reading the message
    matching = (
        select(read, size.label("size"))
        .where(*conditions(filters, read.c))
        .order_by(*in_order(read.c, descending=descending))
        .limit(limit + 1)
        .subquery("matching")
    )
    order = in_order(matching.c, descending=descending)
    counted = select(
        matching,
        func.sum(matching.c.size).over(order_by=order).label("so_far"),
        func.row_number().over(order_by=order).label("number"),
        func.count().over().label("matches"),
    ).subquery("counted")
    found = counted.c
    too_long = found.size > max_bytes
    return (
        select(
            *(column for column in found if column.name != "message"),
            # A character has up to four bytes.
            case((too_long, func.left(found.message, max_bytes // 4)), else_=found.message).label("message"),
            too_long.label("truncated"),
        )
        .where(or_(found.so_far <= max_bytes, found.number == 1), found.number <= limit)
        .order_by(*in_order(found, descending=descending))
    )


def _last_read(read: FromClause, descending: bool, max_rows: int) -> Select[Any]:
    """The place of the last row that may be read, if there are so many."""
    row = read.c
    return (
        select(row.timestamp, row.event_id, row.table)
        .order_by(*in_order(row, descending=descending))
        .offset(max_rows - 1)
        .limit(1)
    )


def _turned_to_order(
    rows: Sequence[Any],
    cursor: Cursor | None,
    end: Position | None,
    searched_until: datetime | None,
) -> Entries:
    """The page in the order of the list, whichever way it was read."""
    backward = cursor is not None and cursor.backward
    on = None if end is None else Cursor(end, inclusive=False, backward=backward)
    if not backward:
        first = Cursor(position_of(rows[0]), inclusive=False, backward=True) if rows else None
        previous = cursor.turned() if cursor else first
        return Entries(entries_of(rows), on, previous, searched_until)
    if on is None:  # the newest so far, or the oldest
        on = Cursor(position_of(rows[-1]), inclusive=False, backward=True) if rows else cursor
    entries = entries_of(reversed(rows))
    return Entries(entries, cursor.turned() if cursor else None, on, searched_until)
