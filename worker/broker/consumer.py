"""How a worker is connected to the broker, and goes on when it is not."""

from time import sleep
from typing import Any

from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.message import Message

from shared.broker.app import BROKER_ERRORS
from shared.broker.redis_transport import Channel
from shared.queues import Queue
from worker.broker.events import FLUSH_EVERY_S
from worker.broker.quarantine import put_aside
from worker.outage_log import OutageLog

REFUSED_AGAIN_S = 0.5
RECONNECT_MAX_S = 2  # Celery's own is 30: too long for people who wait for the broker's return


class PatientConsumer(Consumer):
    """Celery's consumer: it tries sooner to reach the broker again, and looks at what is there first."""

    _refusal = OutageLog("broker", *BROKER_ERRORS)

    def connect(self) -> Any:
        """Also after each loss of the connection: what ends one worker would end the next."""
        connection = self._connect_where_messages_are_taken()
        channel: Any = connection.default_channel  # kombu.transport.redis.Channel
        if connection.transport.driver_type == "redis":
            keys = (
                f"{queue}{channel.sep}{priority}" if priority else queue.value
                for queue in Queue
                for priority in channel.priority_steps
            )
            put_aside(channel.client, keys)
        return connection

    def _connect_where_messages_are_taken(self) -> Any:
        """Wait while the broker answers and refuses what a worker begins with, as it does during a failover."""
        while True:
            connection: Any = super().connect()
            try:
                for queue in self.app.amqp.queues.consume_from.values():
                    queue(connection.default_channel).declare()
            except BROKER_ERRORS as error:
                self._refusal.failed(error)
                connection.collect()
            else:
                self._refusal.recovered()
                return connection
            state.maybe_shutdown()
            sleep(REFUSED_AGAIN_S)

    def call_soon(self, p: Any, *args: Any, **kwargs: Any) -> Any:
        """Acknowledge at once where that is a note in memory: to wake the loop for each message is dear."""
        message: Any = getattr(p, "__self__", None)
        acknowledges = getattr(p, "__func__", None) is Message.ack_log_error
        if not acknowledges or not isinstance(message.channel, Channel):
            return super().call_soon(p, *args, **kwargs)
        p(*args, **kwargs)
        if message.channel.qos.has_room_again:
            super().call_soon(_wake_up)
        return p

    def register_with_event_loop(self, hub: Any) -> None:
        """Once for each connection: the loop begins anew with each."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(FLUSH_EVERY_S, self._send_events)

    def shutdown(self) -> None:
        """The loop has ended before the last tasks."""
        self._send_events()
        super().shutdown()

    def _send_events(self) -> None:
        dispatcher: Any = self.event_dispatcher  # type: ignore[attr-defined]
        if dispatcher is not None:
            dispatcher.flush()

    def ensure_connected(self, conn: Any) -> Any:
        ensure = conn.ensure_connection

        def ensure_connection(*args: Any, **kwargs: Any) -> Any:
            return ensure(
                *args, interval_start=0.2, interval_step=0.5, interval_max=RECONNECT_MAX_S, **kwargs
            )

        conn.ensure_connection = ensure_connection
        return super().ensure_connected(conn)


def _wake_up() -> None:
    """The loop looks for messages after whatever it is called for."""
