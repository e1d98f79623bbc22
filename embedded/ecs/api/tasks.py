"""The actions on tasks."""

from embedded.ecs.api.paging import page
from embedded.ecs.api.views import show_task
from embedded.ecs.errors import InvalidParameterException, ServiceNotFoundException
from embedded.ecs.state.fleet import Fleet
from embedded.ecs.state.model import Cluster, Json, Task

MAX_REASON_LENGTH = 1_024
MAX_DESCRIBED = 100


class TasksApi:
    """One method per action: takes the request's JSON, returns the answer's, raises ECS's errors. Call with the fleet held."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def list_tasks(self, request: Json) -> Json:
        cluster = self._fleet.cluster(request.get("cluster") or "default")
        service_name = (request.get("serviceName") or "").rsplit("/", 1)[-1]
        if request.get("serviceName") and f"{cluster.name}/{service_name}" not in self._fleet.services:
            raise ServiceNotFoundException
        desired_status = request.get("desiredStatus", "RUNNING")
        if desired_status not in {"RUNNING", "PENDING", "STOPPED"}:
            raise InvalidParameterException("The desired status is one of RUNNING, PENDING, STOPPED.")
        arns = [
            task.arn
            for task in self._fleet.tasks.values()
            if task.cluster_arn == cluster.arn
            and task.desired_status == desired_status
            and service_name in {"", task.service_name}
            and request.get("startedBy") in {None, task.deployment_id}
            and request.get("family") in {None, family_of(task)}
            and request.get("launchType") in {None, task.settings.get("launchType")}
            and not request.get("containerInstance")
        ]
        return page(request, "taskArns", arns, default=100)

    def describe_tasks(self, request: Json) -> Json:
        cluster = self._fleet.cluster(request.get("cluster") or "default")
        names: list[str] = list(dict.fromkeys(request.get("tasks") or []))
        if not names:
            raise InvalidParameterException("Tasks cannot be empty.")
        if len(names) > MAX_DESCRIBED:
            raise InvalidParameterException(f"Cannot describe more than {MAX_DESCRIBED} tasks.")
        with_tags = "TAGS" in (request.get("include") or [])
        tasks, failures = [], []
        for name in names:
            task = self._find(cluster, name)
            if task is not None:
                tasks.append(show_task(task, with_tags=with_tags))
            else:
                arn = (
                    name
                    if name.startswith("arn:")
                    else f"{cluster.arn.replace(':cluster/', ':task/')}/{name}"
                )
                failures.append({"arn": arn, "reason": "MISSING"})
        return {"tasks": tasks, "failures": failures}

    def stop_task(self, request: Json) -> Json:
        """Safe to repeat: a task that is stopping or stopped does not change."""
        cluster = self._fleet.cluster(request.get("cluster") or "default")
        task = self._find(cluster, request.get("task") or "")
        if task is None:
            raise InvalidParameterException("The referenced task was not found.")
        reason = request.get("reason") or "Task stopped by user"
        if len(reason) > MAX_REASON_LENGTH:
            raise InvalidParameterException(f"The reason can have {MAX_REASON_LENGTH} characters at most.")
        if task.is_wanted:
            task.desired_status = "STOPPED"
            task.stop_code = "UserInitiated"
            task.stopped_reason = reason
            self._fleet.touch_task(task)
        return {"task": show_task(task, with_tags=True)}

    def _find(self, cluster: Cluster, name: str) -> Task | None:
        task = self._fleet.tasks.get(name.rsplit("/", 1)[-1])
        return task if task is not None and task.cluster_arn == cluster.arn else None


def family_of(task: Task) -> str:
    """The family of the task's definition."""
    return task.task_definition.rsplit("/", 1)[-1].split(":")[0]
