"""The frames of a charger, read forward without losing or doubling one."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from chargehand.client.http import Client, Row, segment

PAGE = 1000  # the API's largest
FIRST_PAGE = 100
LATE = timedelta(
    seconds=60
)  # how long after a newer line a line is still waited for: LOG_OVERLAP_SECONDS by default
SHORTEST = timedelta(microseconds=1)

Key = tuple[str, str, str, str | None]


def newest_frames(client: Client, charger_id: str, most: int, event: str | None = None) -> list[Row]:
    """At most so many, the oldest first. Each is there once, however many come meanwhile."""
    if most < 1:
        return []
    if most <= PAGE:
        page: list[Row] = client.get(_path(charger_id), event=event, limit=most)["data"]
        return page[::-1]
    frames: list[Row] = []
    for page in _pages(client, charger_id, event):
        frames += page
        if len(frames) >= most:
            break
    return frames[:most][::-1]


class Follower:
    """Gives each frame once. Each poll reads the last LATE again, in which late lines may have come.

    A line that comes later than that, as a longer LOG_OVERLAP_SECONDS of the workers allows, is left out.
    """

    def __init__(self, client: Client, charger_id: str, event: str | None = None) -> None:
        self._client, self._charger_id, self._event = client, charger_id, event
        self._seen: Counter[Key] = Counter()
        self._since: datetime | None = None  #: what is older is not read again; None before the first

    def first(self, most: int) -> list[Row]:
        """The newest ones, the oldest of them first."""
        wanted = max(most, FIRST_PAGE)
        frames = newest_frames(self._client, self._charger_id, wanted, self._event)
        if frames:
            self._since = _at(frames[-1]) - LATE
            if len(frames) == wanted:  # there are older ones, which are not wanted
                self._since = max(self._since, _at(frames[0]) + SHORTEST)
        self._seen = Counter(_key(frame) for frame in frames)
        return frames[-most:] if most else []

    def next(self) -> list[Row]:
        """What has come since the last call, the oldest first. Raises Refused when the charger is gone."""
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
            newest = _at(frames[-1]) - LATE
            self._since = newest if self._since is None else max(self._since, newest)
        return new

    def _window(self) -> list[Row]:
        """All frames from `_since` on, the oldest first."""
        start = self._since.isoformat() if self._since else None
        pages = _pages(self._client, self._charger_id, self._event, start)
        return [frame for page in pages for frame in page][::-1]


def _pages(
    client: Client, charger_id: str, event: str | None, start: str | None = None
) -> Iterator[list[Row]]:
    """The newest frames first. Pages end at a time, not at a count, which moves while frames come."""
    end: str | None = None
    while True:
        page: list[Row] = client.get(
            _path(charger_id), event=event, start_date=start, end_date=end, limit=PAGE
        )["data"]
        oldest = page[-1]["timestamp"] if page else None
        if len(page) < PAGE or oldest == page[0]["timestamp"]:
            yield page
            return
        # The page may have cut what came at its oldest time: the next one has all of that.
        yield [frame for frame in page if frame["timestamp"] != oldest]
        end = oldest


def _path(charger_id: str) -> str:
    return f"/ocpp/chargers/{segment(charger_id)}/logs"


def _key(frame: Row) -> Key:
    return frame["timestamp"], frame["direction"], frame["action"], frame["message"]


def _at(frame: Row) -> datetime:
    return datetime.fromisoformat(frame["timestamp"])
