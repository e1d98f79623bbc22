"""The service scheduler: a thread that makes the running processes match the services."""

import heapq
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedded.ecs.faults.rules import Faults
from embedded.ecs.logs import FleetLogs
from embedded.ecs.scheduling import rollout
from embedded.ecs.scheduling.containers import Containers, Exit
from embedded.ecs.scheduling.launcher import Launcher
from embedded.ecs.state.fleet import ENDED_WITH_ECS, Fleet
from embedded.ecs.state.model import Service, Task

STEADY_AFTER_S = 3.0
FIRST_RETRY_S = 1.0
STOP_TIMEOUT_S = 30  # for a container definition without stopTimeout; the default of Amazon ECS
SHUTDOWN_S = 6.0
LAUNCHES_PER_PASS = 4  # API calls are answered between two passes
PRUNE_EVERY_S = 60.0


@dataclass(frozen=True)
class Options:
    """Durations are in seconds."""

    task_command: Sequence[str] = (sys.executable, "-m", "simulator")
    steady_after_s: float = STEADY_AFTER_S  #: a task that has run this long has started successfully
    first_retry_s: float = FIRST_RETRY_S  #: delay after the first failure; doubles up to rollout.MAX_RETRY_S
    shutdown_s: float = SHUTDOWN_S  #: for all tasks to stop when the embedded ECS stops


