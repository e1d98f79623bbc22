"""The Celery app of the API and the workers, and the sending of messages in batches.

A message is a hint: the broker may lose, repeat, delay or garble it, and nothing here promises delivery.
"""

import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any
from uuid import uuid4

import redis
from amqp.exceptions import AMQPError
from celery import Celery
from kombu import Producer
from kombu import Queue as BrokerQueue
from kombu.exceptions import KombuError, OperationalError
from kombu.transport import TRANSPORT_ALIASES

from shared.queues import QUEUE_OF, Queue, TaskName

#: What a publish can raise when the broker is down, slow, full or frozen, or refuses the message.
BROKER_ERRORS = (KombuError, OperationalError, OSError, redis.RedisError, AMQPError)

# Registered under kombu's own names, so that the URL keeps its scheme, which Flower reads.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "shared.broker.redis_transport:Transport"))

CLUSTER = "The broker is a Redis cluster: use a Redis without cluster mode"
REASONS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (redis.AuthenticationError, redis.exceptions.NoPermissionError),
        "The broker refuses our user or password",
    ),
    ((redis.ReadOnlyError,), "The broker takes no writes: it is a replica"),
    ((redis.exceptions.OutOfMemoryError,), "The broker takes no writes: its memory is full"),
    ((redis.exceptions.AskError, redis.exceptions.ClusterDownError), CLUSTER),
)

CHECK_EXPIRES_S = 60  #: after that the broker removes the queue of a check that was killed

BATCH_SIZE = 200  #: messages in one round trip


def make_celery(broker_url: str, *, publisher: bool) -> Celery:
    """A Celery app with our queues, JSON only, no result backend. Opens no connection.

    A publisher gives up on a frozen broker after 2 s. A worker's socket time-out (5 s) must exceed its blocking read (1 s).
    """
    app = Celery("chargehand", broker=broker_url, set_as_current=not publisher)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_queues=[BrokerQueue(queue.value, routing_key=queue.value) for queue in Queue],
        task_default_queue=Queue.LIFECYCLE.value,
        task_create_missing_queues=False,
        task_routes={task.value: {"queue": queue.value} for task, queue in QUEUE_OF.items()},
        broker_use_ssl=_tls(broker_url),
        broker_connection_timeout=2,
        broker_pool_limit=4 if publisher else 10,
        broker_transport_options=_transport_options(broker_url, publisher=publisher),
    )
    return app


def _tls(broker_url: str) -> dict[str, Any] | None:
    """Verify the certificate of a Redis behind TLS, unless its URL says otherwise. kombu's default is not to."""
    if not broker_url.startswith("rediss://") or "ssl_cert_reqs" in broker_url:
        return None
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED}


def _transport_options(broker_url: str, *, publisher: bool) -> dict[str, Any]:
    if not broker_url.startswith("redis"):
        return {}  # RabbitMQ has its own heart-beat and acknowledgements
    return {
        "socket_connect_timeout": 1,
        "socket_timeout": 2 if publisher else 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
        "ack_emulation": False,  # see shared/broker/redis_transport.py
        "max_connections": 100,
    }


class Sender:
    """Publishes messages in batches over one connection, which it keeps. For one thread.

    Celery's own pool hands out connections that a restart of the broker has broken.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._producer: Producer | None = None

    def send(self, messages: Iterable[tuple[TaskName, Mapping[str, Any]]]) -> None:
        """Publish the messages. Raises one of BROKER_ERRORS; the next call then opens a new connection.

        After an error some of the messages may have been delivered. Sending all of them again does no harm.
        """
        with self._connected() as producer, producer.batch(max_size=BATCH_SIZE):
            for task, message in messages:
                _publish(self._app, producer, task, message)

    def waiting(self, queue: Queue) -> int:
        """The number of messages that no worker has taken. Raises one of BROKER_ERRORS, as `send` does."""
        with self._connected() as producer:
            declared = producer.channel.queue_declare(queue=queue.value, durable=True, auto_delete=False)
        return int(declared.message_count)

    @contextmanager
    def _connected(self) -> Iterator[Any]:  # Producer: the stubs lack what is new in kombu 5.7
        try:
            if self._producer is None:
                self._producer = self._app.amqp.Producer(self._app.connection_for_write(), auto_declare=False)
            yield self._producer
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, within 0.1 s if the broker does not answer."""
        producer, self._producer = self._producer, None
        if producer is not None:
            connection: Any = producer.connection
            connection.collect(socket_timeout=0.1)


def check_broker(app: Celery) -> None:
    """Publish a message to a queue that nobody reads, and remove it. Raises one of BROKER_ERRORS.

    It connects as a publish does, with the same TLS settings, user and password, but without kombu's retries.
    """
    name = f"chargehand.check.{uuid4().hex}"
    queue = BrokerQueue(name, durable=False, auto_delete=True, exclusive=True, expires=CHECK_EXPIRES_S)
    with app.connection_for_write() as connection:
        transport: Any = connection.transport
        connected = transport.establish_connection()
        try:
            channel = transport.create_channel(connected)
            queue(channel).declare()
            Producer(channel, auto_declare=False).publish({}, exchange="", routing_key=name, retry=False)
            channel.queue_purge(name)
        finally:
            transport.close_connection(connected)


def broker_trouble(error: BaseException) -> str:
    """Why the broker takes no messages, in a sentence without its address, fit for a public answer."""
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "The broker's certificate cannot be trusted"
    for kinds, words in REASONS:
        if isinstance(error, kinds):
            return words
    if isinstance(error, redis.ResponseError):
        return CLUSTER if "cluster mode" in text else f"The broker refuses: {text}"
    return "The broker is not available"


def send(
    app: Celery, messages: Sequence[tuple[TaskName, Mapping[str, Any]]], *, max_waiting: int | None = None
) -> None:
    """As `Sender.send`, over a connection of its own.

    Leaves out the messages for queues that already hold `max_waiting` messages.
    """
    with closing(Sender(app)) as sender:
        full: set[Queue] = set()
        if max_waiting is not None:
            queues = {QUEUE_OF[task] for task, _ in messages}
            full = {queue for queue in queues if sender.waiting(queue) >= max_waiting}
        sender.send(each for each in messages if QUEUE_OF[each[0]] not in full)


def _publish(app: Celery, producer: Producer, task: TaskName, message: Mapping[str, Any]) -> None:
    """As `app.send_task`, without its lookups, declarations and result: 450 instead of 540 us for an accepted request."""
    amqp = app.amqp
    envelope = amqp.as_task_v2(
        str(uuid4()),
        task.value,
        kwargs=dict(message),
        argsrepr="()",
        kwargsrepr=repr(message),  # for Flower; Celery's own formatting is slow
        ignore_result=True,
    )
    amqp.send_task_message(
        producer,
        task.value,
        envelope,
        queue=QUEUE_OF[task].value,
        declare=(),  # the workers declare the queues
        retry=False,
    )
