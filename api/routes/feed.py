"""The routes of what changes in a whole organization: as a stream, and as a long poll. Beyond the contract."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import orjson
from flask import Response, request
from sqlalchemy.orm import Session

from api.http.auth import requester
from api.http.document.operations import Access, Operations
from api.http.feed.cursors import MAX_LENGTH, Cursor, InvalidCursor, place_after, read_cursor, write_cursor
from api.http.feed.queries import BAD_CURSOR, ChangesQuery, ChangesQuerySchema, EventsQuery, EventsQuerySchema
from api.http.feed.render import RETRY_MS, behind_event, event, row_events
from api.http.feed.schemas import ChangesAnswer
from api.http.fields.fields import instant_text
from api.http.logs.schemas import log_entry
from api.http.parsing import InvalidRequest, item
from api.http.waits import slot_to_wait
from api.live.feed_stream import Batch, FeedStream, Row, shown_rows
from api.resources import resources
from api.routes.events import ID_HEADER, PAYLOADS, snapshot_of
from shared.fleet.events import Snapshot, snapshot
from shared.fleet.feed import Changes, Mark, Place, changes_after, read_mark, read_rows
from shared.fleet.labels import Label
from shared.fleet.listing import Filters, summarize

operations = Operations(
    "feed",
    __name__,
    url_prefix="/ocpp",
    access=Access.TENANT,
    description="What changes in the whole organization. Beyond the contract.",
)

EVENTS_PER_WRITE = 50  # of a batch: as text they would take much memory at once
MAX_EARLY = 50  # events that a long poll returns before they are final: as many as its cursor can name


@operations.operation(
    "GET",
    "/events",
    query=EventsQuerySchema,
    content_type="text/event-stream",
    errors=(404,),
    parameters=[
        {
            "in": "header",
            "name": ID_HEADER,
            "required": False,
            "description": "The cursor that was read last, as the `id` of an event. It wins over `after`.",
            "schema": {"type": "string", "maxLength": MAX_LENGTH},
        }
    ],
)
def watch_organization(query: EventsQuery) -> Response:
    """Watch all chargers

    Server-Sent Events. The first is `ready`: `resumed` is false without a cursor, and when the stream cannot go on from
    it, which `reason` explains: load the list after it. Then `charger` with a row as lists have it when something of it
    changes, `removed` when it is deleted, and `summary` at most every 2 s, unless `labels` are given. `behind` says since when the API cannot read
    from its database, and with null that it can again. For each charger in `charger_id` follow `snapshot`, `command`,
    `status`, `ocpp`, `action` and `connectors` as on its own stream, each with `charger_id`; and with `frames=true` also
    `frames` with the new entries of its log, beginning with those of the last minute. A row or an event may come
    twice. The `id` of an event is a cursor. A comment is sent after 15 s of silence, and the stream ends after 300 s, or
    earlier when it is not read: reconnect.
    """
    organization_id = requester().organization_id
    cursor = _cursor_of_header() or query.after
    with resources().reads() as session:
        mark = read_mark(session)
        place, resumed, reason = place_after(session, mark, cursor, organization_id)
        snapshots = [
            snapshot(session, organization_id=organization_id, charger_id=charger_id)
            for charger_id in query.charger_ids
        ]
        summary = summarize(session, organization_id, Filters(labels=query.labels))
    headers = {"X-Accel-Buffering": "no"}  # or nginx would buffer the events
    if request.method == "HEAD":
        return Response(mimetype="text/event-stream", headers=headers)
    ready = {
        "cursor": write_cursor(mark, place),
        "resumed": resumed,
        "reason": reason,
        "server_time": instant_text(datetime.now(UTC)),
        "summary": asdict(summary),
    }
    first = _first_events(ready, snapshots)
    feed = resources().feed
    watched = [(each.charger.id, each.last_event_id) for each in snapshots]
    stream = feed.open(place, watched, with_logs=query.frames, labels=query.labels)
    response = Response(_texts(first, stream, mark), mimetype="text/event-stream", headers=headers)
    response.call_on_close(lambda: feed.close(stream))
    return response


def _cursor_of_header() -> Cursor | None:
    given = request.headers.get(ID_HEADER)
    if given is None:
        return None
    try:
        return read_cursor(given)
    except InvalidCursor as error:
        raise InvalidRequest([item(["header", ID_HEADER], BAD_CURSOR)]) from error


def _first_events(ready: dict[str, Any], snapshots: Sequence[Snapshot]) -> str:
    own = (
        event("snapshot", {"charger_id": each.charger.id, **snapshot_of(each)}, ready["cursor"])
        for each in snapshots
    )
    return "".join((f"retry: {RETRY_MS}\n\n", event("ready", ready, ready["cursor"]), *own))


def _texts(first: str, stream: FeedStream, mark: Mark) -> Iterator[str]:
    yield first
    for batch in stream:
        now = mark._replace(at=datetime.now(UTC))
        yield from _texts_of(batch, write_cursor(now, batch.place)) if batch else (":\n\n",)


def _texts_of(batch: Batch, cursor: str) -> Iterator[str]:
    events = list(row_events(batch.rows))
    events += [
        (each.type, {"charger_id": each.charger_id, **PAYLOADS[each.type](each)}) for each in batch.events
    ]
    events += [
        ("frames", {"charger_id": charger_id, "entries": [log_entry(entry) for entry in entries]})
        for charger_id, entries in batch.entries
    ]
    if batch.behind is not None:
        events.append(("behind", behind_event(batch.behind)))
    if batch.summary is not None:
        events.append(("summary", batch.summary))
    for start in range(0, len(events), EVENTS_PER_WRITE):
        part = events[start : start + EVENTS_PER_WRITE]
        is_last = start + EVENTS_PER_WRITE >= len(events)
        *others, (name, data) = part
        texts = [event(*each) for each in others]
        yield "".join([*texts, event(name, data, cursor if is_last else None)])


@operations.operation("GET", "/changes", query=ChangesQuerySchema, answer=ChangesAnswer)
def list_changes(query: ChangesQuery) -> Response:
    """List what has changed

    The rows that have changed since the cursor, as lists have them, the ids of the chargers that are gone, and the cursor
    of now. `resumed` is false without a cursor, and when the API cannot go on from it, which `reason` explains: load the
    list then. With `more` there is more at once. A row may come twice.
    """
    organization_id = requester().organization_id
    until = monotonic() + query.wait_s
    with resources().reads() as session:
        mark = read_mark(session)
        place, resumed, reason = place_after(session, mark, query.after, organization_id)
        found = _read(session, place) if resumed else None
        rows = _rows(session, found, query.labels) if found else {}
    if found is not None and query.wait_s and not rows and not found.is_behind:
        with slot_to_wait() as may_wait:
            if may_wait:
                found, rows = _wait(found.next, query.labels, until)
    with resources().reads() as session:
        summary = summarize(session, organization_id, Filters(labels=query.labels))
    answer = {
        "cursor": write_cursor(mark._replace(at=datetime.now(UTC)), found.next if found else place),
        "resumed": resumed,
        "reason": reason,
        "chargers": [orjson.Fragment(row) for row in rows.values() if row is not None],
        "removed": [charger_id for charger_id, row in rows.items() if row is None],
        "more": found is not None and found.is_behind,
        "summary": asdict(summary),
    }
    return Response(orjson.dumps(answer), mimetype="application/json")


def _read(session: Session, place: Place) -> Changes:
    _, found = changes_after(session, [place], max_early=MAX_EARLY)
    return found[place]


def _wait(
    place: Place, labels: Sequence[Label] | None, until: float
) -> tuple[Changes, dict[str, bytes | None]]:
    """What has changed of the chargers with the labels, once something has; nothing when the time is up or the server ends."""
    with resources().feed.listen(place) as stream:
        while True:
            with resources().reads() as session:
                found = _read(session, place)
                rows = _rows(session, found, labels)
            left_s = until - monotonic()
            if rows or left_s <= 0 or not (found.is_behind or stream.wait(left_s)):
                return found, rows
            place = found.next


def _rows(session: Session, changes: Changes, labels: Sequence[Label] | None) -> dict[str, bytes | None]:
    """The rows of what has changed, by charger; None for one that is gone."""
    render = resources().renderer.row
    rows: dict[str, Row | None] = dict.fromkeys(changes.charger_ids)
    for charger in read_rows(session, changes.charger_ids):
        if charger.organization_id == changes.next.organization_id:
            rows[charger.id] = Row(render(charger), charger.labels)
    return shown_rows(rows, changes, labels)
