"""CloudWatch Logs for many short streams: one list of events per group, ordered by time and limited in size."""

import base64
import binascii
import itertools
import re
import threading
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import orjson
from moto.core.utils import unix_time_millis, utcnow
from moto.logs.exceptions import InvalidParameterException, ResourceNotFoundException
from moto.logs.models import LogGroup, LogsBackend, LogStream
from moto.logs.responses import LogsResponse
from moto.logs.utils import EventMessageFilter

MAX_EVENTS = 100_000  # per group
MAX_BYTES = 64 * 2**20  # per group
MAX_AGE_MS = 24 * 3_600_000
MAX_PAGE_EVENTS = 10_000  # quotas of FilterLogEvents
MAX_PAGE_BYTES = 2**20
MAX_EVENT_BYTES = 262_118  # Docker's awslogs driver splits longer lines
EVENT_OVERHEAD_BYTES = 26  # that CloudWatch counts in addition to the message

Json = dict[str, Any]


class Event(NamedTuple):
    """Sorts by time, then by arrival."""

    timestamp: int
    number: int
    ingestion_time: int
    stream: str
    message: str

    @property
    def event_id(self) -> str:
        """56 digits, unique and stable, as in CloudWatch."""
        return f"{self.timestamp:020d}{self.number:036d}"

    def to_filter_dict(self) -> Json:
        """The event as FilterLogEvents shows it."""
        return {
            "eventId": self.event_id,
            "logStreamName": self.stream,
            "timestamp": self.timestamp,
            "ingestionTime": self.ingestion_time,
            "message": self.message,
        }

    def to_response_dict(self) -> Json:
        """The event as GetLogEvents shows it."""
        return {"timestamp": self.timestamp, "ingestionTime": self.ingestion_time, "message": self.message}


# Starts at the clock's time, so that no event id repeats after a restart.
_numbers = itertools.count(time.time_ns())


class Stream(LogStream):
    """A log stream whose events are in the list of its group."""

    log_group: "Group"

    @property  # type: ignore[override]
    def events(self) -> list[Event]:
        return self.log_group.events_of(self.log_stream_name)

    @events.setter
    def events(self, _: object) -> None:
        """Ignored: LogStream.__init__ sets an empty list."""

    def put_log_events(self, log_events: list[Json]) -> str:
        self.last_ingestion_time = utcnow()
        self.stored_bytes += sum(len(event["message"]) for event in log_events)
        self.upload_sequence_token += 1
        now = int(unix_time_millis(self.last_ingestion_time))
        self.log_group.add(
            [
                Event(event["timestamp"], next(_numbers), now, self.log_stream_name, event["message"])
                for event in log_events
            ]
        )
        return f"{self.upload_sequence_token:056d}"


