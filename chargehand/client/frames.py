"""The frames of a charger, read forward without losing or doubling one."""

from collections import Counter
from datetime import datetime, timedelta

from chargehand.client.http import Client, Row, segment

PAGE = 1000  # the API's largest
FIRST_PAGE = 100
LATE = timedelta(seconds=60)  # so far behind a newer line may a line reach the API (LOG_OVERLAP_SECONDS)
SHORTEST = timedelta(microseconds=1)

Key = tuple[str, str, str, str | None]


def newest_frames(client: Client, charger_id: str, most: int, event: str | None = None) -> list[Row]:
    """At most so many, the oldest first."""
    frames: list[Row] = []
    while len(frames) < most:
        limit = min(PAGE, most - len(frames))
        page = client.get(_path(charger_id), event=event, limit=limit, offset=len(frames))["data"]
        frames += page
        if len(page) < limit:
            break
    return frames[::-1]


class Follower:
    """Gives each frame once. Reads the time in which a late line may still come anew at each poll."""

    def __init__(self, client: Client, charger_id: str, event: str | None = None) -> None:
        self._client, self._charger_id, self._event = client, charger_id, event
        self._seen: Counter[Key] = Counter()
        self._since: datetime | None = None  #: what is older will not come any more; None before the first

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
        """All frames from `_since` on, the oldest first. Pages end at a time, not at a count that moves."""
        start = self._since and self._since.isoformat()
        end: str | None = None
        frames: list[Row] = []
        while True:
            page: list[Row] = self._client.get(
                _path(self._charger_id), event=self._event, start_date=start, end_date=end, limit=PAGE
            )["data"]
            oldest = page[-1]["timestamp"] if page else None
            if len(page) < PAGE or oldest == page[0]["timestamp"]:
                return [*frames, *page][::-1]
            # The page may have cut what came at its oldest time: the next one has all of that.
            frames += [frame for frame in page if frame["timestamp"] != oldest]
            end = oldest


def _path(charger_id: str) -> str:
    return f"/ocpp/chargers/{segment(charger_id)}/logs"


def _key(frame: Row) -> Key:
    return frame["timestamp"], frame["direction"], frame["action"], frame["message"]


def _at(frame: Row) -> datetime:
    return datetime.fromisoformat(frame["timestamp"])
