"""Amazon ECS as the worker needs it. With worker/observe/logs.py the only code that calls boto3.

Every call raises exactly two errors: EcsUnavailable is tried again, EcsRejected is written down. "No
exception" is not success: botocore returns a cut 200 answer as an empty dictionary, so answers are checked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal
from uuid import NAMESPACE_URL, uuid5

import boto3
from botocore.config import Config

from shared.settings import EcsSettings
from worker.broker.pool import MAX_GROWTH
from worker.ecs.budget import Budget
from worker.ecs.errors import (
    EcsRejected,
    EcsUnavailable,
    NoSuchService,
    TaskDefinitionMissing,
    required,
    two_errors,
)
from worker.ecs.requests import SPEC_TAG, definition, digest, network, placement, request_of, tags_of
from worker.ecs.views import ServiceView, TaskView, service_view, task_view

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import (
        DeploymentConfigurationUnionTypeDef,
    )

__all__ = ["EcsClient", "EcsRejected", "EcsUnavailable", "ServiceView", "TaskDefinitionMissing", "TaskView"]

ATTEMPTS = 2  # of botocore, within a call; the longer waits are the row's

DESCRIBE_SERVICES_LIMIT = 10  # names in a call, ECS API reference
DESCRIBE_TASKS_LIMIT = 100
DELETE_TASK_DEFINITIONS_LIMIT = 10

DEPLOYMENT: "DeploymentConfigurationUnionTypeDef" = {
    # The old task ends before the new one starts: never two sessions with one identity.
    "minimumHealthyPercent": 0,
    "maximumPercent": 100,
    # Three failed starts would end the tries for good; without it ECS goes on, and recovers by itself.
    "deploymentCircuitBreaker": {"enable": False, "rollback": False},
}
#: Without its circuit breaker the new deployment is not given up, but tried ever more slowly.
ANEW: dict[str, Any] = {"forceNewDeployment": True, "deploymentConfiguration": DEPLOYMENT}


class EcsClient:
    """The calls, in our words. One per worker process: boto3 clients are thread-safe and dear to make."""

    def __init__(self, settings: EcsSettings, budget: Budget | None = None) -> None:
        """With a budget every call, and every repeat by botocore, may also raise BudgetSpent."""
        self._settings = settings
        self._ecs: ECSClient = boto3.session.Session().client(
            "ecs", region_name=settings.region, config=client_config(settings)
        )
        if budget is not None:
            self._budget = budget
            self._ecs.meta.events.register("before-send.ecs", self._take_turn)

    def _take_turn(self, event_name: str, **_: object) -> None:
        self._budget.take(event_name.rsplit(".", 1)[-1])

    @property
    def endpoint_url(self) -> str:
        """Where the calls go."""
        return self._ecs.meta.endpoint_url

    def check_before_changes(self, check: Callable[[], None]) -> None:
        """Call `check` before each call that changes something. What it raises, the call raises."""

        def before_call(event_name: str, **_: object) -> None:
            if not event_name.rsplit(".", 1)[-1].startswith(("Describe", "List")):
                check()

        self._ecs.meta.events.register("before-call.ecs", before_call)

    def account(self) -> str:
        """The AWS account that ECS works in: of the ARN of a service that does not exist. Empty if it is not there."""
        with two_errors("DescribeServices"):
            answer = self._ecs.describe_services(
                cluster=self._settings.cluster, services=[self.service_name("none")]
            )
            arns = [failure["arn"] for failure in answer["failures"]]
        return next((arn.split(":")[4] for arn in arns if arn.startswith("arn:")), "")

    def service_name(self, charger_id: str) -> str:
        """Also the task definition family."""
        return self._settings.name_prefix + charger_id

    def charger_id(self, service_name: str) -> str:
        """The reverse of service_name."""
        return service_name.removeprefix(self._settings.name_prefix)

    # Task definitions.

    def spec_of(self, environment: dict[str, str]) -> str:
        """A digest of all that these settings and this environment make of a charger's task and its network."""
        return digest([definition(self._settings, "", environment), network(self._settings)])

    def ensure_task_definition(
        self, charger_id: str, environment: dict[str, str], tags: dict[str, str]
    ) -> str:
        """The ARN of a task definition of these settings and this environment; made only if the newest one differs."""
        request = definition(self._settings, charger_id, environment)
        spec = digest(request)
        newest = self._newest_task_definition(charger_id)
        if newest is not None and newest[1] == spec:
            return newest[0]
        request["tags"] = tags_of({**self._settings.tags, **tags, SPEC_TAG: spec})
        with two_errors("RegisterTaskDefinition"):
            answer = self._ecs.register_task_definition(**request)
            return required(answer, "taskDefinition", "taskDefinitionArn")

    def task_definitions(self, charger_id: str) -> dict[str, bool]:
        """The ARNs of all revisions of the charger's family, and which of them are ACTIVE.

        INACTIVE are those that a call deregistered and did not come to delete: they hold the charger's URL.
        """
        active = dict.fromkeys(self._task_definitions(charger_id, "ACTIVE"), True)
        return active | dict.fromkeys(self._task_definitions(charger_id, "INACTIVE"), False)

    def delete_task_definitions(self, definitions: Mapping[str, bool]) -> None:
        """Deregister those that are ACTIVE, and delete all. Safe to repeat. What uses them goes on."""
        for arn, active in definitions.items():
            if active:
                with two_errors("DeregisterTaskDefinition"):
                    answer = self._ecs.deregister_task_definition(taskDefinition=arn)
                    required(answer, "taskDefinition", "taskDefinitionArn")
        for some in _batches(definitions, DELETE_TASK_DEFINITIONS_LIMIT):
            with two_errors("DeleteTaskDefinitions"):
                deleted = self._ecs.delete_task_definitions(taskDefinitions=some)
                failures = deleted["failures"]
                if len(deleted["taskDefinitions"]) + len(failures) < len(some):
                    raise EcsUnavailable("DeleteTaskDefinitions: the answer is incomplete")
                for failure in failures:
                    if "does not exist" not in failure.get("reason", ""):
                        raise EcsUnavailable(f"DeleteTaskDefinitions: {failure.get('reason')}")

    # Services.

    def ensure_service(
        self,
        charger_id: str,
        *,
        desired_count: int,
        task_definition_arn: str,
        generation: int,
        tags: dict[str, str],
        exists: bool,
        repair: bool = False,
        rollout: bool = False,
    ) -> ServiceView:
        """Make the service be there with this count and definition. Safe to repeat.

        `exists` is what the row remembers, and only decides which of the two calls is tried first. A repair
        looks first, and starts a deployment anew that ECS gave up. A rollout gives it the network of the settings.
        """
        given_up = False
        if repair or not exists:
            view = self.describe_services([charger_id])[charger_id]
            exists = view is not None and view.active
            given_up = view is not None and view.rollout_failure is not None
        if exists:
            try:
                return self._update_service(
                    charger_id,
                    desired_count=desired_count,
                    task_definition_arn=task_definition_arn,
                    changes=(ANEW if repair and given_up else {})
                    | (network(self._settings) if rollout else {}),
                )
            except NoSuchService:
                pass  # deleted behind our back: make it again
        return self._create_service(
            charger_id,
            desired_count=desired_count,
            task_definition_arn=task_definition_arn,
            generation=generation,
            tags=tags,
        )

    def _update_service(
        self, charger_id: str, *, desired_count: int, task_definition_arn: str, changes: dict[str, Any]
    ) -> ServiceView:
        with two_errors("UpdateService"):
            answer = self._ecs.update_service(
                cluster=self._settings.cluster,
                service=self.service_name(charger_id),
                desiredCount=desired_count,
                taskDefinition=task_definition_arn,
                **changes,
            )
            return _checked(answer, desired_count, task_definition_arn)

    def _create_service(
        self,
        charger_id: str,
        *,
        desired_count: int,
        task_definition_arn: str,
        generation: int,
        tags: dict[str, str],
    ) -> ServiceView:
        with two_errors("CreateService"):
            answer = self._ecs.create_service(
                cluster=self._settings.cluster,
                serviceName=self.service_name(charger_id),
                taskDefinition=task_definition_arn,
                desiredCount=desired_count,
                # 36 characters at most; the same for every worker that carries out this generation.
                clientToken=str(uuid5(NAMESPACE_URL, f"{charger_id}/{generation}")),
                deploymentConfiguration=DEPLOYMENT,
                availabilityZoneRebalancing="DISABLED",  # it needs a maximumPercent above 100
                tags=tags_of({**self._settings.tags, **tags}),
                propagateTags="SERVICE",
                enableECSManagedTags=True,
                **placement(self._settings),
            )
            return _checked(answer, desired_count, task_definition_arn)

    def delete_service(self, charger_id: str) -> ServiceView | None:
        """Ask for the service and its tasks to go. What is left of it, None when nothing. Safe to repeat.

        A repeat costs a service change, of which Amazon allows 5 per second: `rest_of_service` does not.
        """
        try:
            with two_errors("DeleteService"):
                answer = self._ecs.delete_service(
                    cluster=self._settings.cluster, service=self.service_name(charger_id), force=True
                )
                if not answer["service"]["status"]:
                    raise EcsUnavailable("DeleteService: the answer is incomplete")
            known = True
        except NoSuchService:
            known = False
        view = self._describe([charger_id])[charger_id]
        if view is None and known:
            raise EcsUnavailable("DescribeServices: the service that is being deleted was not found")
        return _unless_inactive(view)

    def rest_of_service(self, charger_id: str) -> ServiceView | None:
        """What is left of a service that was asked to go. None when nothing; asks again if it is ACTIVE, or unknown.

        Two answers must agree that it is gone, or one that says INACTIVE: ECS does call services MISSING that
        are there, and a wrong answer must not leave a service that nobody knows.
        """
        view = self._describe([charger_id])[charger_id]
        if view is None or view.active:
            return self.delete_service(charger_id)
        return _unless_inactive(view)

    def describe_services(self, charger_ids: Sequence[str]) -> dict[str, ServiceView | None]:
        """Each charger's service, ten in a call; None where there is none or it is INACTIVE."""
        return {name: _unless_inactive(view) for name, view in self._describe(charger_ids).items()}

    def _describe(self, charger_ids: Sequence[str]) -> dict[str, ServiceView | None]:
        views: dict[str, ServiceView | None] = {}
        for some in _batches(charger_ids, DESCRIBE_SERVICES_LIMIT):
            with two_errors("DescribeServices"):
                answer = self._ecs.describe_services(
                    cluster=self._settings.cluster, services=[self.service_name(name) for name in some]
                )
                services, failures = answer.get("services", []), answer.get("failures", [])
                found = {
                    self.charger_id(service["serviceName"]): service_view(service) for service in services
                }
                missing = {self.charger_id(_name(failure["arn"])) for failure in failures}
            for charger_id in some:
                if charger_id not in found and charger_id not in missing:
                    raise EcsUnavailable(f"DescribeServices: the answer does not mention {charger_id}")
                views[charger_id] = found.get(charger_id)
        return views

    # Tasks.

    def current_task(self, charger_id: str) -> str | None:
        """The ARN of the task that runs or is about to, if any."""
        return min(self._tasks(charger_id, "RUNNING"), default=None)

    def stop_task(self, task_arn: str, reason: str) -> None:
        """Ask the task to end. Safe to repeat, also after it has ended."""
        try:
            with two_errors("StopTask"):
                answer = self._ecs.stop_task(cluster=self._settings.cluster, task=task_arn, reason=reason)
                required(answer, "task", "taskArn")
        except EcsRejected as rejected:
            if "task was not found" not in str(rejected).lower():
                raise

    def describe_tasks(self, task_arns: Sequence[str]) -> dict[str, TaskView]:
        """The tasks that ECS still knows; it forgets a stopped one after an hour or so."""
        views: dict[str, TaskView] = {}
        for some in _batches(task_arns, DESCRIBE_TASKS_LIMIT):
            with two_errors("DescribeTasks"):
                answer = self._ecs.describe_tasks(cluster=self._settings.cluster, tasks=some)
                mentioned = {_name(failure["arn"]) for failure in answer.get("failures", [])}
                views |= {task["taskArn"]: task_view(task) for task in answer.get("tasks", [])}
            for arn in some:
                if arn not in views and _name(arn) not in mentioned:
                    raise EcsUnavailable(f"DescribeTasks: the answer does not mention {_name(arn)}")
        return views

    def last_stopped_task(self, charger_id: str) -> TaskView | None:
        """The newest stopped task of the charger, to tell why it does not run."""
        arns = self._tasks(charger_id, "STOPPED")
        tasks = self.describe_tasks(arns[:DESCRIBE_TASKS_LIMIT]).values()
        return max(tasks, key=_age, default=None)

    def _tasks(self, charger_id: str, desired_status: Literal["RUNNING", "STOPPED"]) -> list[str]:
        try:
            with two_errors("ListTasks"):
                answer = self._ecs.list_tasks(
                    cluster=self._settings.cluster,
                    serviceName=self.service_name(charger_id),
                    desiredStatus=desired_status,
                )
                return list(answer["taskArns"])
        except NoSuchService:
            return []

    def _newest_task_definition(self, charger_id: str) -> tuple[str, str] | None:
        """ARN and the digest of its request. A worker that died after RegisterTaskDefinition left one to adopt.

        So did the versions before SPEC_TAG: an upgrade replaces no task that would be made the same again.
        """
        newest = next(self._task_definitions(charger_id, "ACTIVE"), None)
        if newest is None:
            return None
        with two_errors("DescribeTaskDefinition"):
            answer = self._ecs.describe_task_definition(taskDefinition=newest, include=["TAGS"])
            required(answer, "taskDefinition", "taskDefinitionArn")
            tags = {tag["key"]: tag["value"] for tag in answer.get("tags", [])}
            return newest, tags.get(SPEC_TAG) or digest(request_of(answer["taskDefinition"]))

    def _task_definitions(self, charger_id: str, status: Literal["ACTIVE", "INACTIVE"]) -> Iterator[str]:
        """ARNs of the revisions, newest first."""
        family = self.service_name(charger_id)
        with two_errors("ListTaskDefinitions"):
            pages = self._ecs.get_paginator("list_task_definitions").paginate(
                familyPrefix=family, status=status, sort="DESC"
            )
            for page in pages:
                yield from (arn for arn in page["taskDefinitionArns"] if _name(arn).split(":")[0] == family)


def client_config(settings: EcsSettings) -> Config:
    """botocore's waits and retries, below every limit of ours: its own defaults wait for minutes."""
    return Config(
        connect_timeout=settings.connect_timeout_s,
        read_timeout=settings.read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=settings.max_connections * MAX_GROWTH,
        tcp_keepalive=True,
        user_agent=f"chargehand/{version('chargehand')}",  # botocore puts its own together twice for each call
    )


def _unless_inactive(view: ServiceView | None) -> ServiceView | None:
    return None if view is None or view.status == "INACTIVE" else view


def _checked(answer: Any, desired_count: int, task_definition_arn: str) -> ServiceView:
    """The service in the answer, if it says what was asked for. Anything else is tried again."""
    view = service_view(answer["service"])
    if view.desired_count != desired_count or view.task_definition_arn != task_definition_arn:
        raise EcsUnavailable("the answer does not show what was asked for")
    return view


def _age(task: TaskView) -> float:
    return task.created_at.timestamp() if task.created_at else 0.0


def _name(arn: str) -> str:
    """The last part of an ARN; a plain name stays as it is."""
    return arn.rsplit("/", 1)[-1]


def _batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    items = list(items)
    for start in range(0, len(items), size):
        yield items[start : start + size]
