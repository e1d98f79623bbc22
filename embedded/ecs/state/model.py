"""What the embedded ECS knows of a service and of its tasks, and how Amazon's API shows them.

Times are seconds since the epoch, which is also how the API sends them.
"""

import random
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

KEPT_EVENTS = 100  # ECS shows the last 100 of a service

Json = dict[str, Any]
Tags = list[dict[str, str]]


@dataclass
class Cluster:
    name: str
    arn: str
    tags: Tags
    settings: list[Json]
    status: str = "ACTIVE"


@dataclass
class TaskDefinition:
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
        """The one that decides about the task; the others of a definition are not run."""
        containers: list[Json] = self.body["containerDefinitions"]
        return next(container for container in containers if container.get("essential", True))


@dataclass
class Deployment:
    """One version of a service; the newest is PRIMARY, older ones stay ACTIVE until their tasks are gone."""

    id: str
    task_definition: str
    settings: Json  #: launchType, networkConfiguration and the like, as the request named them
    created_at: float
    updated_at: float
    status: str = "PRIMARY"
    rollout_state: str = "IN_PROGRESS"
    rollout_state_reason: str = ""
    failed_tasks: int = 0

    def complete(self) -> None:
        self.rollout_state = "COMPLETED"
        self.rollout_state_reason = f"ECS deployment {self.id} completed."
        self.updated_at = time.time()

    def fail(self) -> None:
        self.rollout_state = "FAILED"
        self.rollout_state_reason = "ECS deployment circuit breaker: tasks failed to start."
        self.updated_at = time.time()


