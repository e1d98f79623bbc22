"""The metrics of workers, of their calls to ECS, of the control link and of hosts, from the rows that those write.

Totals are labelled by worker, because a worker's totals begin anew with it. No label names an organization or a charger.
"""

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from sqlalchemy.orm import Session

from api.live.metrics import DatabaseMetrics
from shared.fleet.hosts import count_hosts
from shared.operations.budget import budget_use
from shared.operations.processes import SeenWorker, links_seen, serving, workers_seen
from shared.queues import Queue
from shared.vocabulary import HostState


class Workers(DatabaseMetrics):
    """The workers that have reported in the last hour, and what they did."""

    def collect_from(self, session: Session) -> Iterator[Metric]:
        workers = workers_seen(session)
        yield from _processes(workers)
        yield from _calls(workers)
        yield from _budget(workers)


class ControlSessions(DatabaseMetrics):
    """The sessions of each living process of the control link."""

    def collect_from(self, session: Session) -> Iterator[Metric]:
        sessions = GaugeMetricFamily(
            "chargehand_control_sessions",
            "Processes of chargers that are connected, by the living process of the control link.",
            labels=["link"],
        )
        links = GaugeMetricFamily("chargehand_control_links", "Living processes of the control link.")
        alive = [link for link in links_seen(session) if link.alive]
        for link in alive:
            sessions.add_metric([link.id], link.sessions)
        links.add_metric([], len(alive))
        yield from (sessions, links)


class Hosts(DatabaseMetrics):
    """The hosts of shared chargers, and what their processes report."""

    def collect_from(self, session: Session) -> Iterator[Metric]:
        by_state = count_hosts(session)
        hosts = GaugeMetricFamily(
            "chargehand_hosts", "Hosts by state: see GET /ocpp/hosts in docs/api.md.", labels=["state"]
        )
        for state, numbers in by_state.items():
            hosts.add_metric([state.value], numbers.hosts)
        yield hosts
        yield SummaryMetricFamily(
            "chargehand_host_chargers",
            "Chargers of a host, running or not.",
            count_value=sum(numbers.hosts for numbers in by_state.values()),
            sum_value=sum(numbers.chargers for numbers in by_state.values()),
        )
        connected = by_state[HostState.RUNNING], by_state[HostState.DRAINING]
        yield GaugeMetricFamily(
            "chargehand_host_lag_seconds",
            "How late the timers of the worst host are that runs or drains, p99.",
            value=max(numbers.worst_lag_ms for numbers in connected) / 1000,
        )
        yield GaugeMetricFamily(
            "chargehand_host_lines_dropped",
            "Lines of their logs that the hosts of now have dropped, each since its start.",
            value=sum(numbers.lines_dropped for numbers in by_state.values()),
        )


def _processes(workers: list[SeenWorker]) -> Iterator[Metric]:
    by_queue = GaugeMetricFamily(
        "chargehand_workers", "Living workers that take messages from the queue.", labels=["queue"]
    )
    for queue in Queue:
        by_queue.add_metric([queue.value], serving(workers, queue))
    up = GaugeMetricFamily(
        "chargehand_worker_up",
        "1 for a living worker, 0 for one that ended without saying so in the last hour.",
        labels=["worker"],
    )
    threads = GaugeMetricFamily(
        "chargehand_worker_threads", "Tasks that the worker may run at once.", labels=["worker"]
    )
    busy = GaugeMetricFamily(
        "chargehand_worker_busy_threads", "Tasks that the worker runs.", labels=["worker"]
    )
    tasks = CounterMetricFamily(
        "chargehand_worker_tasks", "Tasks that the worker has done.", labels=["worker"]
    )
    for worker in workers:
        up.add_metric([worker.name], worker.alive)
        tasks.add_metric([worker.name], worker.tasks_done)
        if worker.alive:
            threads.add_metric([worker.name], worker.threads)
            busy.add_metric([worker.name], worker.busy)
    yield from (by_queue, up, threads, busy, tasks)


def _calls(workers: Iterable[SeenWorker]) -> Iterator[Metric]:
    labels = ["worker", "operation"]
    families = {
        "calls": CounterMetricFamily("chargehand_ecs_calls", "Calls to ECS; each try is one.", labels=labels),
        "errors": CounterMetricFamily(
            "chargehand_ecs_errors", "Calls to ECS that had an error or no answer.", labels=labels
        ),
        "throttles": CounterMetricFamily(
            "chargehand_ecs_throttles", "Calls that ECS refused as too many.", labels=labels
        ),
    }
    for worker in workers:
        for operation, counts in worker.ecs.get("operations", {}).items():
            for name, family in families.items():
                family.add_metric([worker.name, operation], counts[name])
    yield from families.values()


def _budget(workers: list[SeenWorker]) -> Iterator[Metric]:
    labels = ["worker", "group"]
    families = {
        "turns": CounterMetricFamily(
            "chargehand_ecs_budget_turns", "Calls that the rate budget granted.", labels=labels
        ),
        "waits": CounterMetricFamily(
            "chargehand_ecs_budget_waits", "Times that a command had to wait for its turn.", labels=labels
        ),
        "waited_s": CounterMetricFamily(
            "chargehand_ecs_budget_wait_seconds", "For how long commands had to wait.", labels=labels
        ),
    }
    for worker in workers:
        for group, counts in worker.budget.get("groups", {}).items():
            for name, family in families.items():
                family.add_metric([worker.name, group], counts[name])
    waiting = GaugeMetricFamily(
        "chargehand_ecs_budget_waiting", "Commands that wait for their turn.", labels=["group"]
    )
    quota = GaugeMetricFamily(
        "chargehand_ecs_budget_per_second",
        "Calls per second that all workers together may make.",
        labels=["group"],
    )
    for use in budget_use(workers):
        waiting.add_metric([use.group], use.waiting)
        quota.add_metric([use.group], use.per_second)
    yield from (*families.values(), waiting, quota)
