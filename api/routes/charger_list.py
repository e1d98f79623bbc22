"""Reads a page of the list of chargers, by its number or by a cursor."""

from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from api.http.cursors import InvalidCursor, read_cursor, write_cursor
from api.http.fields.fields import Problem
from api.http.parsing import InvalidRequest, item
from api.http.queries import ListQuery
from shared.fleet.listing import count_chargers, list_chargers

BAD_CURSOR = Problem(
    "This is not a cursor of this list: send the sort and filters of the page that it came with",
    "value_error",
)


def read_page(session: Session, organization_id: str, query: ListQuery) -> dict[str, Any]:
    """The page, as ChargerPage shows it. Raises InvalidRequest for a cursor of another list."""
    scope = {"organization_id": organization_id, **asdict(query.filters)}
    by_cursor = query.cursor is not None
    total = after = None
    if query.cursor:
        try:
            after = read_cursor(query.cursor, query.sort, scope)
        except InvalidCursor as error:
            raise InvalidRequest([item(["query", "cursor"], BAD_CURSOR)]) from error
    if not by_cursor:
        total = count_chargers(session, organization_id=organization_id, filters=query.filters)
    found = list_chargers(
        session,
        organization_id=organization_id,
        filters=query.filters,
        sort=query.sort,
        after=after,
        limit=query.limit,
        offset=(query.page - 1) * query.limit,
    )
    return {
        "data": found.rows,
        "total": total,
        "page": None if by_cursor else query.page,
        "limit": query.limit,
        "next_cursor": write_cursor(found.after, query.sort, scope) if found.after else None,
    }
