"""Reads the log of a charger, each entry once: its frames, or its remarks or connection events."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from chargehand.client.http import Client, Row, segment

MAX_PAGE = 1000  # of the API
FIRST_PAGE = 100
MAX_LATENESS = timedelta(seconds=60)  # after a newer frame; the default of LOG_OVERLAP_SECONDS
RESOLUTION = timedelta(microseconds=1)  # of timestamps

Key = tuple[tuple[str, str | None], ...]
Filters = Mapping[str, str]  #: more of the API's parameters: direction, q, errors
Query = dict[str, str | None]
NO_FILTERS: Filters = MappingProxyType({})


def newest_frames(
    client: Client,
    charger_id: str,
    max_frames: int,
    event: str | None = None,
    kind: str | None = None,
    *,
    filters: Filters = NO_FILTERS,
) -> list[Row]:
    """The newest frames, at most max_frames, the oldest first, without repeats; with `kind`, of that kind. Raises Failure."""
    if max_frames < 1:
        return []
    if max_frames <= MAX_PAGE and not filters:
        page: list[Row] = client.get(_path(charger_id), event=event, kind=kind, limit=max_frames)["data"]
        return page[::-1]
    frames: list[Row] = []
    for page in _pages(client, charger_id, {"event": event, "kind": kind}, filters):
        frames += page
        if len(frames) >= max_frames:
            break
    return frames[:max_frames][::-1]


def payload_of(frame: Row) -> Row:
    """The payload of a request or of its answer; empty for a CALLERROR, and for a frame that is not OCPP."""
    try:
        kind, *rest = json.loads(frame["message"])
        payload = rest[{2: 2, 3: 1}[kind]]
    except (LookupError, TypeError, ValueError):
        return {}
    return payload if isinstance(payload, dict) else {}


class Follower:
    """Returns each frame once. Each poll reads the last MAX_LATENESS again, for frames that arrived late.

    A frame that arrives later still, as a longer LOG_OVERLAP_SECONDS of the workers allows, is left out.
    """

    def __init__(
        self,
        client: Client,
        charger_id: str,
        event: str | None = None,
        kind: str | None = None,
        *,
        filters: Filters = NO_FILTERS,
    ) -> None:
        self._client, self._charger_id = client, charger_id
        self._event, self._kind, self._filters = event, kind, filters
        self._seen: Counter[Key] = Counter()
        self._since: datetime | None = None  #: older frames are not read again; None before the first frame

    def first(self, max_frames: int) -> list[Row]:
        """The newest frames, at most max_frames, the oldest first. Raises Failure."""
        wanted = max(max_frames, FIRST_PAGE)
        frames = newest_frames(
            self._client, self._charger_id, wanted, self._event, self._kind, filters=self._filters
        )
        if frames:
            self._since = _at(frames[-1]) - MAX_LATENESS
            if len(frames) == wanted:  # there may be older ones, which are not wanted
                self._since = max(self._since, _at(frames[0]) + RESOLUTION)
        self._seen = Counter(_key(frame) for frame in frames)
        return frames[-max_frames:] if max_frames else []

    def next(self) -> list[Row]:
        """The frames that arrived since the last call, the oldest first. Raises Refused if the charger was deleted."""
        counted: Counter[Key] = Counter()
        new = []
        frames = self._window()
        for frame in frames:
            key = _key(frame)
            counted[key] += 1
            if counted[key] > self._seen[key]:
                new.append(frame)
        self._seen = counted
        if frames:
            newest = _at(frames[-1]) - MAX_LATENESS
            self._since = newest if self._since is None else max(self._since, newest)
        return new

    def _window(self) -> list[Row]:
        """All frames since `_since`, the oldest first."""
        start = self._since.isoformat() if self._since else None
        query = {"event": self._event, "kind": self._kind, "start_date": start}
        pages = _pages(self._client, self._charger_id, query, self._filters)
        return [frame for page in pages for frame in page][::-1]


def _pages(client: Client, charger_id: str, query: Query, filters: Filters) -> Iterator[list[Row]]:
    """Pages of frames, the newest first."""
    if filters:
        return _pages_by_cursor(client, charger_id, query | dict(filters))
    return _pages_by_time(client, charger_id, query)


def _pages_by_cursor(client: Client, charger_id: str, query: Query) -> Iterator[list[Row]]:
    """A page may be empty: the API reads a bounded number of lines for it."""
    cursor: str | None = None
    while True:
        page = client.get(_path(charger_id), **query, limit=MAX_PAGE, order="desc", cursor=cursor)
        yield page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _pages_by_time(client: Client, charger_id: str, query: Query) -> Iterator[list[Row]]:
    """The next page continues at a time, because a count shifts when frames arrive. An API of an earlier release knows no cursors."""
    end: str | None = None
    while True:
        page: list[Row] = client.get(_path(charger_id), **query, limit=MAX_PAGE, end_date=end)["data"]
        oldest = page[-1]["timestamp"] if page else None
        if len(page) < MAX_PAGE or oldest == page[0]["timestamp"]:
            yield page
            return
        # The page may have only some of the frames of its oldest time: the next page has all of them.
        yield [frame for frame in page if frame["timestamp"] != oldest]
        end = oldest


def _path(charger_id: str) -> str:
    return f"/ocpp/chargers/{segment(charger_id)}/logs"


def _key(frame: Row) -> Key:
    return tuple(sorted(frame.items()))


def _at(frame: Row) -> datetime:
    return datetime.fromisoformat(frame["timestamp"])
