"""The service scheduler: makes the processes agree with the services, one pass of one thread at a time."""

import heapq
import logging
import os
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import embedded
from embedded.ecs.api.definitions import VARIABLES
from embedded.ecs.faults.rules import Faults, Rule
from embedded.ecs.logs import Discard, FleetLogs, Group, TaskOutput
from embedded.ecs.scheduling.containers import Containers, Exit, Output
from embedded.ecs.state.fleet import ENDED_WITH_ECS, Fleet
from embedded.ecs.state.model import Json, Service, Task, TaskDefinition

log = logging.getLogger(__name__)

STEADY_AFTER_S = 3.0  # a task that lives this long has started
RAN_WELL_S = 10.0  # after such a run the back-off begins anew
FIRST_RETRY_S = 1.0
MOST_RETRY_S = 60.0
FAILURES_IN_A_ROW = 3  # ECS says then that it is unable to start tasks
STOP_TIMEOUT_S = 30  # of a container definition that does not say
SHUTDOWN_S = 6.0  # for all tasks together when the embedded ECS itself stops
LAUNCHES_PER_PASS = 4  # API calls are answered between two passes
EXPIRE_EVERY_S = 60.0

#: What a task gets of our own environment; everything else stays here.
HANDED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "VIRTUAL_ENV",
    "SYSTEMROOT",
    "LD_LIBRARY_PATH",
)
HANDED_ON_PREFIXES = ("PYTHON", "LC_", "SSL_CERT_")


class CannotStart(Exception):
    """ECS would end the task before its container runs, for the reason in the message."""


@dataclass(frozen=True)
class Options:
    task_command: Sequence[str] = (sys.executable, "-m", "simulator")
    steady_after_s: float = STEADY_AFTER_S
    first_retry_s: float = FIRST_RETRY_S
    shutdown_s: float = SHUTDOWN_S


