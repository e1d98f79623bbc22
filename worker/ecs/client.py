"""Call Amazon ECS. Besides worker/logs/client.py the only code that calls boto3.

Every method that calls ECS raises exactly two errors, and BudgetSpent if the client has a budget: EcsUnavailable is tried
again, EcsRejected is recorded. "No exception" is not success: botocore returns a cut 200 answer as an empty dictionary, so
answers are checked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal
from uuid import NAMESPACE_URL, uuid5

import boto3

from shared.settings import EcsSettings
from worker.ecs.aws_settings import client_config
from worker.ecs.budget import Budget
from worker.ecs.counts import CallCounts
from worker.ecs.errors import (
    EcsRejected,
    EcsUnavailable,
    NoSuchService,
    TaskDefinitionMissing,
    required,
    two_errors,
)
from worker.ecs.requests import (
    CHARGER,
    SPEC_TAG,
    Program,
    definition,
    digest,
    network,
    placement,
    request_of,
    tags_of,
)
from worker.ecs.views import ServiceView, TaskView, service_view, task_view

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import (
        DeploymentConfigurationUnionTypeDef,
    )

__all__ = ["EcsClient", "EcsRejected", "EcsUnavailable", "ServiceView", "TaskDefinitionMissing", "TaskView"]

# Items in one call, from the ECS API reference.
DESCRIBE_SERVICES_LIMIT = 10
DESCRIBE_TASKS_LIMIT = 100
DELETE_TASK_DEFINITIONS_LIMIT = 10

DEPLOYMENT: "DeploymentConfigurationUnionTypeDef" = {
    # The old task ends before the new one starts: never two sessions with one identity.
    "minimumHealthyPercent": 0,
    "maximumPercent": 100,
    # With it three failed starts end a deployment for good; without it ECS goes on trying.
    "deploymentCircuitBreaker": {"enable": False, "rollback": False},
}
#: Starts a deployment that ECS gave up again, without the circuit breaker.
NEW_DEPLOYMENT: dict[str, Any] = {"forceNewDeployment": True, "deploymentConfiguration": DEPLOYMENT}


class EcsClient:
    """The worker's calls to ECS. One per worker process: boto3 clients are thread-safe and expensive to make."""

    def __init__(self, settings: EcsSettings, budget: Budget | None = None) -> None:
        """With a budget, every call and every repeat by botocore takes a turn first, and may raise BudgetSpent."""
        self._settings = settings
        self.uses_control_link = bool(settings.control.url)  #: its tasks get the way to the link
        self._ecs: ECSClient = boto3.session.Session().client(
            "ecs", region_name=settings.region, config=client_config(settings)
        )
        if budget is not None:
            self._ecs.meta.events.register("before-send.ecs", budget.before_send)
        self.calls = CallCounts()  #: and what became of them
        self._ecs.meta.events.register("response-received.ecs", self.calls.note)

    @property
    def endpoint_url(self) -> str:
        """The address that the calls go to."""
        return self._ecs.meta.endpoint_url

    def check_before_changes(self, check: Callable[[], None]) -> None:
        """Have `check` called before each call that changes something. An error of `check` ends the call."""

        def before_call(event_name: str, **_: object) -> None:
            if not event_name.rsplit(".", 1)[-1].startswith(("Describe", "List")):
                check()

        self._ecs.meta.events.register("before-call.ecs", before_call)

    def account(self) -> str:
        """The AWS account of the cluster, from the ARN that ECS gives a service that does not exist. Empty if it gives none."""
        with two_errors("DescribeServices"):
            answer = self._ecs.describe_services(
                cluster=self._settings.cluster, services=[self.service_name("none")]
            )
            arns = [failure["arn"] for failure in answer["failures"]]
        return next((arn.split(":")[4] for arn in arns if arn.startswith("arn:")), "")

    def service_name(self, charger_id: str) -> str:
        """The name of the charger's ECS service, and of its task definition family."""
        return self._settings.name_prefix + charger_id

    def charger_id(self, service_name: str) -> str:
        """The charger of an ECS service: the reverse of `service_name`."""
        return service_name.removeprefix(self._settings.name_prefix)

    # Task definitions.

    def spec_of(self, environment: dict[str, str], program: Program = CHARGER) -> str:
        """The digest of the task definition and the network that these settings give a process of this environment."""
        return digest([definition(self._settings, "", environment, program), network(self._settings)])

    def ensure_task_definition(
        self,
        process_id: str,
        environment: dict[str, str],
        tags: dict[str, str],
        program: Program = CHARGER,
    ) -> str:
        """The ARN of a task definition of these settings and this environment. Safe to repeat.

        It is registered only if the newest revision differs: a worker that died after RegisterTaskDefinition left one.
        """
        request = definition(self._settings, process_id, environment, program)
        spec = digest(request)
        newest = self._newest_task_definition(process_id)
        if newest is not None and newest[1] == spec:
            return newest[0]
        request["tags"] = tags_of({**self._settings.tags, **tags, SPEC_TAG: spec})
        with two_errors("RegisterTaskDefinition"):
            answer = self._ecs.register_task_definition(**request)
            return required(answer, "taskDefinition", "taskDefinitionArn")

    def task_definitions(self, charger_id: str) -> dict[str, bool]:
        """The ARNs of all revisions of the charger's family, each with whether it is ACTIVE.

        An INACTIVE revision was deregistered but not deleted yet: it still holds the charger's URL.
        """
        active = dict.fromkeys(self._task_definitions(charger_id, "ACTIVE"), True)
        return active | dict.fromkeys(self._task_definitions(charger_id, "INACTIVE"), False)

    def delete_task_definitions(self, definitions: Mapping[str, bool]) -> None:
        """Deregister the ACTIVE revisions, and delete all. Safe to repeat. Running tasks and services are not affected."""
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
        """Create or update the service to this count and definition. Returns it as ECS answered. Safe to repeat.

        `exists` is what the row says, and only decides which of the two calls is tried first. A repair describes the
        service first, and restarts a deployment that ECS gave up. A rollout also updates the network.
        Raises TaskDefinitionMissing, besides the two errors, when ECS does not have the definition.
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
                    changes=(NEW_DEPLOYMENT if repair and given_up else {})
                    | (network(self._settings) if rollout else {}),
                )
            except NoSuchService:
                pass  # somebody deleted it: create it again
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
                # At most 36 characters; the same in every worker that applies this generation.
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
        """Delete the service and stop its tasks. Returns what remains of it, None when nothing does. Safe to repeat.

        A repeat costs a service change, of which Amazon allows 5 per second: poll with `remaining_service` instead.
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

    def remaining_service(self, charger_id: str) -> ServiceView | None:
        """What remains of a deleted service, None when nothing does. Deletes it again if it is ACTIVE or MISSING.

        A single MISSING is not believed, as ECS may call a service MISSING that exists, and a wrong answer must not leave
        a service that no row knows: either DeleteService confirms it, or ECS answers INACTIVE.
        """
        view = self._describe([charger_id])[charger_id]
        if view is None or view.active:
            return self.delete_service(charger_id)
        return _unless_inactive(view)

    def describe_services(self, charger_ids: Sequence[str]) -> dict[str, ServiceView | None]:
        """Each charger's service, ten in a call. None for a service that is missing or INACTIVE."""
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
        """The ARN of the task that runs or is about to run, None when there is none. ListTasks is some seconds behind."""
        return min(self._tasks(charger_id, "RUNNING"), default=None)

    def stop_task(self, task_arn: str, reason: str) -> None:
        """Stop the task. Safe to repeat, also after it has stopped."""
        try:
            with two_errors("StopTask"):
                answer = self._ecs.stop_task(cluster=self._settings.cluster, task=task_arn, reason=reason)
                required(answer, "task", "taskArn")
        except EcsRejected as rejected:
            if "task was not found" not in str(rejected).lower():
                raise

    def describe_tasks(self, task_arns: Sequence[str]) -> dict[str, TaskView]:
        """The tasks by ARN, 100 in a call. Those that ECS no longer has are left out: it keeps a stopped task for an hour."""
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
        """The newest stopped task of the charger, whose reason explains why it does not run. None when ECS has none."""
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
        """The ARN of the newest ACTIVE revision and the digest of its request.

        A revision without SPEC_TAG is from an earlier version: an upgrade replaces no task that would be the same.
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


def _unless_inactive(view: ServiceView | None) -> ServiceView | None:
    return None if view is None or view.status == "INACTIVE" else view


def _checked(answer: Any, desired_count: int, task_definition_arn: str) -> ServiceView:
    """The service in the answer. Raises EcsUnavailable unless it shows what was requested."""
    view = service_view(answer["service"])
    if view.desired_count != desired_count or view.task_definition_arn != task_definition_arn:
        raise EcsUnavailable("the answer does not show what was requested")
    return view


def _age(task: TaskView) -> float:
    return task.created_at.timestamp() if task.created_at else 0.0


def _name(arn: str) -> str:
    """The last part of an ARN, or the plain name itself."""
    return arn.rsplit("/", 1)[-1]


def _batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    items = list(items)
    for start in range(0, len(items), size):
        yield items[start : start + size]
