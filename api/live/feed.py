"""Feeds the changes of organizations to their clients, with one query for all of them."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Protocol

from sqlalchemy.orm import Session, sessionmaker

from api.limits.slots import Slots
from api.live.feed_stream import Behind, FeedStream, Row
from api.live.open_streams import OpenStreams
from api.live.streams import Streams
from shared.fleet.feed import Changes, Place, changes_after, read_rows
from shared.fleet.labels import Label
from shared.fleet.listing import Filters, Summary, summarize
from shared.fleet.logs import Tail, read_tails
from shared.models import Charger

POLL_S = 0.5
ROWS_PER_QUERY = 100
ROWS_AT_ONCE = 25  # that are rendered before other requests have their turn
MAX_BEHIND_PER_POLL = 4  # places of an organization with old events that are read in one poll
LOGS_S = 1.0  # between two reads of logs
SUMMARY_S = 2.0  # between two summaries of an organization
# A charger needs attention 30 s after a change at the latest, so until then the summary may change without another one.
SETTLED_AFTER_S = 40.0
SETTLED_SUMMARY_S = 10.0  # between two summaries of an organization in which nothing changes


class Renderer(Protocol):
    """Renders what clients get, as JSON."""

    def row(self, charger: Charger) -> bytes: ...
    def summary(self, summary: Summary) -> bytes: ...


class _Summary:
    """The newest summary of an organization, and when it was made."""

    def __init__(self) -> None:
        self.text = b""
        self.made_at_s = float("-inf")
        self.changed_at_s = monotonic()

    def is_due(self, now_s: float) -> bool:
        if self.changed_at_s >= self.made_at_s or now_s - self.changed_at_s < SETTLED_AFTER_S:
            return now_s - self.made_at_s >= SUMMARY_S
        return now_s - self.made_at_s >= SETTLED_SUMMARY_S


class Feed(OpenStreams[FeedStream]):
    """Polls for changes of organizations: a row is read and rendered once for all clients."""

    def __init__(
        self, autocommit: sessionmaker[Session], slots: Slots, streams: Streams, renderer: Renderer
    ) -> None:
        """Its streams take slots, which they share with the streams of single chargers."""
        super().__init__(autocommit, slots, poller="feed", every_s=POLL_S)
        self._charger_streams = streams
        self._renderer = renderer
        self._summaries: dict[str, _Summary] = {}
        self._database: str | None = None
        self._read_at_s = monotonic()
        self._logs_at_s = float("-inf")
        self._is_failing = False

    def open(
        self,
        place: Place,
        watched: Sequence[tuple[str, int]] = (),
        *,
        with_logs: bool = False,
        labels: Sequence[Label] | None = None,
    ) -> FeedStream:
        """A stream of what follows the place, and of the events of chargers after an event id each, perhaps with their logs.

        With labels the rows are those of chargers that have them all.

        The caller closes it. Raises Full, FullForOrganization.
        """
        self._take_slot(place.organization_id)
        stream = FeedStream(place, labels=labels)
        stream.watched = [
            self._charger_streams.watch(place.organization_id, charger_id, last_id, stream.woken.set)
            for charger_id, last_id in watched
        ]
        stream.tails = [Tail(charger_id) for charger_id, _ in watched] if with_logs else []
        return self._add(stream)

    def _release(self, stream: FeedStream) -> None:
        for charger_stream in stream.watched:
            self._charger_streams.close(charger_stream)
        super()._release(stream)

    @contextmanager
    def listen(self, place: Place) -> Iterator[FeedStream]:
        """A stream of rows without a slot, for a request that holds one to wait."""
        stream = FeedStream(place, with_summary=False)
        self._add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)

    def _add(self, stream: FeedStream) -> FeedStream:
        if not self._streams:
            self._read_at_s = monotonic()
        super()._add(stream)
        if self._poller.closed:
            stream.end()
        return stream

    def _poll(self) -> None:
        try:
            self._poll_changes()
            self._poll_summaries()
            self._poll_logs()
        except Exception:
            self._mark_behind()
            raise
        self._read_at_s = monotonic()
        if self._is_failing:
            self._is_failing = False
            for stream in list(self._streams):
                stream.mark_behind(Behind(None))

    def _mark_behind(self) -> None:
        """Notify clients that their data is not live: comments alone would look as if nothing changed."""
        self._is_failing = True
        since = datetime.now(UTC) - timedelta(seconds=monotonic() - self._read_at_s)
        for stream in list(self._streams):
            stream.mark_behind(Behind(since))

    def _poll_changes(self) -> None:
        until = monotonic() + POLL_S
        while self._read_changes() and monotonic() < until and not self._poller.closed:
            pass

    def _read_changes(self) -> bool:
        """Whether there is more to read at once."""
        at: defaultdict[Place, list[FeedStream]] = defaultdict(list)
        for stream in self._due():
            at[stream.place].append(stream)
        if not at:
            return False
        with self._autocommit() as session:
            mark, found = changes_after(session, at)
            if self._database not in (None, mark.database):
                self._end_all()  # their places mean nothing in another database
            self._database = mark.database
            rows = self._rows(session, {one for each in found.values() for one in each.charger_ids})
        for place, streams in at.items():
            self._push(place, streams, found[place], rows)
        return any(changes.is_behind for changes in found.values())

    def _push(
        self,
        place: Place,
        streams: Sequence[FeedStream],
        changes: Changes,
        rows: dict[tuple[str, str], Row],
    ) -> None:
        news = {one: rows.get((place.organization_id, one)) for one in changes.charger_ids}
        if news:
            self._summary_of(place.organization_id).changed_at_s = monotonic()
        for stream in streams:
            stream.push(news, changes)

    def _rows(self, session: Session, charger_ids: set[str]) -> dict[tuple[str, str], Row]:
        """The rows, by organization and charger: nothing goes to another organization than the row's own."""
        rows = {}
        ordered = sorted(charger_ids)
        for start in range(0, len(ordered), ROWS_PER_QUERY):
            for charger in read_rows(session, ordered[start : start + ROWS_PER_QUERY]):
                row = Row(self._renderer.row(charger), charger.labels)
                rows[charger.organization_id, charger.id] = row
                if len(rows) % ROWS_AT_ONCE == 0:
                    sleep(0)  # gevent lets other requests run
            session.expunge_all()
        return rows

    def _due(self) -> Iterator[FeedStream]:
        """Those that are far behind take turns, so old events of an organization do not delay others."""
        now_s = monotonic()
        behind: Counter[str] = Counter()
        for stream in sorted(self._streams, key=lambda stream: stream.polled_at):
            if stream.is_behind:
                behind[stream.organization_id] += 1
                if behind[stream.organization_id] > MAX_BEHIND_PER_POLL:
                    continue
            stream.polled_at = now_s
            yield stream

    def _poll_summaries(self) -> None:
        wanted: defaultdict[str, list[FeedStream]] = defaultdict(list)
        for stream in list(self._streams):
            if stream.with_summary:
                wanted[stream.organization_id].append(stream)
        self._summaries = {one: self._summary_of(one) for one in wanted}
        for organization_id, streams in wanted.items():
            kept = self._summaries[organization_id]
            now_s = monotonic()
            if kept.is_due(now_s):
                with self._autocommit() as session:
                    kept.text = self._renderer.summary(summarize(session, organization_id, Filters()))
                kept.made_at_s = now_s
            # Also to a stream that was opened since: its `ready` may have an older one.
            for stream in streams:
                stream.show(kept.text)

    def _poll_logs(self) -> None:
        now_s = monotonic()
        followed = {
            tail: stream
            for stream in list(self._streams)
            if stream.tails and not stream.has_entries
            for tail in stream.tails
        }
        if not followed or now_s < self._logs_at_s + LOGS_S:
            return
        self._logs_at_s = now_s
        with self._autocommit() as session:
            for tail, entries in read_tails(session, followed):
                followed[tail].add_entries(tail.charger_id, entries)

    def _summary_of(self, organization_id: str) -> _Summary:
        return self._summaries.setdefault(organization_id, _Summary())
