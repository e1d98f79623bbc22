"""The Celery app that api and worker configure alike, and how messages are sent in batches.

Redis is a hint channel: it may lose, double, delay or garble a message, so nothing here promises delivery.
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

#: What a publish can raise when the broker is away, slow, full or frozen, or refuses it.
BROKER_ERRORS = (KombuError, OperationalError, OSError, redis.RedisError, AMQPError)

# By its place, and not as a setting: the scheme of the URL still says what it is, also to Flower.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "shared.broker.redis_transport:Transport"))

CLUSTER = "The broker is a Redis cluster: use a Redis without cluster mode"
TROUBLES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (redis.AuthenticationError, redis.exceptions.NoPermissionError),
        "The broker refuses our user or password",
    ),
    ((redis.ReadOnlyError,), "The broker takes no writes: it is a replica"),
    ((redis.exceptions.OutOfMemoryError,), "The broker takes no writes: its memory is full"),
    ((redis.exceptions.AskError, redis.exceptions.ClusterDownError), CLUSTER),
)

CHECK_EXPIRES_S = 60  # then the broker itself removes what a check left that was killed

BATCH_SIZE = 200  # messages in one round trip; kombu keeps them in memory


def make_celery(broker_url: str, *, publisher: bool) -> Celery:
    """A Celery app with our queues, JSON only, no result backend. Opens no connection.

    A publisher's waits are bounded so that a frozen broker costs seconds, not for ever; a worker's socket
    time-out must exceed its one-second blocking read.
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
    """A Redis behind TLS must show a good certificate, unless its URL says otherwise: kombu would take any."""
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
    """Puts messages on their queues, many in a round trip, over a connection that it keeps. For one thread.

    (Celery's own pool of connections cannot be had without those that the broker's restart has broken.)
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._producer: Producer | None = None

    def send(self, messages: Iterable[tuple[TaskName, Mapping[str, Any]]]) -> None:
        """Raises one of BROKER_ERRORS. The next call begins with a fresh connection then.

        After an error any part of them may have been delivered; sending all of them again does no harm.
        """
        with self._connected() as producer, producer.batch(max_size=BATCH_SIZE):
            for task, message in messages:
                _publish(self._app, producer, task, message)

    def waiting(self, queue: Queue) -> int:
        """How many messages nobody has taken yet. Raises one of BROKER_ERRORS, as send does."""
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
        """Does not wait for a broker that does not answer."""
        producer, self._producer = self._producer, None
        if producer is not None:
            connection: Any = producer.connection
            connection.collect(socket_timeout=0.1)


def check_broker(app: Celery) -> None:
    """Publish a message to a queue that nobody reads, and remove it. Raises what a publish would meet now.

    It connects as a publish does, with the same TLS, user and password, but once: without kombu's own retries.
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
    """What keeps the broker from taking messages, in words for everybody: without its address."""
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "The broker's certificate cannot be trusted"
    for kinds, words in TROUBLES:
        if isinstance(error, kinds):
            return words
    if isinstance(error, redis.ResponseError):
        return CLUSTER if "cluster mode" in text else f"The broker refuses: {text}"
    return "The broker is not available"


def send(
    app: Celery, messages: Sequence[tuple[TaskName, Mapping[str, Any]]], *, most_waiting: int | None = None
) -> None:
    """As Sender.send, once, over a connection for that alone.

    What would go to a queue on which `most_waiting` messages wait already is left out.
    """
    with closing(Sender(app)) as sender:
        full: set[Queue] = set()
        if most_waiting is not None:
            queues = {QUEUE_OF[task] for task, _ in messages}
            full = {queue for queue in queues if sender.waiting(queue) >= most_waiting}
        sender.send(each for each in messages if QUEUE_OF[each[0]] not in full)


def _publish(app: Celery, producer: Producer, task: TaskName, message: Mapping[str, Any]) -> None:
    """As app.send_task, without what it looks up, declares and returns for each message."""
    amqp = app.amqp
    envelope = amqp.as_task_v2(
        str(uuid4()),
        task.value,
        kwargs=dict(message),
        argsrepr="()",
        kwargsrepr=repr(message),  # for Flower; Celery's own way to it is slow
        ignore_result=True,
    )
    amqp.send_task_message(
        producer,
        task.value,
        envelope,
        queue=QUEUE_OF[task].value,
        declare=(),  # the workers declare the queues, and without them nobody would take it
        retry=False,
    )
