"""The streams that are open in this process: their slots, and what polls for them."""

from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

from sqlalchemy.orm import Session, sessionmaker

from api.limits.slots import Full, Slots
from api.poller import Poller


class OpenStream(Protocol):
    """What one client reads."""

    @property
    def organization_id(self) -> str: ...

    def end(self) -> None:
        """End the client's iteration after what was pushed."""


AnyStream = TypeVar("AnyStream", bound=OpenStream)


class OpenStreams(ABC, Generic[AnyStream]):
    """One per API process. Polls only while a stream is open."""

    def __init__(
        self, autocommit: sessionmaker[Session], slots: Slots, *, poller: str, every_s: float
    ) -> None:
        """`poller` is the name of what polls, every `every_s` seconds."""
        self._autocommit = autocommit
        self._slots = slots
        self._streams: set[AnyStream] = set()
        self._poller = Poller(poller, self._poll, wanted=lambda: bool(self._streams), every_s=every_s)

    def close(self, stream: AnyStream) -> None:
        """Release the stream's slot. Safe to repeat."""
        try:
            self._streams.remove(stream)
        except KeyError:
            return
        self._release(stream)

    @property
    def count(self) -> int:
        return len(self._streams)

    def close_all(self) -> None:
        """End every stream, and refuse new ones with Full."""
        self._poller.close()
        self._end_all()

    def _end_all(self) -> None:
        for stream in list(self._streams):
            stream.end()

    def _take_slot(self, organization_id: str) -> None:
        """Raises Full, FullForOrganization."""
        if self._poller.closed:
            raise Full
        self._slots.acquire(organization_id)

    def _add(self, stream: AnyStream) -> AnyStream:
        self._streams.add(stream)
        self._poller.ensure_running()
        return stream

    def _release(self, stream: AnyStream) -> None:
        self._slots.release(stream.organization_id)

    @abstractmethod
    def _poll(self) -> None:
        """Read what is new for the streams, and push it."""
