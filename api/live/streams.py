"""Streams of what changes about chargers, all of them fed by one query."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from time import monotonic

from sqlalchemy.orm import Session, sessionmaker

from api.limits.slots import Full, Places
from api.live.poller import Poller
from shared.fleet.events import MAX_EVENTS, Event, Position, events_after
from shared.vocabulary import EventType

POLL_S = 0.25
BEHIND_AT_ONCE = 4  # streams of an organization that are fed a full page of old events in one poll
SILENCE_S = 15  # until a sign of life: proxies end what is silent for longer
LIFE_S = (
    300  # until the client has to come again: with a token that still holds, to a server that is not full
)


class Stream:
    """The events of one charger, for one client."""

    def __init__(self, organization_id: str, charger_id: str, last_id: int) -> None:
        self.organization_id = organization_id
        self.charger_id = charger_id
        self.last_id = last_id  #: of the events that are on their way
        self.behind = False  #: the last poll found as many events for it as a poll may
        self.polled_at = 0.0
        self._coming: SimpleQueue[Event | None] = SimpleQueue()

    @property
    def hungry(self) -> bool:
        """The client has taken all that there was: a slow one gets no more until then."""
        return self._coming.empty()

    def feed(self, event: Event) -> None:
        if event.id > self.last_id:
            self.last_id = event.id
            self._coming.put(event)

    def end(self) -> None:
        self._coming.put(None)

    def __iter__(self) -> Iterator[list[Event]]:
        """The events as they come, all that are there at once; none after a silence. Ends after LIFE_S, or with the charger."""
        until = monotonic() + LIFE_S
        while (left_s := until - monotonic()) > 0:
            try:
                coming = [self._coming.get(timeout=min(SILENCE_S, left_s))]
            except Empty:
                yield []
                continue
            while not self._coming.empty():
                coming.append(self._coming.get())
            events = [event for event in coming if event is not None]
            if events:
                yield events
            if None in coming or any(_is_the_last(event) for event in events):
                return


def _is_the_last(event: Event) -> bool:
    return event.data.get("event_type") == EventType.DELETE_CHARGER


class Streams:
    """One per API process. It looks for what is new only while somebody watches."""

    def __init__(self, autocommit: sessionmaker[Session], places: Places) -> None:
        self._autocommit = autocommit
        self._places = places
        self._streams: set[Stream] = set()
        self._poller = Poller("streams", self._look, wanted=lambda: bool(self._streams), every_s=POLL_S)

    def open(self, organization_id: str, charger_id: str, last_id: int) -> Stream:
        """The events after that one. To be closed. Raises Full, FullForOrganization."""
        if self._poller.closed:
            raise Full
        self._places.take(organization_id)
        stream = Stream(organization_id, charger_id, last_id)
        self._streams.add(stream)
        self._poller.ensure_running()
        return stream

    def close(self, stream: Stream) -> None:
        """Safe to repeat."""
        try:
            self._streams.remove(stream)
        except KeyError:
            return
        self._places.give_back(stream.organization_id)

    @property
    def count(self) -> int:
        return len(self._streams)

    def close_all(self) -> None:
        """End every stream, and open none any more."""
        self._poller.close()
        for stream in list(self._streams):
            stream.end()

    def _look(self) -> None:
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
                    stream.feed(event)
        for position, streams in drained.items():
            for stream in streams:
                stream.behind = found[position] >= MAX_EVENTS

    def _due(self) -> Iterator[Stream]:
        """Those to be fed now. Streams that are far behind take turns, so that an organization's old events cost others nothing."""
        now = monotonic()
        behind: Counter[str] = Counter()
        for stream in sorted(self._streams, key=lambda stream: stream.polled_at):
            if not stream.hungry:
                continue
            if stream.behind:
                behind[stream.organization_id] += 1
                if behind[stream.organization_id] > BEHIND_AT_ONCE:
                    continue
            stream.polled_at = now
            yield stream
