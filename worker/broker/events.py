"""Sends the task events that Flower shows: threads buffer them, and the worker's event loop sends them in batches.

Celery's own dispatcher publishes its buffer and then empties it. With a pool of threads, an event that is added
between the two is lost, and Flower never shows its task as done.
"""

from collections import deque
from typing import Any

import structlog
from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher
from celery.events.event import Event, group_from
from celery.utils.time import utcoffset
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)

FLUSH_EVERY_S = 0.2
MAX_BATCH = 500  #: events in one message, about 250 kB
MAX_BUFFERED = 10_000  #: events while the broker is not available; a task has three


class Dispatcher(EventDispatcher):
    """Celery's dispatcher, with a buffer that any thread may append to. Only the event loop calls `flush`."""

    producer: Any  # the stubs lack these five
    exchange: Any
    headers: dict[str, Any]
    pid: int
    buffer_group: frozenset[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._waiting: deque[dict[str, Any]] = deque()
        self._lost = 0
        super().__init__(*args, **kwargs)

    def send(self, type: str, *args: Any, **fields: Any) -> None:
        """Buffer the event of a task; send any other at once."""
        group = group_from(type)
        if group not in self.buffer_group:
            super().send(type, *args, **fields)
        elif self.enabled and (not self.groups or group in self.groups):
            self._waiting.append(self._event(type, fields))
            if len(self._waiting) > MAX_BUFFERED:
                self._waiting.popleft()
                self._lost += 1

    def flush(self, errors: bool = True, groups: bool = True) -> None:
        """Send the buffered events. Those that the broker refuses are kept for the next call."""
        super().flush(errors=errors, groups=False)
        while groups and self._waiting and self.producer is not None:
            batch = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
            try:
                self._publish_tasks(batch)
            except self._broker_errors():
                self._waiting.extendleft(reversed(batch))
                return
        if self._lost:
            log.warning("events.lost", events=self._lost, reason="the broker was not available for too long")
            self._lost = 0

    def extend_buffer(self, other: EventDispatcher) -> None:
        """Take over the buffer of the dispatcher of a lost connection.

        Tasks that were received on that connection still send to its dispatcher, so both share one buffer from now on.
        """
        super().extend_buffer(other)
        if isinstance(other, Dispatcher):
            other._waiting.extend(self._waiting)
            self._waiting = other._waiting

    def _event(self, type: str, fields: dict[str, Any]) -> dict[str, Any]:
        clock: int = self.clock.forward()  # type: ignore[attr-defined]
        event: dict[str, Any] = Event(
            type, hostname=self.hostname, utcoffset=utcoffset(), pid=self.pid, clock=clock, **fields
        )
        return event

    def _publish_tasks(self, events: list[dict[str, Any]]) -> None:
        self.producer.publish(
            events,
            routing_key="task.multi",
            exchange=self.exchange.name,
            declare=[self.exchange],
            headers=self.headers,
            delivery_mode=1,  # transient
            retry=False,
        )

    def _broker_errors(self) -> tuple[type[BaseException], ...]:
        connection: Any = self.connection
        return (OperationalError, *connection.connection_errors, *connection.channel_errors)


class Events(CeleryEvents):
    """What `events_cls` names."""

    dispatcher_cls = "worker.broker.events:Dispatcher"
