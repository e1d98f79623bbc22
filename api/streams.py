"""Streams of what changes about chargers, all of them fed by one query."""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from time import monotonic

from sqlalchemy.orm import Session, sessionmaker

from api.polling import Poller
from api.services.events import Event, Position, events_after
from shared.commands import EventType

POLL_S = 0.25
SILENCE_S = 15  # until a sign of life: proxies end what is silent for longer
LIFE_S = (
    300  # until the client has to come again: with a token that still holds, to a server that is not full
)


class TooManyStreams(Exception):
    """This process serves as many as it may."""


class TooManyStreamsOfOrganization(Exception):
    """This process serves as many for the organization as it may."""

    def __init__(self, most: int) -> None:
        super().__init__(f"More than {most} event streams at once: close some, or try again later")


class Stream:
    """The events of one charger, for one client."""

    def __init__(self, organization_id: str, charger_id: str, last_id: int) -> None:
        self.organization_id = organization_id
        self.charger_id = charger_id
        self.last_id = last_id  #: of the events that are on their way
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

    def __iter__(self) -> Iterator[Event | None]:
        """The events as they come; None after a silence. Ends after LIFE_S, or with the charger."""
        until = monotonic() + LIFE_S
        while (left_s := until - monotonic()) > 0:
            try:
                event = self._coming.get(timeout=min(SILENCE_S, left_s))
            except Empty:
                yield None
                continue
            if event is None:
                return
            yield event
            if event.data.get("event_type") == EventType.DELETE_CHARGER:
                return


class Streams:
    """One per API process. It looks for what is new only while somebody watches."""

    def __init__(self, statements: sessionmaker[Session], *, most: int, most_per_organization: int) -> None:
        self._statements = statements
        self._most = most
        self._most_per_organization = most_per_organization
        self._of_organization: Counter[str] = Counter()
        self._streams: set[Stream] = set()
        self._lock = threading.Lock()
        self._poller = Poller("streams", self._look, wanted=lambda: bool(self._streams), every_s=POLL_S)

    def open(self, organization_id: str, charger_id: str, last_id: int) -> Stream:
        """The events after that one. To be closed. Raises TooManyStreams, TooManyStreamsOfOrganization."""
        with self._lock:
            if len(self._streams) >= self._most or self._poller.closed:
                raise TooManyStreams
            if self._of_organization[organization_id] >= self._most_per_organization:
                raise TooManyStreamsOfOrganization(self._most_per_organization)
            stream = Stream(organization_id, charger_id, last_id)
            self._streams.add(stream)
            self._of_organization[organization_id] += 1
        self._poller.ensure_running()
        return stream

    def close(self, stream: Stream) -> None:
        """Safe to repeat."""
        with self._lock:
            if stream not in self._streams:
                return
            self._streams.remove(stream)
            self._of_organization[stream.organization_id] -= 1
            if not self._of_organization[stream.organization_id]:
                del self._of_organization[stream.organization_id]

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
        for stream in list(self._streams):
            if stream.hungry:
                drained[stream.charger_id, stream.last_id].append(stream)
        if not drained:
            return
        with self._statements() as session:
            for event in events_after(session, drained):
                for stream in drained[event.charger_id, event.after]:
                    stream.feed(event)