class Scheduler(threading.Thread):
    """Starts every process itself: on Linux they end with the thread that started them."""

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
        super().__init__(name="scheduler")
        self._ended = ended
        self._fleet = fleet
        self._logs = logs
        self._containers = containers
        self._faults = faults
        self._options = options
        self._volumes = volumes  #: a folder per service, in it one per task, which goes with the task
        self._timers: list[tuple[float, str]] = []  #: a heap of when and which service
        self._set_timers: set[tuple[float, str]] = set()  #: the same, to set none twice
        self._held: dict[str, Rule] = {}  #: tasks that a slow start keeps PENDING
        self._launches = 0
        self._stopping = False
        self.failed = True  #: unless the thread came to its end
        fleet.wake = containers.wake
        faults.changed = self.forgive

    def forgive(self) -> None:
        """Try again at once whatever waits for its next attempt."""
        with self._fleet.change():
            for service in self._fleet.services.values():
                service.retry_at = 0.0
                self._fleet.due.add(service.key)

    def stop(self) -> None:
        """End all tasks and the thread; the services stay as they are for the next run."""
        self._stopping = True
        self._containers.wake()
        self.join()

    def run(self) -> None:
        try:
            self._schedule()
            self._end_all()
            self.failed = False
        finally:
            self._ended()

    def _schedule(self) -> None:
        expire_at = 0.0
        while not self._stopping:
            exits = self._containers.wait(self._timeout_s(expire_at))
            with self._fleet.change():
                for exit_ in exits:
                    self._bury(exit_)
                self._pass()
                if time.time() >= expire_at:
                    self._fleet.expire()
                    expire_at = time.time() + EXPIRE_EVERY_S

    def _timeout_s(self, expire_at: float) -> float:
        next_at = min(expire_at, self._timers[0][0]) if self._timers else expire_at
        return max(0.0, next_at - time.time())

    def _pass(self) -> None:
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
                self._look_at(service)

    def _look_again(self, service: Service, at: float) -> None:
        if (at, service.key) not in self._set_timers:
            self._set_timers.add((at, service.key))
            heapq.heappush(self._timers, (at, service.key))

    def _look_at(self, service: Service) -> None:
        """One step towards what is wanted. A step that changes something leads to another look."""
        for task in self._fleet.tasks_of(service):
            if not task.is_wanted:
                self._end(service, task)
        if service.status == "ACTIVE":
            self._stop_surplus(service)
            self._launch_missing(service)
            self._judge(service)
        elif service.status == "DRAINING":
            self._drain(service)

    # Stopping

    def _end(self, service: Service, task: Task) -> None:
        """Bring a task that should stop one step nearer to STOPPED."""
        if task.is_pending:
            self._held.pop(task.id, None)
            self._fleet.finish(task)
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
                self._look_again(service, kill_at)

    def _stop_timeout_s(self, task: Task) -> int:
        timeout: int = self._fleet.definitions[task.task_definition].main_container.get(
            "stopTimeout", STOP_TIMEOUT_S
        )
        return timeout

    def _drain(self, service: Service) -> None:
        tasks = self._fleet.tasks_of(service)
        self._ask_to_stop(service, [task for task in tasks if task.is_wanted])
        if not tasks:
            service.status = "INACTIVE"
            service.ended_at = time.time()
            self._fleet.touch(service)
            shutil.rmtree(self._volume_of(service), ignore_errors=True)

    def _stop_surplus(self, service: Service) -> None:
        """Tasks beyond the desired count, and those of older deployments when enough others run."""
        wanted = [task for task in self._fleet.tasks_of(service) if task.is_wanted]
        current = [task for task in wanted if task.deployment_id == service.primary.id]
        old = [task for task in wanted if task.deployment_id != service.primary.id]
        current.sort(key=lambda task: (task.is_running, -task.created_at))  # idle and young ones first
        surplus = current[: max(0, len(current) - service.desired_count)]
        if service.primary.rollout_state == "FAILED" and service.desired_count:
            old = old[service.desired_count :]
        else:
            healthy = sum(task.is_running for task in wanted)
            spare = max(0, healthy - service.fewest_healthy)
            idle = [task for task in old if not task.is_running]
            old = idle + [task for task in old if task.is_running][:spare]
        self._ask_to_stop(service, surplus + old)

    def _ask_to_stop(self, service: Service, tasks: list[Task]) -> None:
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
        """As many as are wanted, as the deployment's limits and the back-off allow."""
        for task in self._fleet.tasks_of(service):
            if task.is_pending and task.is_wanted:
                self._start(service, task)
        tasks = self._fleet.tasks_of(service)
        current = [task for task in tasks if task.is_wanted and task.deployment_id == service.primary.id]
        # A task counts until its process is gone: that is what keeps two of a kind apart.
        room = service.most_tasks - len(tasks)
        missing = min(service.desired_count - len(current), room)
        if missing <= 0 or service.primary.rollout_state == "FAILED":
            return
        if time.time() < service.retry_at:
            self._look_again(service, service.retry_at)
            return
        for _ in range(missing):
            if self._launches >= LAUNCHES_PER_PASS:
                self._fleet.due.add(service.key)
                return
            refusal = self._faults.refuse_placement(service.name)
            if refusal is not None:
                service.add_event(f"was unable to place a task. Reason: {refusal}")
                self._back_off(service)
                return
            self._launches += 1
            task = self._place(service)
            service.add_event(f"has started 1 tasks: (task {task.id}).")
            self._fleet.touch(service)
            self._start(service, task)
            if task.last_status == "STOPPED":
                return

    def _place(self, service: Service) -> Task:
        definition = self._fleet.definitions[service.primary.task_definition]
        container = definition.main_container
        task_id = uuid.uuid4().hex
        task = Task(
            id=task_id,
            arn=service.cluster_arn.replace(":cluster/", ":task/") + f"/{task_id}",
            cluster_arn=service.cluster_arn,
            service_key=service.key,
            service_name=service.name,
            deployment_id=service.primary.id,
            task_definition=definition.arn,
            container={"name": container["name"], "image": container["image"]},
            settings=task_settings(service, definition),
            tags=tags_for_task(service, definition),
            attachments=network_interfaces(service, definition),
            created_at=time.time(),
        )
        self._fleet.add_task(task)
        return task

    def _start(self, service: Service, task: Task) -> None:
        """Make a placed task run, or fail as ECS would; a slow start is looked at again."""
        rule = self._held.get(task.id)
        if rule is None:
            rule = self._faults.spoil_launch(service.name)
        if rule is not None and rule.kind == "slow_start" and self._faults.holds(rule):
            ready_at = task.created_at + rule.seconds
            if time.time() < ready_at:
                self._held[task.id] = rule
                if task.last_status != "PENDING":
                    task.last_status = "PENDING"
                    self._fleet.touch_task(task)
                self._look_again(service, ready_at)
                return
        self._held.pop(task.id, None)
        definition = self._fleet.definitions[task.task_definition]
        container = definition.main_container
        try:
            self._run(service, task, container, rule)
        except CannotStart as failure:
            task.stop_code = "TaskFailedToStart"
            task.stopped_reason = task.container_reason = str(failure)
            self._fleet.finish(task)
            self._count_failure(service, task, ran_s=0.0)
            return
        task.last_status = "RUNNING"
        task.started_at = time.time()
        self._fleet.touch_task(task)

    def _run(self, service: Service, task: Task, container: Json, rule: Rule | None) -> None:
        """Start the task's process. Raises CannotStart."""
        if rule is not None and rule.kind == "cannot_pull_image":
            raise CannotStart(
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref"
                f" {container['image']}: {container['image']}: not found"
            )
        if container.get("secrets"):
            raise CannotStart(
                "ResourceInitializationError: unable to pull secrets or registry auth:"
                " the embedded Amazon ECS has no secret store"
            )
        command = list(self._options.task_command)
        if rule is not None and rule.kind == "exit_at_once":
            command = [sys.executable, "-I", "-S", "-c", f"raise SystemExit({rule.exit_code})"]
        output = self._open_log(task, container)
        volume = self._volume_of(service) / task.id
        try:
            volume.mkdir(parents=True)
            self._containers.start(task.id, command, environment_for(container), volume, output)
        except OSError as error:
            shutil.rmtree(volume, ignore_errors=True)
            raise CannotStart(f"CannotStartContainerError: {error}") from error

    def _volume_of(self, service: Service) -> Path:
        return self._volumes / service.cluster / service.name

    def _open_log(self, task: Task, container: Json) -> Output:
        """Raises CannotStart as ECS does when the log group is missing."""
        configuration = container.get("logConfiguration") or {}
        if configuration.get("logDriver") != "awslogs":
            return Discard()
        options = configuration.get("options", {})
        name = options.get("awslogs-group", "")
        if options.get("awslogs-create-group") == "true":
            self._logs.ensure_log_group(name)
        group = self._logs.groups.get(name)
        if not isinstance(group, Group):
            raise CannotStart(
                "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times:"
                f" failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group {name!r}"
                " does not exist. : exit status 1"
            )
        prefix = options.get("awslogs-stream-prefix")
        stream = f"{prefix}/{container['name']}/{task.id}" if prefix else task.id
        return TaskOutput(group, stream)

    # What became of them

    def _bury(self, exit_: Exit) -> None:
        task = self._fleet.tasks[exit_.task_id]
        service = self._fleet.services[task.service_key]
        crashed = task.is_wanted
        if crashed:
            task.stop_code = "EssentialContainerExited"
            task.stopped_reason = "Essential container in task exited"
        task.exit_code = exit_.code
        shutil.rmtree(self._volume_of(service) / task.id, ignore_errors=True)
        self._fleet.finish(task)
        if crashed:
            self._count_failure(service, task, ran_s=time.time() - (task.started_at or time.time()))

    def _count_failure(self, service: Service, task: Task, *, ran_s: float) -> None:
        service.quick_failures = service.quick_failures + 1 if ran_s < RAN_WELL_S else 1
        if service.quick_failures >= FAILURES_IN_A_ROW:
            service.add_event(
                "is unable to consistently start tasks successfully. For more information, see the"
                " Troubleshooting section of the Amazon ECS Developer Guide."
            )
        deployment = service.primary
        if task.deployment_id == deployment.id and deployment.rollout_state == "IN_PROGRESS":
            deployment.failed_tasks += 1
            deployment.updated_at = time.time()
            if service.breaker.get("enable") and deployment.failed_tasks >= service.breaker_threshold:
                self._break(service)
        self._wait_before_retry(service)
        self._fleet.touch(service)

    def _back_off(self, service: Service) -> None:
        service.quick_failures += 1
        self._wait_before_retry(service)
        self._fleet.touch(service)

    def _wait_before_retry(self, service: Service) -> None:
        doublings = min(service.quick_failures - 1, 10)
        service.retry_at = time.time() + min(self._options.first_retry_s * 2**doublings, MOST_RETRY_S)
        service.is_steady = False

    def _break(self, service: Service) -> None:
        """The circuit breaker: no more launches of this deployment, and back to the last good one if asked."""
        failed = service.primary
        failed.fail()
        service.add_event(f"(deployment {failed.id}) deployment failed: tasks failed to start.")
        good = service.last_good_task_definition
        if service.breaker.get("rollback") and good is not None and good != failed.task_definition:
            service.begin_deployment(good, failed.settings)
            service.primary.rollout_state_reason = (
                f"ECS deployment circuit breaker: rolling back to task definition {good.rsplit('/', 1)[-1]}."
            )

    def _judge(self, service: Service) -> None:
        """Say when a deployment is complete and the service is steady."""
        tasks = self._fleet.tasks_of(service)
        deployment = service.primary
        running = [task for task in tasks if task.is_running and task.is_wanted]
        current = [task for task in running if task.deployment_id == deployment.id]
        if len(tasks) != service.desired_count or len(current) != service.desired_count:
            service.is_steady = False
            return
        steady_at = (
            max((task.started_at or 0.0 for task in current), default=0.0) + self._options.steady_after_s
        )
        if current and time.time() < steady_at:
            self._look_again(service, steady_at)
            return
        if deployment.rollout_state == "IN_PROGRESS":
            deployment.failed_tasks = 0
            deployment.complete()
            service.last_good_task_definition = deployment.task_definition
            service.add_event(f"(deployment {deployment.id}) deployment completed.")
            self._fleet.touch(service)
        if len(service.deployments) > 1:
            del service.deployments[1:]
            self._fleet.touch(service)
        if not service.is_steady:
            service.is_steady = True
            service.add_event("has reached a steady state.")
            self._fleet.touch(service)

    # The end

    def _end_all(self) -> None:
        self._fleet.wake = lambda: None  # nothing is scheduled any more
        with self._fleet.change():
            for task_id in self._containers.pids():
                task = self._fleet.tasks[task_id]
                if task.is_running:
                    task.stop_code = "TerminationNotice"
                    task.stopped_reason = ENDED_WITH_ECS
                    task.desired_status = "STOPPED"
                    task.last_status = "STOPPING"
                    task.stopping_at = time.time()
                    self._containers.signal(task_id, signal.SIGTERM)
        kill_at = time.time() + self._options.shutdown_s
        while self._containers.pids():
            if time.time() >= kill_at:
                for task_id in self._containers.pids():
                    self._containers.signal(task_id, signal.SIGKILL)
            exits = self._containers.wait(max(0.1, kill_at - time.time()))
            with self._fleet.change():
                for exit_ in exits:
                    self._bury(exit_)


