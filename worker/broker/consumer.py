"""Celery's consumer, which waits until the broker takes its queues, and quarantines unreadable messages first."""

from time import sleep
from typing import Any

from celery.worker import state
from celery.worker.consumer import Consumer

from shared.broker.app import BROKER_ERRORS
from shared.queues import Queue
from worker.broker.events import FLUSH_EVERY_S
from worker.broker.quarantine import quarantine_unreadable
from worker.outage_log import OutageLog

RETRY_S = 0.5  # Celery waits up to 30 s between two attempts


class ReconnectingConsumer(Consumer):
    """What `worker_consumer` names."""

    _outage = OutageLog("broker", *BROKER_ERRORS)

    def connect(self) -> Any:
        """Connect as soon as the broker is available. Celery calls this at the start and after each lost connection."""
        while not self._broker_is_ready():
            state.maybe_shutdown()
            sleep(RETRY_S)
        return super().connect()

    def _broker_is_ready(self) -> bool:
        """Whether the broker accepts our queues, which it does not during a failover. Quarantines unreadable messages."""
        connection: Any = self.app.connection_for_read()
        try:
            connection.ensure_connection(
                max_retries=0, reraise_as_library_errors=False
            )  # `connect` sleeps 2 s
            for queue in self.app.amqp.queues.consume_from.values():
                queue(connection.default_channel).declare()
            if connection.transport.driver_type == "redis":
                _quarantine(connection.default_channel)
        except BROKER_ERRORS as error:
            self._outage.failed(error)
            return False
        finally:
            connection.collect()
        self._outage.recovered()
        return True

    def register_with_event_loop(self, hub: Any) -> None:
        """Celery calls this for each connection, and each has an event loop of its own."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(FLUSH_EVERY_S, self._send_events)

    def shutdown(self) -> None:
        """Send the events of the tasks that ended after the event loop."""
        self._send_events()
        super().shutdown()

    def _send_events(self) -> None:
        dispatcher: Any = self.event_dispatcher  # type: ignore[attr-defined]
        if dispatcher is not None:
            dispatcher.flush()


def _quarantine(channel: Any) -> None:
    """A message that ends this worker would end the next one too. `channel` is a kombu.transport.redis.Channel."""
    keys = (
        f"{queue}{channel.sep}{priority}" if priority else queue.value
        for queue in Queue
        for priority in channel.priority_steps
    )
    quarantine_unreadable(channel.client, keys)