@dataclass
class Service:
    key: str  #: cluster/name
    name: str
    arn: str
    cluster: str
    cluster_arn: str
    desired_count: int
    settings: Json  #: what the request said beyond the fields here, in its own words
    tags: Tags
    request: Json  #: the whole CreateService request, to know a repeat
    created_at: float
    status: str = "ACTIVE"
    deployments: list[Deployment] = field(default_factory=list)  #: PRIMARY first
    events: list[Json] = field(default_factory=list)  #: newest first
    is_steady: bool = False
    #: The task definition to go back to when the circuit breaker is told to roll back.
    last_good_task_definition: str | None = None
    ended_at: float | None = None
    quick_failures: int = 0  #: in a row; decides the back-off
    retry_at: float = 0.0  #: no launch before

    @property
    def primary(self) -> Deployment:
        return self.deployments[0]

    def begin_deployment(self, task_definition: str, settings: Json) -> None:
        """Let a new deployment take over; the older ones go when their tasks are gone."""
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
        event = {
            "id": str(uuid.uuid4()),
            "createdAt": time.time(),
            "message": f"(service {self.name}) {message}",
        }
        self.events.insert(0, event)
        del self.events[KEPT_EVENTS:]

    def percent(self, name: str, default: int) -> int:
        value: int | None = self.settings.get("deploymentConfiguration", {}).get(name)
        return default if value is None else value

    @property
    def most_tasks(self) -> int:
        """How many may exist during a deployment; ECS rounds down."""
        return self.desired_count * self.percent("maximumPercent", 200) // 100

    @property
    def fewest_healthy(self) -> int:
        """How many must keep running during a deployment; ECS rounds up."""
        return -(-self.desired_count * self.percent("minimumHealthyPercent", 100) // 100)

    @property
    def breaker(self) -> Json:
        breaker: Json = self.settings.get("deploymentConfiguration", {}).get("deploymentCircuitBreaker") or {}
        return breaker

    @property
    def breaker_threshold(self) -> int:
        """Failed starts that end a deployment: half of what is desired, at least 3, at most 200."""
        return min(max(-(-self.desired_count // 2), 3), 200)


@dataclass
class Task:
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
    deployments = [Deployment(**deployment) for deployment in record.pop("deployments")]
    return Service(**record, deployments=deployments)


def show_service(service: Service, tasks: list[Task], *, with_tags: bool) -> Json:
    """The service as DescribeServices answers it; `tasks` are its unfinished ones."""
    settings = service.settings
    shown: Json = {
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": service.cluster_arn,
        "status": service.status,
        "desiredCount": service.desired_count,
        "runningCount": sum(task.is_running for task in tasks),
        "pendingCount": sum(task.is_pending for task in tasks),
        "taskDefinition": service.primary.task_definition,
        "deployments": [_show_deployment(deployment, service, tasks) for deployment in service.deployments],
        "events": service.events,
        "createdAt": service.created_at,
        "roleArn": service.arn.split(":ecs:")[0]
        + f":iam::{service.arn.split(':')[4]}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS",
        "loadBalancers": [],
        "serviceRegistries": [],
        "placementConstraints": [],
        "placementStrategy": [],
        "schedulingStrategy": "REPLICA",
        "deploymentController": {"type": "ECS"},
        "enableECSManagedTags": False,
        "enableExecuteCommand": False,
        "propagateTags": "NONE",
        **settings,
    }
    shown["deploymentConfiguration"] = {
        "maximumPercent": service.percent("maximumPercent", 200),
        "minimumHealthyPercent": service.percent("minimumHealthyPercent", 100),
        **settings.get("deploymentConfiguration", {}),
    }
    if "FARGATE" in service.settings.get("launchType", ""):
        shown.setdefault("platformFamily", "Linux")
    if with_tags:
        shown["tags"] = service.tags
    return shown


def _show_deployment(deployment: Deployment, service: Service, tasks: list[Task]) -> Json:
    mine = [task for task in tasks if task.deployment_id == deployment.id]
    wanted = [task for task in mine if task.is_wanted]
    return {
        "id": deployment.id,
        "status": deployment.status,
        "taskDefinition": deployment.task_definition,
        "desiredCount": service.desired_count if deployment.status == "PRIMARY" else len(wanted),
        "runningCount": sum(task.is_running for task in mine),
        "pendingCount": sum(task.is_pending for task in mine),
        "failedTasks": deployment.failed_tasks,
        "createdAt": deployment.created_at,
        "updatedAt": deployment.updated_at,
        "rolloutState": deployment.rollout_state,
        "rolloutStateReason": deployment.rollout_state_reason,
        **deployment.settings,
    }


def show_task(task: Task, *, with_tags: bool) -> Json:
    """The task as DescribeTasks answers it: what is not known yet is absent, as there."""
    container = {
        "containerArn": task.arn.replace(":task/", ":container/") + f"/{task.id}",
        "taskArn": task.arn,
        "name": task.container["name"],
        "image": task.container["image"],
        "lastStatus": task.last_status if task.last_status in {"RUNNING", "STOPPED"} else "PENDING",
        "networkBindings": [],
        "networkInterfaces": [],
        "healthStatus": "UNKNOWN",
    }
    if task.last_status in {"DEACTIVATING", "STOPPING"}:
        container["lastStatus"] = "RUNNING"
    if task.exit_code is not None:
        container["exitCode"] = task.exit_code
    if task.container_reason is not None:
        container["reason"] = task.container_reason
    optional = {
        "startedAt": task.started_at,
        "stoppingAt": task.stopping_at,
        "stoppedAt": task.stopped_at,
        "executionStoppedAt": task.stopped_at if task.started_at else None,
        "stopCode": task.stop_code,
        "stoppedReason": task.stopped_reason,
    }
    return {
        "taskArn": task.arn,
        "clusterArn": task.cluster_arn,
        "taskDefinitionArn": task.task_definition,
        "group": f"service:{task.service_name}",
        "startedBy": task.deployment_id,
        "lastStatus": task.last_status,
        "desiredStatus": task.desired_status,
        "containers": [container],
        "attachments": task.attachments,
        "createdAt": task.created_at,
        "healthStatus": "UNKNOWN",
        "overrides": {"containerOverrides": [{"name": task.container["name"]}]},
        "tags": task.tags if with_tags else [],
        "version": task.version,
        **task.settings,
        **{name: value for name, value in optional.items() if value is not None},
    }
