"""Streams the events of chargers to clients, with one query for all streams."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from api.limits.slots import Slots
from api.live.open_streams import OpenStreams
from shared.fleet.events import MAX_EVENTS, Event, Position, events_after, reports_of
from shared.models import ShownReport
from shared.vocabulary import EventType

POLL_S = 0.25
MAX_BEHIND_PER_POLL = 4  # streams of an organization that get a full page of old events in one poll
REPORTS_S = 1.0  # between two events about the connectors of a charger
SILENCE_S = 15  # until a comment is sent: proxies close a connection that is silent for longer
LIFE_S = 300  # until the client has to reconnect: its token is checked again, and load is spread again


@dataclass(slots=True)
class ConnectorsEvent:
    """A report of a charger. It is not stored: it has the id of the event before it, and the next report replaces it."""

    charger_id: str
    after: int
    id: int
    at: datetime
    data: dict[str, Any]
    type: str = "connectors"


class Stream:
    """The events of one charger, for one client."""

    def __init__(
        self, organization_id: str, charger_id: str, last_id: int, notify: Callable[[], None] | None = None
    ) -> None:
        """`notify` is called after each push, for a stream that is read with `take` and has no slot of its own."""
        self.organization_id = organization_id
        self.charger_id = charger_id
        self.last_id = last_id  #: of the events pushed so far
        self.notify = notify
        self.behind = False  #: the last poll returned a full page for it
        self.polled_at = 0.0
        self._shown: dict[str, Any] | None = None  # the last report
        self._pending: SimpleQueue[Event | None] = SimpleQueue()

    @property
    def is_drained(self) -> bool:
        """The client has read all pushed events. Until then it gets no more."""
        return self._pending.empty()

    def push(self, event: Event) -> None:
        """Hand an event to the client's thread. Repeats are ignored."""
        if event.id > self.last_id:
            self.last_id = event.id
            self._put(event)

    def show(self, report: ShownReport) -> None:
        """Hand a report to the client's thread, unless it says the same as the last."""
        said = {"stale": not report.current, "connectors": report.connectors}
        if said != self._shown and report.reported_at is not None:
            self._shown = said
            self._put(ConnectorsEvent(self.charger_id, self.last_id, self.last_id, report.reported_at, said))

    def end(self) -> None:
        """End the client's iteration after the pushed events."""
        self._put(None)

    def take(self) -> list[Event]:
        """The events that were pushed and not read yet."""
        taken = []
        while not self._pending.empty():
            event = self._pending.get()
            if event is not None:
                taken.append(event)
        return taken

    def _put(self, event: Event | None) -> None:
        self._pending.put(event)
        if self.notify is not None:
            self.notify()

    def __iter__(self) -> Iterator[list[Event]]:
        """Lists of events as they come; an empty list after SILENCE_S. Ends after LIFE_S, or with the charger's deletion."""
        until = monotonic() + LIFE_S
        while (left_s := until - monotonic()) > 0:
            try:
                pending = [self._pending.get(timeout=min(SILENCE_S, left_s))]
            except Empty:
                yield []
                continue
            while not self._pending.empty():
                pending.append(self._pending.get())
            events = [event for event in pending if event is not None]
            if events:
                yield events
            if None in pending or any(_is_last(event) for event in events):
                return


def _is_last(event: Event) -> bool:
    return event.data.get("event_type") == EventType.DELETE_CHARGER


class Streams(OpenStreams[Stream]):
    """Polls for events and reports of chargers."""

    def __init__(self, autocommit: sessionmaker[Session], slots: Slots) -> None:
        super().__init__(autocommit, slots, poller="streams", every_s=POLL_S)
        self._reports_at_s = 0.0

    def open(self, organization_id: str, charger_id: str, last_id: int) -> Stream:
        """A stream of the charger's events after last_id, which the caller closes. Raises Full, FullForOrganization."""
        self._take_slot(organization_id)
        return self._add(Stream(organization_id, charger_id, last_id))

    def watch(
        self, organization_id: str, charger_id: str, last_id: int, notify: Callable[[], None]
    ) -> Stream:
        """As `open`, for a stream that is a part of one that has a slot: see Stream."""
        return self._add(Stream(organization_id, charger_id, last_id, notify))

    def _release(self, stream: Stream) -> None:
        if stream.notify is None:
            super()._release(stream)

    def _poll(self) -> None:
        self._poll_events()
        now_s = monotonic()
        if now_s >= self._reports_at_s + REPORTS_S:
            self._reports_at_s = now_s
            self._poll_reports()

    def _poll_reports(self) -> None:
        drained: defaultdict[str, list[Stream]] = defaultdict(list)
        for stream in list(self._streams):
            if stream.is_drained:
                drained[stream.charger_id].append(stream)
        if not drained:
            return
        with self._autocommit() as session:
            for report in reports_of(session, drained):
                for stream in drained[report.charger_id]:
                    stream.show(report)

    def _poll_events(self) -> None:
        drained: defaultdict[Position, list[Stream]] = defaultdict(list)
        for stream in self._due():
            drained[stream.charger_id, stream.last_id].append(stream)
        if not drained:
            return
        found: Counter[Position] = Counter()
        with self._autocommit() as session:
            for event in events_after(session, drained):
                position = (event.charger_id, event.after)
                found[position] += 1
                for stream in drained[position]:
                    stream.push(event)
        for position, streams in drained.items():
            for stream in streams:
                stream.behind = found[position] >= MAX_EVENTS

    def _due(self) -> Iterator[Stream]:
        """The streams that are drained. Those far behind take turns, so an organization's old events do not delay others."""
        now = monotonic()
        behind: Counter[str] = Counter()
        for stream in sorted(self._streams, key=lambda stream: stream.polled_at):
            if not stream.is_drained:
                continue
            if stream.behind:
                behind[stream.organization_id] += 1
                if behind[stream.organization_id] > MAX_BEHIND_PER_POLL:
                    continue
            stream.polled_at = now
            yield stream
