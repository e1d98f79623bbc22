"""Clusters, task definitions, services and tasks. Times are in seconds since the epoch, as the API sends them."""

import random
import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

MAX_EVENTS = 100  # per service, as ECS shows them

#: The variables that a task definition may set. Another one, such as PYTHONPATH or LD_PRELOAD, could make the task's
#: process run the caller's code as the user who started this ECS.
ALLOWED_VARIABLES = re.compile(r"(CHARGER|HOST)_[A-Z0-9_]+")

#: The command that a task definition may set, beside none, which is the charger's.
HOST_COMMAND = ["python", "-m", "simulator.host"]

Json = dict[str, Any]
Tags = list[dict[str, str]]


@dataclass
class Cluster:
    """A cluster, ACTIVE or INACTIVE."""

    name: str
    arn: str
    tags: Tags
    settings: list[Json]
    status: str = "ACTIVE"


@dataclass
class TaskDefinition:
    """A revision of a family: ACTIVE, INACTIVE or DELETE_IN_PROGRESS."""

    arn: str
    family: str
    revision: int
    body: Json  #: what was registered, as the API shows it
    tags: Tags
    registered_at: float
    status: str = "ACTIVE"
    deregistered_at: float | None = None

    @property
    def main_container(self) -> Json:
        """The first essential container. Only this one runs."""
        containers: list[Json] = self.body["containerDefinitions"]
        return next(container for container in containers if container.get("essential", True))


@dataclass
class Deployment:
    """One version of a service. The newest is PRIMARY; older ones stay ACTIVE until their tasks are gone."""

    id: str
    task_definition: str
    settings: Json  #: the request's launchType, networkConfiguration and the like
    created_at: float
    updated_at: float
    status: str = "PRIMARY"
    rollout_state: str = "IN_PROGRESS"
    rollout_state_reason: str = ""
    failed_tasks: int = 0

    def complete(self) -> None:
        """All tasks run."""
        self.rollout_state = "COMPLETED"
        self.rollout_state_reason = f"ECS deployment {self.id} completed."
        self.updated_at = time.time()

    def fail(self) -> None:
        """The circuit breaker ended it."""
        self.rollout_state = "FAILED"
        self.rollout_state_reason = "ECS deployment circuit breaker: tasks failed to start."
        self.updated_at = time.time()


@dataclass
class Service:
    """A service: ACTIVE, DRAINING or INACTIVE."""

    key: str  #: cluster/name
    name: str
    arn: str
    cluster: str
    cluster_arn: str
    desired_count: int
    settings: Json  #: the request's other fields, under their API names
    tags: Tags
    request: Json  #: the CreateService request, to recognize a repeat
    created_at: float
    status: str = "ACTIVE"
    deployments: list[Deployment] = field(default_factory=list)  #: PRIMARY first
    events: list[Json] = field(default_factory=list)  #: newest first
    is_steady: bool = False
    #: The task definition that the circuit breaker rolls back to.
    last_good_task_definition: str | None = None
    ended_at: float | None = None
    quick_failures: int = 0  #: in a row; decides the back-off
    retry_at: float = 0.0  #: no task is launched earlier

    @property
    def primary(self) -> Deployment:
        return self.deployments[0]

    def begin_deployment(self, task_definition: str, settings: Json) -> None:
        """Make a new deployment PRIMARY. The older ones end when their tasks are gone."""
        for deployment in self.deployments:
            deployment.status = "ACTIVE"
        identifier = f"ecs-svc/{random.randrange(10**18, 10**19)}"  # noqa: S311 - a name
        now = time.time()
        deployment = Deployment(identifier, task_definition, settings, created_at=now, updated_at=now)
        deployment.rollout_state_reason = f"ECS deployment {identifier} in progress."
        self.deployments.insert(0, deployment)
        self.is_steady = False
        self.quick_failures = 0
        self.retry_at = 0.0

    def add_event(self, message: str) -> None:
        """Add an event, and drop the oldest above MAX_EVENTS."""
        event = {
            "id": str(uuid.uuid4()),
            "createdAt": time.time(),
            "message": f"(service {self.name}) {message}",
        }
        self.events.insert(0, event)
        del self.events[MAX_EVENTS:]

    def percent(self, name: str, default: int) -> int:
        """A field of deploymentConfiguration."""
        value: int | None = self.settings.get("deploymentConfiguration", {}).get(name)
        return default if value is None else value

    @property
    def max_tasks(self) -> int:
        """How many tasks may exist during a deployment. ECS rounds down."""
        return self.desired_count * self.percent("maximumPercent", 200) // 100

    @property
    def min_running_tasks(self) -> int:
        """How many tasks must keep running during a deployment. ECS rounds up."""
        return -(-self.desired_count * self.percent("minimumHealthyPercent", 100) // 100)

    @property
    def breaker(self) -> Json:
        """The settings of the circuit breaker; empty without one."""
        breaker: Json = self.settings.get("deploymentConfiguration", {}).get("deploymentCircuitBreaker") or {}
        return breaker

    @property
    def breaker_threshold(self) -> int:
        """How many failed tasks end a deployment: half of the desired count, at least 3, at most 200."""
        return min(max(-(-self.desired_count // 2), 3), 200)


@dataclass
class Task:
    """A task of a service, from PROVISIONING to STOPPED."""

    id: str
    arn: str
    cluster_arn: str
    service_key: str
    service_name: str
    deployment_id: str
    task_definition: str
    container: Json  #: name and image of the container that runs
    settings: Json  #: launchType, cpu, memory, platformVersion
    tags: Tags
    attachments: list[Json]
    created_at: float
    log_group: str | None = None
    log_stream: str | None = None
    version: int = 1
    last_status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    started_at: float | None = None
    stopping_at: float | None = None
    stopped_at: float | None = None
    stop_code: str | None = None
    stopped_reason: str | None = None
    exit_code: int | None = None
    container_reason: str | None = None

    @property
    def is_pending(self) -> bool:
        return self.last_status in {"PROVISIONING", "PENDING", "ACTIVATING"}

    @property
    def is_running(self) -> bool:
        return self.last_status == "RUNNING"

    @property
    def is_wanted(self) -> bool:
        return self.desired_status == "RUNNING" and self.last_status != "STOPPED"


def service_from_record(record: Json) -> Service:
    """The service of a stored record."""
    deployments = [Deployment(**deployment) for deployment in record.pop("deployments")]
    return Service(**record, deployments=deployments)
