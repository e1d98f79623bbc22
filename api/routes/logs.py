"""The route of a charger's log: pages by offset as in the contract, pages by cursor, and lines of JSON."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Response, request, stream_with_context
from flask.typing import ResponseReturnValue

from api.http.auth import requester
from api.http.document.operations import Access, Operations
from api.http.fields.fields import Problem
from api.http.logs.cursors import InvalidCursor, read_cursor, scope_of, write_cursor
from api.http.logs.examples import LOGS
from api.http.logs.queries import MAX_LIMIT, LogsQuery, LogsQuerySchema, Order
from api.http.logs.schemas import LogPage, log_entry
from api.http.parsing import InvalidRequest, item
from api.resources import Resources, resources
from shared.fleet.logs import Cursor, Entries, Entry, LogFilters, list_entries, list_logs

operations = Operations(
    "logs",
    __name__,
    url_prefix="/ocpp/chargers/<charger_id:charger_id>/logs",
    access=Access.TENANT,
    description="What a charger logged: the frames that it exchanged with its CSMS, remarks, and changes of its link.",
)

LINES = "application/x-ndjson"
BAD_CURSOR = Problem(
    "This is not a cursor of this log: send the filters and the order of the page that it came with",
    "value_error",
)
MAX_LINES_BYTES = 512 * 1024  # of messages that are in memory at once for a client that reads lines
LINES_ARE_ALL = Problem("Lines of JSON are all that match, without pages", "value_error")


@operations.operation(
    "GET",
    "",
    query=LogsQuerySchema,
    answer=LogPage,
    examples=LOGS,
    other_content={LINES: {"schema": {"type": "string", "description": "An entry per line, oldest first."}}},
)
def list_charger_logs(query: LogsQuery, charger_id: str) -> ResponseReturnValue:
    """List charger logs

    The frames that the charger exchanged with its CSMS, its remarks, or the changes of its link, newest first. A page
    of long messages is shorter than its `limit`: continue at `next_offset`.

    Several kinds, `direction`, `caller`, `hide`, `q`, `errors`, `order` or `cursor` make pages by cursor: they have no
    `total`, and continue at `next_cursor`. With `Accept: application/x-ndjson` the answer is all that matches, streamed, an
    entry per line, oldest first; it takes a slot of an event stream, and no `limit`, `offset`, `cursor` or `order`.
    """
    if request.accept_mimetypes.best_match(["application/json", LINES]) == LINES:
        return _lines(query, charger_id)
    if query.by_cursor:
        return _page_by_cursor(query, charger_id)
    return _numbered_page(query, charger_id)


def _numbered_page(query: LogsQuery, charger_id: str) -> dict[str, Any]:
    filters, limit, offset = query.filters, query.limit or MAX_LIMIT, query.offset or 0
    with resources().reads() as session:
        found = list_logs(
            session,
            organization_id=requester().organization_id,
            charger_id=charger_id,
            kind=filters.kinds[0],
            start_date=filters.start,
            end_date=filters.end,
            event=filters.event,
            limit=limit,
            offset=offset,
            max_bytes=resources().settings.log_page_bytes,
        )
    return {
        "data": found.rows,
        "total": found.total,
        "limit": limit,
        "offset": offset,
        "next_offset": found.next_offset,
    }


def _page_by_cursor(query: LogsQuery, charger_id: str) -> dict[str, Any]:
    limit, descending = query.limit or MAX_LIMIT, query.order is not Order.OLDEST_FIRST
    scope = scope_of(charger_id, query.filters, descending=descending)
    cursor = None
    if query.cursor:
        try:
            cursor = read_cursor(query.cursor, scope)
        except InvalidCursor as error:
            raise InvalidRequest([item(["query", "cursor"], BAD_CURSOR)]) from error
    with resources().reads() as session:
        found = list_entries(
            session,
            organization_id=requester().organization_id,
            charger_id=charger_id,
            filters=query.filters,
            descending=descending,
            cursor=cursor,
            limit=limit,
            max_bytes=resources().settings.log_page_bytes,
        )
    return {
        "data": found.entries,
        "total": None,
        "limit": limit,
        "offset": None,
        "next_offset": None,
        "next_cursor": write_cursor(found.next, scope),
        "previous_cursor": write_cursor(found.previous, scope),
        "searched_until": found.searched_until,
    }


def _lines(query: LogsQuery, charger_id: str) -> Response:
    """All that matches by now. The first entries are read before the answer begins, so what fails then is an error."""
    for name in ("limit", "offset", "cursor", "order"):
        if getattr(query, name) is not None:
            raise InvalidRequest([item(["query", name], LINES_ARE_ALL)])
    now = datetime.now(UTC)
    filters = replace(query.filters, end=min(query.filters.end or now, now))
    known, organization_id = resources(), requester().organization_id
    first = _read_lines(known, organization_id, charger_id, filters, None)
    response = Response(mimetype=LINES, headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"})
    if request.method == "HEAD":
        return response
    known.stream_slots.acquire(organization_id)
    response.call_on_close(lambda: known.stream_slots.release(organization_id))
    response.response = stream_with_context(_texts(known, organization_id, charger_id, filters, first))
    return response


def _texts(
    known: Resources, organization_id: str, charger_id: str, filters: LogFilters, page: Entries
) -> Iterator[str]:
    """The lines, read a page at a time as the client takes them: no connection of the database waits for it."""
    while True:
        if page.entries:
            yield "".join(map(_line, page.entries))
        if page.next is None:
            return
        page = _read_lines(known, organization_id, charger_id, filters, page.next)


def _read_lines(
    known: Resources, organization_id: str, charger_id: str, filters: LogFilters, cursor: Cursor | None
) -> Entries:
    with known.reads() as session:
        return list_entries(
            session,
            organization_id=organization_id,
            charger_id=charger_id,
            filters=filters,
            descending=False,
            cursor=cursor,
            limit=MAX_LIMIT,
            max_bytes=MAX_LINES_BYTES,
        )


def _line(entry: Entry) -> str:
    return f"{orjson.dumps(log_entry(entry)).decode()}\n"
