"""The clusters, definitions, services and tasks, shared by the API and the scheduler."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from embedded.ecs.errors import ClusterNotFoundException
from embedded.ecs.state.model import Cluster, Service, Task, TaskDefinition, service_from_record
from embedded.ecs.state.store import Store

KEEP_STOPPED_S = 3_600  # ECS shows a stopped task for at least an hour
MAX_STOPPED = 2_000
KEEP_INACTIVE_S = 3_600
ACCOUNT_ID = "123456789012"  # as in Amazon's examples
ENDED_WITH_ECS = "The embedded Amazon ECS that ran this task ended."


class Fleet:
    """Read and change it only inside `change()`, which stores the changes when it ends."""

    def __init__(self, store: Store, region: str) -> None:
        self.clusters: dict[str, Cluster] = {}
        self.definitions: dict[str, TaskDefinition] = {}  #: by ARN
        self.log_groups: list[str] = []  #: by name; their events are not kept
        self.services: dict[str, Service] = {}
        self.tasks: dict[str, Task] = {}  #: by id, including stopped ones
        self.wake: Callable[[], None] = lambda: None  #: called after services were added to `due`
        self.due: set[str] = set()  #: keys of services to reconcile
        self._revisions: dict[str, int] = {}  #: family -> its last revision; none is used twice
        self._region = region
        self._unfinished: dict[str, dict[str, Task]] = {}  #: by service, then by id
        self._stopped: deque[Task] = deque()  #: oldest first
        self._store = store
        self._changes: dict[tuple[str, str], object] = {}
        self._lock = threading.RLock()
        self._depth = 0
        self._load()

    def _load(self) -> None:
        with self.change():
            for record in self._store.load("cluster"):
                self.clusters[record["name"]] = Cluster(**record)
            for record in self._store.load("log_groups"):
                self.log_groups = record["names"]
            for record in self._store.load("family"):
                self._revisions[record["family"]] = record["revision"]
            for record in self._store.load("definition"):
                self.definitions[record["arn"]] = TaskDefinition(**record)
            for record in self._store.load("service"):
                service = service_from_record(record)
                service.quick_failures, service.retry_at = 0, 0.0
                self.services[service.key] = service
                self.due.add(service.key)
            for record in sorted(self._store.load("task"), key=lambda task: task["stopped_at"] or 0):
                self._load_task(Task(**record))

    def _load_task(self, task: Task) -> None:
        """Tasks that ran when the earlier server ended are stopped by now."""
        self.tasks[task.id] = task
        if task.last_status == "STOPPED":
            self._stopped.append(task)
            return
        task.stopped_reason = task.stopped_reason or ENDED_WITH_ECS
        task.stop_code = task.stop_code or "TerminationNotice"
        self.finish(task)

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """Hold the fleet. The end of the outermost block stores the changes and wakes the scheduler."""
        with self._lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    changes, self._changes = self._changes, {}
                    if changes:
                        self._store.save(changes)
                    if self.due:
                        self.wake()

    def arn(self, resource: str) -> str:
        """The ARN of a resource such as `cluster/NAME`."""
        return f"arn:aws:ecs:{self._region}:{ACCOUNT_ID}:{resource}"

    def keep_log_groups(self, names: list[str]) -> None:
        """Store the names of the log groups."""
        with self.change():
            self.log_groups = names
            self._changes["log_groups", ""] = {"names": names}

    # Clusters and task definitions

    def cluster(self, name: str) -> Cluster:
        """The cluster of that name or ARN. Raises ClusterNotFoundException."""
        try:
            return self.clusters[name.rsplit("/", 1)[-1]]
        except KeyError:
            raise ClusterNotFoundException from None

    def touch_cluster(self, cluster: Cluster) -> None:
        """Store a new or changed cluster."""
        self.clusters[cluster.name] = cluster
        self._changes["cluster", cluster.name] = cluster

    def find_definition(self, name: str) -> TaskDefinition | None:
        """The definition of an ARN or family:revision; for a family, its newest ACTIVE revision."""
        family, _, revision = name.rsplit("/", 1)[-1].partition(":")
        if revision:
            return self.definitions.get(self.arn(f"task-definition/{family}:{revision}"))
        active = (
            each for each in self.definitions.values() if each.family == family and each.status == "ACTIVE"
        )
        return max(active, key=lambda each: each.revision, default=None)

    def next_revision(self, family: str) -> int:
        """A number that no definition of the family has had."""
        revision = self._revisions.get(family, 0) + 1
        self._revisions[family] = revision
        self._changes["family", family] = {"family": family, "revision": revision}
        return revision

    def touch_definition(self, definition: TaskDefinition) -> None:
        """Store a new or changed definition."""
        self.definitions[definition.arn] = definition
        self._changes["definition", definition.arn] = definition

    def remove_definition(self, definition: TaskDefinition) -> None:
        """Delete a definition that nothing uses."""
        del self.definitions[definition.arn]
        self._changes["definition", definition.arn] = None

    def definitions_in_use(self) -> set[str]:
        """The ARNs of definitions that a service or an unfinished task needs."""
        services = [service for service in self.services.values() if service.status != "INACTIVE"]
        used = {deployment.task_definition for service in services for deployment in service.deployments}
        return used | {task.task_definition for tasks in self._unfinished.values() for task in tasks.values()}

    # Services and tasks

    def touch(self, service: Service) -> None:
        """Store a new or changed service, and have it reconciled."""
        self.services[service.key] = service
        self._changes["service", service.key] = service
        self.due.add(service.key)

    def add_task(self, task: Task) -> None:
        """Store a new task, and have its service reconciled."""
        self.tasks[task.id] = task
        self._unfinished.setdefault(task.service_key, {})[task.id] = task
        self.touch_task(task)

    def touch_task(self, task: Task) -> None:
        """Store a changed task, and have its service reconciled."""
        task.version += 1
        self._changes["task", task.id] = task
        self.due.add(task.service_key)

    def tasks_of(self, service: Service) -> list[Task]:
        """The service's unfinished tasks, oldest first."""
        return list(self._unfinished.get(service.key, {}).values())

    def service_of_task(self, name: str) -> str | None:
        """The name of the service of a task's id or ARN; None for an unknown task."""
        task = self.tasks.get(name.rsplit("/", 1)[-1])
        return task.service_name if task is not None else None

    def finish(self, task: Task) -> None:
        """Mark the task STOPPED. It can be described for another KEEP_STOPPED_S."""
        task.last_status = task.desired_status = "STOPPED"
        task.stopped_at = time.time()
        task.stopping_at = task.stopping_at or task.stopped_at
        self._unfinished.get(task.service_key, {}).pop(task.id, None)
        if not self._unfinished.get(task.service_key):
            self._unfinished.pop(task.service_key, None)
        self._stopped.append(task)
        self.touch_task(task)

    def prune(self) -> None:
        """Remove tasks and services that ended long ago."""
        now = time.time()
        while self._stopped and (
            len(self._stopped) > MAX_STOPPED or (self._stopped[0].stopped_at or 0) < now - KEEP_STOPPED_S
        ):
            task = self._stopped.popleft()
            del self.tasks[task.id]
            self._changes["task", task.id] = None
        for service in list(self.services.values()):
            if service.ended_at is not None and service.ended_at < now - KEEP_INACTIVE_S:
                self._remove_service(service)

    def _remove_service(self, service: Service) -> None:
        del self.services[service.key]
        self._changes["service", service.key] = None
