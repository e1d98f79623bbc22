"""The sessions of this process of the link."""

from collections.abc import Iterator

from link import metrics
from link.session import Session
from link.wire.closing import CloseCode


class Sessions:
    """By process. A newer session of a process replaces the older one."""

    def __init__(self) -> None:
        self._by_process: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._by_process)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_process.values()))

    def of(self, process_id: str) -> Session | None:
        return self._by_process.get(process_id)

    def add(self, session: Session) -> None:
        """Add a session that is registered, and end the one that it replaces."""
        replaced = self._by_process.get(session.process_id)
        self._by_process[session.process_id] = session
        if replaced is not None:
            replaced.end(CloseCode.TAKEN, "a newer session of this process")

    def remove(self, session: Session) -> None:
        """Remove it, unless another one has replaced it. Safe to repeat."""
        if self._by_process.get(session.process_id) is session:
            del self._by_process[session.process_id]

    def measure(self) -> None:
        """Set the metrics of what is connected."""
        metrics.SESSIONS.set(len(self._by_process))
        metrics.CHARGERS.set(sum(len(session.chargers) for session in self._by_process.values()))
