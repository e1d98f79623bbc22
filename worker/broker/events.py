"""How a worker shows Flower what its tasks do: events of all threads, sent many at a time by the worker's loop.

Celery's own dispatcher publishes its buffer and then empties it. With a pool of threads, an event that comes
between the two is lost, and its task is never shown as done.
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
BATCH = 500  # events in one message, about 250 kB
KEPT = 10_000  # events that wait while the broker is away; a task has three


class Dispatcher(EventDispatcher):
    """Celery's dispatcher, with a buffer that any thread may add to. Only the worker's loop calls flush."""

    producer: Any  # the stubs name none of these five
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
            if len(self._waiting) > KEPT:
                self._waiting.popleft()
                self._lost += 1

    def flush(self, errors: bool = True, groups: bool = True) -> None:
        """Send what waits. What the broker does not take stays for the next call."""
        super().flush(errors=errors, groups=False)
        while groups and self._waiting and self.producer is not None:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                self._publish_tasks(batch)
            except self._broker_errors():
                self._waiting.extendleft(reversed(batch))
                return
        if self._lost:
            log.warning("events.lost", events=self._lost, reason="the broker was away for too long")
            self._lost = 0

    def extend_buffer(self, other: EventDispatcher) -> None:
        """Take over from the dispatcher of a lost connection, also what is still sent to that one.

        A task keeps the dispatcher that it was received with.
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
            delivery_mode=1,  # not kept on disk
            retry=False,
        )

    def _broker_errors(self) -> tuple[type[BaseException], ...]:
        connection: Any = self.connection
        return (OperationalError, *connection.connection_errors, *connection.channel_errors)


class Events(CeleryEvents):
    """What `app.events` is made of."""

    dispatcher_cls = "worker.broker.events:Dispatcher"
