"""Read ECS's descriptions of a service and of a task."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ServiceTypeDef, TaskTypeDef


@dataclass(frozen=True, slots=True)
class ServiceView:
    """The fields that the worker uses of a service's description."""

    name: str
    status: str  #: ACTIVE, DRAINING or INACTIVE
    desired_count: int
    running_count: int
    pending_count: int
    task_definition_arn: str | None
    deployed: bool  #: the newest deployment is the only one, and runs its desired count
    rollout_failure: str | None  #: the circuit breaker's reason, when the deployment has failed
    event: str | None  #: the newest service event's text

    @property
    def active(self) -> bool:
        """True while the service can be updated."""
        return self.status == "ACTIVE"


@dataclass(frozen=True, slots=True)
class TaskView:
    """The fields that the worker uses of a task's description."""

    arn: str
    last_status: str
    stopped_reason: str | None
    exit_code: int | None
    created_at: datetime | None
    desired_status: str
    task_definition_arn: str | None

    @property
    def running(self) -> bool:
        """True while the process runs and no stop was requested."""
        return self.last_status == "RUNNING" and self.desired_status == "RUNNING"

    @property
    def stopped(self) -> bool:
        """True once the process is gone, not while it is stopping."""
        return self.last_status == "STOPPED"


def service_view(service: "ServiceTypeDef") -> ServiceView:
    """Raises KeyError when the description is cut."""
    deployments = service.get("deployments", [])
    primary = next((deployment for deployment in deployments if deployment.get("status") == "PRIMARY"), None)
    failed = primary is not None and primary.get("rolloutState") == "FAILED"
    events = service.get("events", [])
    return ServiceView(
        name=service["serviceName"],
        status=service["status"],
        desired_count=service["desiredCount"],
        running_count=service.get("runningCount", 0),
        pending_count=service.get("pendingCount", 0),
        task_definition_arn=service.get("taskDefinition"),
        deployed=(
            primary is not None
            and len(deployments) == 1
            and primary.get("runningCount", 0) == service["desiredCount"]
            # After a failed start a running task may fail as well, until ECS reports COMPLETED.
            and (not primary.get("failedTasks") or primary.get("rolloutState") == "COMPLETED")
        ),
        rollout_failure=primary.get("rolloutStateReason") if primary is not None and failed else None,
        event=events[0].get("message") if events else None,
    )


def task_view(task: "TaskTypeDef") -> TaskView:
    """Raises KeyError when the description is cut."""
    codes = [container["exitCode"] for container in task.get("containers", []) if "exitCode" in container]
    return TaskView(
        arn=task["taskArn"],
        last_status=task.get("lastStatus", ""),
        stopped_reason=task.get("stoppedReason"),
        exit_code=codes[0] if codes else None,
        created_at=task.get("createdAt"),
        desired_status=task.get("desiredStatus", ""),
        task_definition_arn=task.get("taskDefinitionArn"),
    )
