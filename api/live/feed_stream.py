"""What one client of an organization's feed has still to read."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import NamedTuple

from api.live.streams import LIFE_S, SILENCE_S, Stream
from shared.fleet.events import Event
from shared.fleet.feed import Changes, Place
from shared.fleet.labels import Label, has_labels
from shared.fleet.logs import Entry, Tail

MAX_PENDING = 2000  # rows of a client that does not read: a stream with more ends, and its client goes on from its cursor


class Row(NamedTuple):
    """A charger's row."""

    text: bytes  #: as JSON
    labels: Mapping[str, str]


Rows = Mapping[str, Row | None]  #: by the charger's id; None for a charger that is gone


@dataclass(frozen=True, slots=True)
class Behind:
    """Since when the feed cannot read what changes; None when it can again."""

    since: datetime | None


@dataclass(slots=True)
class Batch:
    """What a client reads at once. All before `place` is in this batch or an earlier one."""

    place: Place
    rows: dict[str, bytes | None] = field(default_factory=dict)
    summary: bytes | None = None
    behind: Behind | None = None
    events: list[Event] = field(default_factory=list)  #: of the chargers that it watches
    entries: list[tuple[str, list[Entry]]] = field(default_factory=list)  #: of their logs, by charger

    def __bool__(self) -> bool:
        return bool(self.rows or self.summary or self.behind or self.events or self.entries)


def shown_rows(rows: Rows, changes: Changes, labels: Sequence[Label] | None) -> dict[str, bytes | None]:
    """What a reader of chargers with these labels gets: the row, None for one that is gone or has them no more."""
    shown: dict[str, bytes | None] = {}
    for charger_id, row in rows.items():
        if row is None:
            shown[charger_id] = None
        elif labels is None or has_labels(row.labels, labels):
            shown[charger_id] = row.text
        elif charger_id in changes.relabelled:
            shown[charger_id] = None
    return shown


class FeedStream:
    """The changes of an organization, for one client: of each charger only the newest row."""

    def __init__(
        self, place: Place, *, with_summary: bool = True, labels: Sequence[Label] | None = None
    ) -> None:
        """With labels only chargers that have them all, and without a summary: each would cost a query of its own."""
        self.place = place  #: that the feed has read to
        self.with_summary = with_summary and labels is None
        self._labels = labels
        self.is_behind = False  #: more followed at once when it was last read
        self.polled_at = 0.0
        self.watched: list[Stream] = []  #: the chargers whose events it has too
        self.tails: list[Tail] = []  #: the chargers whose logs it has too
        self.shown: bytes | None = None  #: the summary that was shown last
        self.woken = threading.Event()
        self._lock = threading.Lock()
        self._pending = Batch(place)
        self._taken = place  # all before it was taken
        self._ended = False

    @property
    def organization_id(self) -> str:
        return self.place.organization_id

    def push(self, rows: Rows, changes: Changes) -> None:
        """Hand rows to the client's thread, in place of older ones of the same chargers."""
        shown = shown_rows(rows, changes, self._labels)
        with self._lock:
            self.place, self.is_behind = changes.next, changes.is_behind
            if self._ended:
                return
            self._pending.rows.update(shown)
            self._pending.place = changes.next
            if len(self._pending.rows) > MAX_PENDING:
                # What is dropped is before `changes.next`, and whatever is still sent has the cursor of its batch.
                self._pending, self._ended = Batch(self._taken), True
        if shown or self._ended:
            self.woken.set()

    def show(self, summary: bytes) -> None:
        """Hand a summary to the client's thread, unless it is the one that was shown last."""
        if summary == self.shown:
            return
        self.shown = summary
        with self._lock:
            self._pending.summary = summary
        self.woken.set()

    @property
    def has_entries(self) -> bool:
        """The client has not read all entries of logs. Until then it gets no more."""
        return bool(self._pending.entries)

    def add_entries(self, charger_id: str, entries: list[Entry]) -> None:
        with self._lock:
            self._pending.entries.append((charger_id, entries))
        self.woken.set()

    def mark_behind(self, behind: Behind) -> None:
        with self._lock:
            self._pending.behind = behind
        self.woken.set()

    def end(self) -> None:
        """End the client's iteration after what was pushed."""
        self._ended = True
        self.woken.set()

    def wait(self, timeout_s: float) -> bool:
        """Return when something was pushed. False when nothing was for timeout_s seconds, or the server ends."""
        is_woken = self.woken.wait(max(0.0, timeout_s))
        self.woken.clear()
        return is_woken and not self._ended

    def take(self) -> Batch:
        """What the client has not read yet."""
        with self._lock:
            batch, self._pending = self._pending, Batch(self._pending.place)
            self._taken = batch.place
        for stream in self.watched:
            batch.events += stream.take()
        return batch

    def __iter__(self) -> Iterator[Batch]:
        """Batches as they come; an empty one after SILENCE_S. Ends after LIFE_S, or when the client does not keep up."""
        until = monotonic() + LIFE_S
        while (left_s := until - monotonic()) > 0:
            is_woken = self.woken.wait(min(SILENCE_S, left_s))
            self.woken.clear()
            batch = self.take()
            if batch or not is_woken:
                yield batch
            if self._ended:
                return
