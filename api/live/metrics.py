"""Metrics for Prometheus. Labels are routes and statuses: never an organization, a charger or a token."""

import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from time import monotonic, perf_counter, sleep

from flask import Flask, Response, g, request
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api.limits.reads import ReadSessions
from api.live.feed import Feed
from api.live.job_streams import JobStreams
from api.live.publisher import Publisher
from api.live.readiness import Readiness
from api.live.streams import Streams
from api.live.watcher import Watcher
from shared.fleet.listing import summarize_all
from shared.fleet.spec import fleets_spec
from shared.maintenance import last_runs
from shared.models import Charger, ChargerCount, LogCursor
from shared.operations.commands import open_by_type, queue_of
from shared.queues import Queue

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"})
AGES_S = (0, 1, 5, 15, 60, 300, 3600)
REPORT_EVERY_S = 2
BROKER_CHECK_EVERY_S = 10.0  # by this loop; a check is a connection
KEEP_S = 1.0
COMMAND_QUEUES = (Queue.LIFECYCLE, Queue.PROVISIONING)
KEEP_CHARGERS_S = 10.0  # of counts that read a whole index

REGISTRY = CollectorRegistry()
REQUESTS = Counter(
    "chargehand_http_requests_total",
    "Requests that were answered.",
    ["method", "route", "status"],
    registry=REGISTRY,
)
DURATION = Histogram(
    "chargehand_http_request_seconds",
    "From the first line of a request to its answer.",
    ["route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30),
    registry=REGISTRY,
)
WAITING = Gauge(
    "chargehand_publisher_waiting",
    "Messages that the broker has not taken yet.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
DROPPED = Gauge(
    "chargehand_publisher_dropped",
    "Messages left to the sweep since the process started.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)

CLIENTS_WAITING = Gauge(
    "chargehand_waiting_clients",
    "Requests whose answer is held until a command or a charger has reached its end.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
STREAMS = Gauge(
    "chargehand_event_streams",
    "Open event streams of organizations, of jobs, and of single chargers, those within a stream of an organization included.",
    ["kind"],
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
BROKER_UP = Gauge(
    "chargehand_broker_up",
    "1 while the broker takes messages, as every API process has found in the last 10 s.",
    registry=REGISTRY,
    multiprocess_mode="livemin",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What the gauges of an API process are read from."""

    publisher: Publisher
    watcher: Watcher
    streams: Streams
    job_streams: JobStreams
    feed: Feed
    readiness: Readiness


class DatabaseMetrics(Collector):
    """Metrics that are read from the database, at most once in `keep_s()` seconds.

    One per app. Concurrent scrapes share one read, so any number of them takes one connection.
    """

    def __init__(self, sessions: ReadSessions) -> None:
        self._sessions = sessions
        self._lock = threading.Lock()
        self._metrics: list[Metric] = []
        self.read_at = -self.keep_s()  #: on the monotonic clock

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            if monotonic() - self.read_at >= self.keep_s():
                self._metrics = self._read()
                self.read_at = monotonic()
            metrics = self._metrics
        yield from metrics

    def keep_s(self) -> float:
        return KEEP_S

    def _read(self) -> list[Metric]:
        try:
            with self._sessions() as session:
                return list(self.collect_from(session))
        except SQLAlchemyError:
            return []  # none is better than a wrong one, and the other metrics are still wanted

    def collect_from(self, session: Session) -> Iterator[Metric]:
        """Read the current values."""
        raise NotImplementedError


class OpenCommands(DatabaseMetrics):
    """How many commands are not final, by age, how many of them the rate budget holds back, and how old they are."""

    def collect_from(self, session: Session) -> Iterator[Metric]:
        by_age = GaugeMetricFamily(
            "chargehand_open_commands",
            "Accepted commands that are not final, by how old they are at least.",
            labels=["older_than_s"],
        )
        held = GaugeMetricFamily(
            "chargehand_held_commands", "Accepted commands that wait for a turn at the ECS rate budget."
        )
        oldest = GaugeMetricFamily(
            "chargehand_oldest_open_command_seconds",
            "The age of the oldest command that is not final, by the queue of its task; 0 without one.",
            labels=["queue"],
        )
        groups = open_by_type(session, AGES_S)
        for index, age in enumerate(AGES_S):
            by_age.add_metric([str(age)], sum(group.older_than[index] for group in groups))
        held.add_metric([], sum(group.held for group in groups))
        for queue in COMMAND_QUEUES:
            ages_s = [group.oldest_s for group in groups if queue_of(group.event_type) is queue]
            oldest.add_metric([queue.value], max(ages_s, default=0.0))
        yield from (by_age, held, oldest)


class Chargers(DatabaseMetrics):
    """How many chargers of all organizations are in which state."""

    def keep_s(self) -> float:
        return KEEP_CHARGERS_S

    def collect_from(self, session: Session) -> Iterator[Metric]:
        everything = summarize_all(session)
        observed = GaugeMetricFamily(
            "chargehand_chargers",
            "Chargers by what ECS was last observed to do with them.",
            labels=["observed"],
        )
        for state, number in everything.observed.items():
            observed.add_metric([state], number)
        yield observed
        links = GaugeMetricFamily(
            "chargehand_charger_links",
            "Chargers that run, by their link to their CSMS; none while nothing is known of it.",
            labels=["state"],
        )
        for state, number in everything.ocpp_state.items():
            links.add_metric([state], number)
        yield links
        yield GaugeMetricFamily(
            "chargehand_attention_chargers",
            "Chargers that need attention: see runtime.attention in docs/api.md.",
            value=everything.attention,
        )


class LogLag(DatabaseMetrics):
    """How far the log reader is behind; absent until it has read something."""

    def collect_from(self, session: Session) -> Iterator[Metric]:
        lag_s = session.scalar(select(func.extract("epoch", func.now() - func.max(LogCursor.read_through))))
        if lag_s is not None:
            help_text = "How late the chargers' logs are read."
            yield GaugeMetricFamily("chargehand_log_lag_seconds", help_text, value=float(lag_s))


class Maintenance(DatabaseMetrics):
    """How each maintenance task last ran, on any worker."""

    def collect_from(self, session: Session) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            "chargehand_maintenance_age_seconds",
            "Since a maintenance task last succeeded on any worker; none when it never did.",
            labels=["task"],
        )
        duration = GaugeMetricFamily(
            "chargehand_maintenance_duration_seconds",
            "How long the last run of a maintenance task took.",
            labels=["task"],
        )
        failures = CounterMetricFamily(
            "chargehand_maintenance_failures",
            "Runs of a maintenance task that failed, on all workers.",
            labels=["task"],
        )
        for run in last_runs(session):
            if run.age_s is not None:
                age.add_metric([run.task], run.age_s)
            duration.add_metric([run.task], run.duration_s)
            failures.add_metric([run.task], run.failures)
        yield from (age, duration, failures)


class Rollout(DatabaseMetrics):
    """How far a rollout of new settings is. Absent before the first worker started."""

    def collect_from(self, session: Session) -> Iterator[Metric]:
        spec = session.scalars(fleets_spec()).one_or_none()
        if spec is None:
            return
        has_spec = Charger.spec_hash == spec.hash, Charger.deleted_at.is_(None)
        rolls_out = Charger.rollout_hash == spec.hash, Charger.deleted_at.is_(None)
        # An index-only scan answers the first; the others read few rows.
        with_spec, moving, moving_with_spec = session.execute(
            select(
                select(func.count()).select_from(Charger).where(*has_spec).scalar_subquery(),
                select(func.count()).select_from(Charger).where(*rolls_out).scalar_subquery(),
                select(func.count()).select_from(Charger).where(*has_spec, *rolls_out).scalar_subquery(),
            )
        ).one()
        total = session.scalar(select(func.sum(ChargerCount.chargers))) or 0
        current = with_spec - moving_with_spec
        chargers = GaugeMetricFamily(
            "chargehand_rollout_chargers",
            "Chargers that have the workers' newest image, size and role, are getting it, or have another one.",
            labels=["spec"],
        )
        chargers.add_metric(["current"], current)
        chargers.add_metric(["under_way"], moving)
        chargers.add_metric(["other"], max(0, int(total) - current - moving))
        yield chargers
        yield GaugeMetricFamily(
            "chargehand_rollout_paused",
            "1 while the rollout has stopped by itself, because chargers do not come up.",
            value=float(spec.paused_at is not None),
        )


def count_requests(app: Flask) -> None:
    """Count and time every request of the app."""

    @app.before_request
    def start() -> None:
        g.started_at = perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule is not None else "unmatched"
        method = request.method if request.method in METHODS else "other"
        REQUESTS.labels(method, route, response.status_code).inc()
        DURATION.labels(route).observe(perf_counter() - g.started_at)
        return response


def report_gauges(measured: Measured) -> None:
    """Update this process's gauges in an endless loop: another process may be the one that is scraped."""
    while True:
        _report(measured)
        sleep(REPORT_EVERY_S)


def render_metrics(collectors: Iterable[DatabaseMetrics], measured: Measured) -> bytes:
    """The metrics of all API processes, in Prometheus' text format."""
    _report(measured)
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        scraped = generate_latest(registry)
    else:
        scraped = generate_latest(REGISTRY)
    database = CollectorRegistry()
    for collector in collectors:
        database.register(collector)
    return scraped + generate_latest(database)


def _report(measured: Measured) -> None:
    WAITING.set(measured.publisher.waiting)
    DROPPED.set(measured.publisher.dropped)
    CLIENTS_WAITING.set(measured.watcher.waiting)
    STREAMS.labels("charger").set(measured.streams.count)
    STREAMS.labels("job").set(measured.job_streams.count)
    STREAMS.labels("organization").set(measured.feed.count)
    BROKER_UP.set(measured.readiness.broker(keep_s=BROKER_CHECK_EVERY_S).reason is None)