class Scheduler(threading.Thread):
    """Starts every process in its own thread: on Linux a task ends when the thread that started it ends."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        logs: FleetLogs,
        containers: Containers,
        faults: Faults,
        options: Options,
        volumes: Path,
        ended: Callable[[], None],
    ) -> None:
        """`volumes` is where tasks get their folders. `ended` is called when the thread ends, also by an error."""
        super().__init__(name="scheduler")
        self._ended = ended
        self._fleet = fleet
        self._containers = containers
        self._faults = faults
        self._options = options
        self._launcher = Launcher(
            fleet=fleet,
            logs=logs,
            containers=containers,
            faults=faults,
            task_command=options.task_command,
            volumes=volumes,
        )
        self._timers: list[tuple[float, str]] = []  #: a heap: when to reconcile which service
        self._set_timers: set[tuple[float, str]] = set()  #: the same entries, so that none is set twice
        self._launches = 0
        self._stopping = False
        self.failed = True  #: until the thread has ended without an error
        fleet.wake = containers.wake
        faults.changed = self.retry_now

    def retry_now(self) -> None:
        """End the back-off of every service."""
        with self._fleet.change():
            for service in self._fleet.services.values():
                service.retry_at = 0.0
                self._fleet.due.add(service.key)

    def stop(self) -> None:
        """Stop all tasks and the thread, and wait for it. Services keep their desired counts for the next run."""
        self._stopping = True
        self._containers.wake()
        self.join()

    def run(self) -> None:
        try:
            self._schedule()
            self._stop_all()
            self.failed = False
        finally:
            self._ended()

    def _schedule(self) -> None:
        prune_at = 0.0
        while not self._stopping:
            exits = self._containers.wait(self._timeout_s(prune_at))
            with self._fleet.change():
                for exit_ in exits:
                    self._record_exit(exit_)
                self._reconcile_due()
                if time.time() >= prune_at:
                    self._fleet.prune()
                    prune_at = time.time() + PRUNE_EVERY_S

    def _timeout_s(self, prune_at: float) -> float:
        next_at = min(prune_at, self._timers[0][0]) if self._timers else prune_at
        return max(0.0, next_at - time.time())

    def _reconcile_due(self) -> None:
        now = time.time()
        keys, self._fleet.due = self._fleet.due, set()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)
            self._set_timers.remove(timer)
            keys.add(timer[1])
        self._launches = 0
        for key in keys:
            service = self._fleet.services.get(key)
            if service is not None:
                self._reconcile(service)

    def _reconcile_at(self, service: Service, at: float) -> None:
        if (at, service.key) not in self._set_timers:
            self._set_timers.add((at, service.key))
            heapq.heappush(self._timers, (at, service.key))

    def _reconcile(self, service: Service) -> None:
        """One step towards the desired state. A step that changes something makes the service due again."""
        for task in self._fleet.tasks_of(service):
            if not task.is_wanted:
                self._stop_task(service, task)
        if service.status == "ACTIVE":
            self._request_stop(service, rollout.tasks_to_stop(service, self._fleet.tasks_of(service)))
            self._launch_missing(service)
            self._settle(service)
        elif service.status == "DRAINING":
            self._drain(service)

    # Stopping

    def _stop_task(self, service: Service, task: Task) -> None:
        """Take a task that should stop one step closer to STOPPED."""
        if task.is_pending:
            self._launcher.cancel(task)
        elif task.is_running:
            task.last_status = "STOPPING"
            task.stopping_at = time.time()
            self._fleet.touch_task(task)
            self._containers.signal(task.id, signal.SIGTERM)
        else:
            kill_at = (task.stopping_at or 0.0) + self._stop_timeout_s(task)
            if time.time() >= kill_at:
                self._containers.signal(task.id, signal.SIGKILL)
            else:
                self._reconcile_at(service, kill_at)

    def _stop_timeout_s(self, task: Task) -> int:
        container = self._fleet.definitions[task.task_definition].main_container
        timeout_s: int = container.get("stopTimeout", STOP_TIMEOUT_S)
        return timeout_s

    def _drain(self, service: Service) -> None:
        tasks = self._fleet.tasks_of(service)
        self._request_stop(service, [task for task in tasks if task.is_wanted])
        if not tasks:
            service.status = "INACTIVE"
            service.ended_at = time.time()
            self._fleet.touch(service)
            self._launcher.remove_volume(service)

    def _request_stop(self, service: Service, tasks: list[Task]) -> None:
        for task in tasks:
            task.desired_status = "STOPPED"
            task.stop_code = "ServiceSchedulerInitiated"
            task.stopped_reason = f"Scaling activity initiated by (deployment {service.primary.id})"
            self._fleet.touch_task(task)
        if tasks:
            names = " ".join(f"(task {task.id})" for task in tasks)
            service.add_event(f"has stopped {len(tasks)} running tasks: {names}.")
            self._fleet.touch(service)

    # Starting

    def _launch_missing(self, service: Service) -> None:
        """Start placed tasks, then new ones, within the deployment's limits and the back-off."""
        for task in self._fleet.tasks_of(service):
            if task.is_pending and task.is_wanted:
                self._start(service, task)
        missing = rollout.missing_tasks(service, self._fleet.tasks_of(service))
        if missing and time.time() < service.retry_at:
            self._reconcile_at(service, service.retry_at)
            return
        for _ in range(missing):
            if self._launches >= LAUNCHES_PER_PASS:
                self._fleet.due.add(service.key)
                return
            if not self._launch(service):
                return

    def _launch(self, service: Service) -> bool:
        """Place and start one task. False when the service has to back off."""
        refusal = self._faults.refuse_placement(service.name)
        if refusal is not None:
            first_retry_s = self._options.first_retry_s
            rollout.record_refused_placement(service, refusal, first_retry_s=first_retry_s)
            self._fleet.touch(service)
            return False
        self._launches += 1
        task = self._launcher.place(service)
        service.add_event(f"has started 1 tasks: (task {task.id}).")
        self._fleet.touch(service)
        self._start(service, task)
        return task.last_status != "STOPPED"

    def _start(self, service: Service, task: Task) -> None:
        again_at = self._launcher.start(service, task)
        if again_at is not None:
            self._reconcile_at(service, again_at)
        elif task.last_status == "STOPPED":
            self._record_failure(service, task, ran_s=0.0)

    def _settle(self, service: Service) -> None:
        """Complete the deployment once its tasks have run long enough."""
        at = rollout.steady_at(service, self._fleet.tasks_of(service), self._options.steady_after_s)
        if at is None:
            service.is_steady = False
        elif time.time() < at:
            self._reconcile_at(service, at)
        elif rollout.complete(service):
            self._fleet.touch(service)

    # Exits

    def _record_exit(self, exit_: Exit) -> None:
        task = self._fleet.tasks[exit_.task_id]
        service = self._fleet.services[task.service_key]
        crashed = task.is_wanted
        if crashed:
            task.stop_code = "EssentialContainerExited"
            task.stopped_reason = "Essential container in task exited"
        task.exit_code = exit_.code
        self._launcher.remove_volume(service, task)
        self._fleet.finish(task)
        if crashed:
            self._record_failure(service, task, ran_s=time.time() - (task.started_at or time.time()))

    def _record_failure(self, service: Service, task: Task, *, ran_s: float) -> None:
        rollout.record_failure(service, task, ran_s=ran_s, first_retry_s=self._options.first_retry_s)
        self._fleet.touch(service)

    def _stop_all(self) -> None:
        self._fleet.wake = lambda: None  # nothing is scheduled from now on
        with self._fleet.change():
            for task_id in self._containers.pids():
                self._terminate(self._fleet.tasks[task_id])
        kill_at = time.time() + self._options.shutdown_s
        while self._containers.pids():
            if time.time() >= kill_at:
                for task_id in self._containers.pids():
                    self._containers.signal(task_id, signal.SIGKILL)
            exits = self._containers.wait(max(0.1, kill_at - time.time()))
            with self._fleet.change():
                for exit_ in exits:
                    self._record_exit(exit_)

    def _terminate(self, task: Task) -> None:
        if task.is_running:
            task.stop_code = "TerminationNotice"
            task.stopped_reason = ENDED_WITH_ECS
            task.desired_status = "STOPPED"
            task.last_status = "STOPPING"
            task.stopping_at = time.time()
            self._containers.signal(task.id, signal.SIGTERM)