class Group(LogGroup):
    """A log group with one list of events. Safe to use from several threads."""

    def __init__(self, account_id: str, region: str, name: str, **kwargs: Any) -> None:
        super().__init__(account_id, region, name, **kwargs)
        self._events: list[Event] = []
        self._bytes = 0
        self._lock = threading.Lock()

    def create_log_stream(self, log_stream_name: str) -> None:
        if log_stream_name not in self.streams:
            self.streams[log_stream_name] = Stream(self, log_stream_name)

    def add(self, events: list[Event]) -> None:
        """Insert the events by their time, and drop the oldest above the limits."""
        with self._lock:
            for event in events:
                if self._events and event < self._events[-1]:
                    insort(self._events, event)
                else:
                    self._events.append(event)
                self._bytes += len(event.message)
            self._trim()

    def _trim(self) -> None:
        """Drop the oldest events, a tenth at a time, because `del` moves the others."""
        surplus = 0
        if len(self._events) > MAX_EVENTS * 1.1:
            surplus = len(self._events) - MAX_EVENTS
        elif self._bytes > MAX_BYTES:
            surplus = -(-len(self._events) // 10)
        elif self._events and self._events[0].timestamp < now_ms() - MAX_AGE_MS * 1.1:
            surplus = bisect_left(self._events, (now_ms() - MAX_AGE_MS,))
        if surplus:
            self._bytes -= sum(len(event.message) for event in self._events[:surplus])
            del self._events[:surplus]
            self._prune_streams()

    def _prune_streams(self) -> None:
        """Remove streams older than an hour that have no events."""
        used = {event.stream for event in self._events}
        created_before = utcnow().timestamp() - 3_600
        for name, stream in list(self.streams.items()):
            if name not in used and stream.creation_time.timestamp() < created_before:
                del self.streams[name]

    def events_of(self, stream: str) -> list[Event]:
        """The stream's events, oldest first."""
        with self._lock:
            return [event for event in self._events if event.stream == stream]

    def page(self, query: "Query", limit: int) -> tuple[list[Event], str | None]:
        """The next events of the query, oldest first, and the token of the next page; None after the last page."""
        with self._lock:
            first = bisect_left(self._events, (query.start_time or 0,))
            if query.after is not None:
                first = max(first, bisect_right(self._events, query.after))
            found: list[Event] = []
            size = 0
            for index in range(first, len(self._events)):
                event = self._events[index]
                if query.end_time is not None and event.timestamp > query.end_time:
                    break
                if not query.matches(event):
                    continue
                size += len(event.message) + EVENT_OVERHEAD_BYTES
                if len(found) == limit or (found and size > MAX_PAGE_BYTES):
                    return found, write_token(found[-1])
                found.append(event)
        return found, None


@dataclass
class Query:
    """A FilterLogEvents request. Both times are inclusive, in milliseconds since the epoch."""

    start_time: int | None
    end_time: int | None
    streams: frozenset[str]
    prefix: str
    pattern: EventMessageFilter | None
    after: tuple[int, int, float] | None  #: the last event of the page before

    def matches(self, event: Event) -> bool:
        """Whether the event is of the query's streams and matches its pattern. Ignores the times."""
        return (
            (not self.streams or event.stream in self.streams)
            and event.stream.startswith(self.prefix)
            and (self.pattern is None or self.pattern.matches(event.message))
        )


def write_token(event: Event) -> str:
    """The `nextToken` of a page that ends with the event."""
    return base64.urlsafe_b64encode(f"{event.timestamp}/{event.number}".encode()).decode()


def read_token(token: str) -> tuple[int, int, float]:
    """A key that sorts right after the event. Raises InvalidParameterException."""
    try:
        decoded = base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, UnicodeDecodeError):
        decoded = ""
    match = re.fullmatch(r"(\d{1,20})/(\d{1,30})", decoded)
    if match is None:
        raise InvalidParameterException(msg="The specified nextToken is invalid.")
    return int(match[1]), int(match[2]), float("inf")


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class FleetLogs(LogsBackend):
    """moto's CloudWatch Logs with groups of the class Group."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.changed: Callable[[list[str]], None] = lambda names: None  #: called with the names of all groups

    def create_log_group(self, log_group_name: str, tags: dict[str, str], **kwargs: Any) -> LogGroup:
        super().create_log_group(log_group_name, tags, **kwargs)
        return self._put_group(log_group_name, **kwargs)

    def ensure_log_group(self, log_group_name: str) -> None:
        """Create the group if it is missing."""
        if log_group_name not in self.groups:
            self._put_group(log_group_name)

    def delete_log_group(self, log_group_name: str) -> None:
        super().delete_log_group(log_group_name)
        self.changed(list(self.groups))

    def _put_group(self, name: str, **kwargs: Any) -> Group:
        # The abstract methods are for CloudFormation; moto's own groups lack them too.
        group = Group(self.account_id, self.region_name, name, **kwargs)  # type: ignore[abstract]
        self.groups[name] = group
        self.changed(list(self.groups))
        return group

    def group(self, name: str) -> Group:
        """The group of that name. Raises ResourceNotFoundException."""
        group = self.groups.get(name)
        if not isinstance(group, Group):
            raise ResourceNotFoundException
        return group


class TaskOutput:
    """Turns each line that a task prints into an event of its stream."""

    def __init__(self, group: Group, stream: str) -> None:
        group.create_log_stream(stream)
        self._stream = group.streams[stream]
        self._partial = b""

    def write(self, chunk: bytes) -> None:
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        while len(self._partial) > MAX_EVENT_BYTES:
            lines.append(self._partial[:MAX_EVENT_BYTES])
            self._partial = self._partial[MAX_EVENT_BYTES:]
        self._put(lines)

    def close(self) -> None:
        """Write the last line, which may have no line end."""
        self._put([self._partial])
        self._partial = b""

    def _put(self, lines: list[bytes]) -> None:
        now = now_ms()
        pieces = (
            line[at : at + MAX_EVENT_BYTES]
            for line in lines
            for at in range(0, len(line), MAX_EVENT_BYTES)
            if line.strip()
        )
        events = [
            {"timestamp": now, "message": piece.decode(errors="replace").rstrip("\r")} for piece in pieces
        ]
        if events:
            self._stream.put_log_events(events)


class Discard:
    """Drops the output of a container without a log configuration."""

    def write(self, chunk: bytes) -> None:
        pass

    def close(self) -> None:
        pass


class FleetLogsResponse(LogsResponse):
    """Answers for one backend, whatever account and region a request names."""

    backend: FleetLogs

    @classmethod
    def bound_to(cls, backend: FleetLogs) -> Callable[..., Any]:
        """The view function that moto calls with a request."""
        bound: type[Self] = type("Bound", (cls,), {"backend": backend})
        return bound.dispatch

    @property
    def logs_backend(self) -> FleetLogs:
        return self.backend

    def filter_log_events(self) -> Any:
        """Events of all streams, oldest first, in pages of at most 10,000 events or 1 MiB, as in CloudWatch."""
        limit = self._get_param("limit", MAX_PAGE_EVENTS)
        if not 1 <= limit <= MAX_PAGE_EVENTS:
            raise InvalidParameterException(
                constraint=f"Member must have value between 1 and {MAX_PAGE_EVENTS}",
                parameter="limit",
                value=str(limit),
            )
        pattern = self._get_param("filterPattern")
        token = self._get_param("nextToken")
        query = Query(
            start_time=self._get_param("startTime"),
            end_time=self._get_param("endTime"),
            streams=frozenset(self._get_param("logStreamNames", [])),
            prefix=self._get_param("logStreamNamePrefix", ""),
            pattern=EventMessageFilter(pattern) if pattern else None,
            after=read_token(token) if token else None,
        )
        name = (
            self._get_param("logGroupName")
            or self._get_param("logGroupIdentifier", "").split(":log-group:")[-1]
        )
        events, next_token = self.backend.group(name.removesuffix(":*")).page(query, limit)
        answer: Json = {"events": [event.to_filter_dict() for event in events], "searchedLogStreams": []}
        if next_token:
            answer["nextToken"] = next_token
        return encode(answer)


def encode(answer: Json) -> str:
    """The answer as JSON."""
    return orjson.dumps(answer).decode()
