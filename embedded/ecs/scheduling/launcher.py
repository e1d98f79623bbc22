"""Starts the tasks of services as processes, or fails them with the reasons that Amazon ECS gives."""

import shutil
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from embedded.ecs.faults.rules import Faults, Rule
from embedded.ecs.logs import Discard, FleetLogs, Group, TaskOutput
from embedded.ecs.scheduling.containers import Containers, Output
from embedded.ecs.scheduling.specification import (
    environment_for,
    network_interfaces,
    tags_for_task,
    task_settings,
)
from embedded.ecs.state.fleet import Fleet
from embedded.ecs.state.model import HOST_COMMAND, Json, Service, Task


class CannotStart(Exception):
    """ECS would stop the task before its container runs, for the reason in the message."""


class Launcher:
    """Called by the scheduler's thread, with the fleet held."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        logs: FleetLogs,
        containers: Containers,
        faults: Faults,
        task_command: Sequence[str],
        volumes: Path,
    ) -> None:
        self._fleet = fleet
        self._logs = logs
        self._containers = containers
        self._faults = faults
        self._task_command = task_command
        self._volumes = volumes  #: a folder per service, with one folder per task
        self._delayed: dict[str, Rule] = {}  #: task id -> the slow start that keeps it PENDING

    def place(self, service: Service) -> Task:
        """Add a task of the service's primary deployment to the fleet. It has no process yet."""
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

    def start(self, service: Service, task: Task) -> float | None:
        """Start a placed task's process. The task is RUNNING afterwards, or STOPPED with the reason.

        A `slow_start` fault leaves it PENDING: then returns when to call again, in seconds since the epoch.
        """
        rule = self._delayed.get(task.id) or self._faults.spoil_launch(service.name)
        if rule is not None and rule.kind == "slow_start" and self._faults.is_in_force(rule):
            ready_at = task.created_at + rule.seconds
            if time.time() < ready_at:
                self._delay(task, rule)
                return ready_at
        self._delayed.pop(task.id, None)
        try:
            self._run(service, task, rule)
        except CannotStart as failure:
            task.stop_code = "TaskFailedToStart"
            task.stopped_reason = task.container_reason = str(failure)
            self._fleet.finish(task)
        else:
            task.last_status = "RUNNING"
            task.started_at = time.time()
            self._fleet.touch_task(task)
        return None

    def cancel(self, task: Task) -> None:
        """Stop a task that has no process yet. Safe to repeat."""
        self._delayed.pop(task.id, None)
        self._fleet.finish(task)

    def remove_volume(self, service: Service, task: Task | None = None) -> None:
        """Delete the task's folder, or that of the whole service. Safe to repeat."""
        folder = self._volume_of(service)
        shutil.rmtree(folder / task.id if task else folder, ignore_errors=True)

    def _delay(self, task: Task, rule: Rule) -> None:
        self._delayed[task.id] = rule
        if task.last_status != "PENDING":
            task.last_status = "PENDING"
            self._fleet.touch_task(task)

    def _run(self, service: Service, task: Task, rule: Rule | None) -> None:
        """Raises CannotStart."""
        container = self._fleet.definitions[task.task_definition].main_container
        check_container(container, rule)
        command = list(self._task_command)
        if container.get("command"):
            command = [sys.executable, *HOST_COMMAND[1:]]  # the only one that a registration may name
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
        """Raises CannotStart, as ECS does, when the log group does not exist."""
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


def check_container(container: Json, rule: Rule | None) -> None:
    """Raises CannotStart for an image or a secret that ECS could not get."""
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
