"""The route that streams a charger's events as Server-Sent Events. Beyond the contract."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson
from flask import Response, request

from api.http import schemas
from api.http.auth import requester
from api.http.charger_state import runtime_of
from api.http.document.operations import Access, Operations
from api.http.fields.fields import Problem, documented, instant_text
from api.http.fleet.rows import Runtime
from api.http.parsing import InvalidRequest, item
from api.http.report_schemas import readable_connectors
from api.live.streams import Stream
from api.resources import resources
from shared.fleet.chargers import get_charger
from shared.fleet.events import Event, Snapshot, newest_event_id, snapshot
from shared.fleet.observed import observed_of

operations = Operations(
    "events",
    __name__,
    url_prefix="/ocpp/chargers/<charger_id:charger_id>/events",
    access=Access.TENANT,
    description="A charger's changes as they happen. Beyond the contract.",
)

ID_HEADER = "Last-Event-ID"
ID = re.compile(r"[0-9]{1,18}")
UNKNOWN_ID = Problem("There is no event with this id yet: reconnect without it", "value_error")
RETRY_MS = 2000  # that clients wait before they reconnect


@operations.operation(
    "GET",
    "",
    content_type="text/event-stream",
    parameters=[
        {
            "in": "header",
            "name": ID_HEADER,
            "required": False,
            "description": "The id of the last event that was read: the stream continues after it.",
            "schema": {"type": "string", "pattern": documented(ID)},
        }
    ],
)
def watch_charger(charger_id: str) -> Response:
    """Watch a charger

    Server-Sent Events. The first is a `snapshot`, unless `Last-Event-ID` names the last event that was read; an id that
    no event has yet is a 422. Then `command` when a command is requested or changes its status, `status` when the
    provisioning, the running tasks or the reason why none runs change, `ocpp` when the link to the CSMS changes,
    `action` when something is to happen to the running charger (/ocpp/commands) and when that is final, and `connectors`
    when the charger reports them, at most once a second and only the newest; it has the id of the event before it. An
    event may repeat a part of the snapshot. A comment is sent after 15 s of silence, and the stream ends after 300 s: reconnect.
    """
    last_id = _last_id()
    wanted = {"organization_id": requester().organization_id, "charger_id": charger_id}
    first = f"retry: {RETRY_MS}\n\n"
    with resources().reads() as session:
        if last_id is None:
            found = snapshot(session, **wanted)
            last_id = found.last_event_id
            first += _text(last_id, "snapshot", snapshot_of(found))
        else:
            get_charger(session, **wanted)
            if last_id > newest_event_id(session):
                raise InvalidRequest([item(["header", ID_HEADER], UNKNOWN_ID)])
    headers = {"X-Accel-Buffering": "no"}  # or nginx would buffer the events
    if request.method == "HEAD":
        return Response(mimetype="text/event-stream", headers=headers)
    streams = resources().streams
    stream = streams.open(requester().organization_id, charger_id, last_id)
    response = Response(_lines(first, stream), mimetype="text/event-stream", headers=headers)
    response.call_on_close(lambda: streams.close(stream))
    return response


def _last_id() -> int | None:
    given = request.headers.get(ID_HEADER)
    if given is None:
        return None
    if not ID.fullmatch(given):
        raise InvalidRequest(
            [item(["header", ID_HEADER], Problem("Input should be the id of an event", "value_error"))]
        )
    return int(given)


def _lines(first: str, stream: Stream) -> Iterator[str]:
    yield first
    for events in stream:
        known = (event for event in events if event.type in PAYLOADS)  # a newer version writes others
        yield "".join(_text(event.id, event.type, PAYLOADS[event.type](event)) for event in known) or ":\n\n"


def _text(event_id: int, name: str, data: Mapping[str, Any]) -> str:
    return f"id: {event_id}\nevent: {name}\ndata: {orjson.dumps(data).decode()}\n\n"


def snapshot_of(found: Snapshot) -> dict[str, Any]:
    """The data of a `snapshot`."""
    charger = found.charger
    detail = schemas.ChargerDetail(only=("connectors", "control")).dump(charger)
    return {
        **detail,
        "status": charger.provisioning_status,
        "error": charger.error,
        "runtime": Runtime().dump(runtime_of(charger)),
        "command": schemas.CommandAnswer().dump(found.command) if found.command else None,
    }


def _stored(event: Event) -> dict[str, Any]:
    return {"at": instant_text(event.at), **event.data}


def _status(event: Event) -> dict[str, Any]:
    data = event.data
    return {
        "at": instant_text(event.at),
        "status": data["status"],
        "error": data["error"],
        "desired": "running" if data["desired_count"] else "stopped",
        "observed": observed_of(data["desired_count"], data["running_count"], data["pending_count"]),
        "running_count": data["running_count"],
        "pending_count": data["pending_count"],
        "reason": data["reason"],
        "reason_code": data["reason_code"],
    }


def _link(event: Event) -> dict[str, Any]:
    since = event.data["since"]
    return {
        "at": instant_text(event.at),
        "state": event.data["state"],
        "reason": event.data["reason"],
        "since": since and instant_text(datetime.fromisoformat(since)),
    }


def _connectors(event: Event) -> dict[str, Any]:
    data = event.data
    return {
        "at": instant_text(event.at),
        "stale": data["stale"],
        "connectors": readable_connectors(data["connectors"]),
    }


#: Renders the data of an event, by its type.
PAYLOADS = {
    "connectors": _connectors,
    "command": _stored,
    "action": _stored,
    "status": _status,
    "ocpp": _link,
}