def environment_for(container: Json) -> dict[str, str]:
    """What the process gets: the definition's variables on a clean base, and nothing secret of ours.

    No CHARGER_STATE_FILE either: what a charger remembers goes with its task, as on Fargate.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in HANDED_ON or name.startswith(HANDED_ON_PREFIXES)
    }
    root = str(Path(embedded.__file__).parent.parent)  # the task's folder is not the project's
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
    environment["PYTHONUNBUFFERED"] = "1"
    given = {pair["name"]: pair["value"] for pair in container.get("environment", [])}
    # Checked when it was registered, but the file may hold a definition of an earlier version.
    return {name: value for name, value in given.items() if VARIABLES.fullmatch(name)} | environment


def task_settings(service: Service, definition: TaskDefinition) -> Json:
    settings: Json = {
        "launchType": service.settings.get("launchType", "EC2"),
        "connectivity": "CONNECTED",
        "availabilityZone": f"{service.arn.split(':')[3]}a",
        "enableExecuteCommand": service.settings.get("enableExecuteCommand", False),
    }
    strategy = service.settings.get("capacityProviderStrategy")
    if strategy:
        settings["capacityProviderName"] = strategy[0]["capacityProvider"]
        settings["launchType"] = "FARGATE" if strategy[0]["capacityProvider"].startswith("FARGATE") else "EC2"
    if settings["launchType"] == "FARGATE":
        settings |= {"platformVersion": "1.4.0", "platformFamily": "Linux"}
    for name in ("cpu", "memory"):
        if definition.body.get(name):
            settings[name] = definition.body[name]
    return settings


def tags_for_task(service: Service, definition: TaskDefinition) -> list[dict[str, str]]:
    """Tags reach a task only here, when it is made."""
    source = service.settings.get("propagateTags", "NONE")
    tags = {"SERVICE": service.tags, "TASK_DEFINITION": definition.tags}.get(source, [])
    managed = []
    if service.settings.get("enableECSManagedTags"):
        managed = [
            {"key": "aws:ecs:clusterName", "value": service.cluster},
            {"key": "aws:ecs:serviceName", "value": service.name},
        ]
    return [*tags, *managed]


def network_interfaces(service: Service, definition: TaskDefinition) -> list[Json]:
    if definition.body.get("networkMode") != "awsvpc":
        return []
    subnet = service.settings["networkConfiguration"]["awsvpcConfiguration"]["subnets"][0]
    identifier = uuid.uuid4()
    return [
        {
            "id": str(identifier),
            "type": "ElasticNetworkInterface",
            "status": "ATTACHED",
            "details": [
                {"name": "subnetId", "value": subnet},
                {"name": "networkInterfaceId", "value": f"eni-{identifier.hex[:17]}"},
                {"name": "privateIPv4Address", "value": "127.0.0.1"},
            ],
        }
    ]
