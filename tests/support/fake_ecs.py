"""A working ECS in memory, for tests that must act in the middle of a call.

It keeps the promises of the embedded ECS: tests/worker/ecs/test_contract.py runs against both.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import count

from shared.error_codes import ErrorCode
from worker.ecs.client import EcsClient, EcsUnavailable, ServiceView, TaskDefinitionMissing, TaskView
from worker.ecs.requests import CHARGER, Program

Action = Callable[[], None]


ENDING = ("STOPPING", "STOPPED")  # of a task that ECS lists as stopped


@dataclass
class FakeTask:
    arn: str
    task_definition_arn: str
    status: str = "PENDING"
    stopped_reason: str | None = None
    exit_code: int | None = None


@dataclass
class FakeService:
    desired_count: int
    task_definition_arn: str
    network: str = ""  #: the spec of the worker that gave it one
    status: str = "ACTIVE"
    tasks: list[FakeTask] = field(default_factory=list)
    rollout_failure: str | None = None
    event: str | None = None

    @property
    def live(self) -> list[FakeTask]:
        return [task for task in self.tasks if task.status != "STOPPED"]


class FakeEcs(EcsClient):
    """Answers at once; tasks come and go when `settle` is called, as they do after a while on ECS."""

    def __init__(self) -> None:
        self.spec = "spec-1"  #: of the calling worker's settings
        self.uses_control_link = False  #: whether the calling worker has a control link
        #: The spec and the environment of every definition ever registered.
        self.specs: dict[str, str] = {}
        self.environments: dict[str, dict[str, str]] = {}
        self.services: dict[str, FakeService] = {}
        self.definitions: dict[str, list[tuple[str, dict[str, str]]]] = {}
        self.mutations: list[tuple[str, str]] = []  #: operation and charger, in order
        #: What the next changing calls do first, or raise: one entry per call.
        self.script: list[Action] = []
        #: The same, after the change and before the answer.
        self.afterwards: list[Action] = []
        self._numbers = count(1)
        self._revisions: Counter[str] = Counter()

    def with_spec(self, spec: str) -> "FakeEcs":
        """The same ECS, as a worker of other settings calls it."""
        other = copy(self)
        other.spec = spec
        return other

    # What EcsClient does.

    def spec_of(self, environment: dict[str, str], program: Program = CHARGER) -> str:
        return self.spec

    def ensure_task_definition(
        self,
        process_id: str,
        environment: dict[str, str],
        tags: dict[str, str],
        program: Program = CHARGER,
    ) -> str:
        known = self.definitions.get(process_id)
        if known and known[-1][1] == environment and self.specs[known[-1][0]] == self.spec:
            return known[-1][0]
        self._before("RegisterTaskDefinition", process_id)
        self._revisions[process_id] += 1
        arn = f"arn:task-definition/{process_id}:{self._revisions[process_id]}"
        self.definitions.setdefault(process_id, []).append((arn, environment))
        self.specs[arn], self.environments[arn] = self.spec, environment
        self._after()
        return arn

    def task_definitions(self, charger_id: str) -> dict[str, bool]:
        return {arn: True for arn, _ in self.definitions.get(charger_id, [])}

    def delete_task_definitions(self, definitions: Mapping[str, bool]) -> None:
        for charger_id, revisions in list(self.definitions.items()):
            left = [revision for revision in revisions if revision[0] not in definitions]
            if left:
                self.definitions[charger_id] = left
            else:
                del self.definitions[charger_id]

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
        self._before("UpdateService" if charger_id in self.services else "CreateService", charger_id)
        service = self.services.get(charger_id)
        self._check_definition(service, task_definition_arn)
        if service is None or service.status == "INACTIVE":
            service = self.services[charger_id] = FakeService(
                desired_count, task_definition_arn, network=self.spec
            )
        if service.status == "DRAINING":
            raise EcsUnavailable("still draining")
        service.desired_count = desired_count
        service.task_definition_arn = task_definition_arn
        if rollout:
            service.network = self.spec
        if repair:
            service.rollout_failure = None
        self._after()
        return self._view(charger_id, service)

    def delete_service(self, charger_id: str) -> ServiceView | None:
        """Like ECS, it counts every call, also one for a draining or missing service."""
        self._before("DeleteService", charger_id)
        service = self.services.get(charger_id)
        if service is None or service.status == "INACTIVE":
            return None
        if service.status == "ACTIVE":
            service.status = "DRAINING"
            service.desired_count = 0
        self._after()
        return self._view(charger_id, service)

    def remaining_service(self, charger_id: str) -> ServiceView | None:
        service = self.services.get(charger_id)
        if service is None or service.status == "ACTIVE":
            return self.delete_service(charger_id)
        return None if service.status == "INACTIVE" else self._view(charger_id, service)

    def describe_services(self, charger_ids: Sequence[str]) -> dict[str, ServiceView | None]:
        views: dict[str, ServiceView | None] = {}
        for charger_id in charger_ids:
            service = self.services.get(charger_id)
            gone = service is None or service.status == "INACTIVE"
            views[charger_id] = None if service is None or gone else self._view(charger_id, service)
        return views

    def current_task(self, charger_id: str) -> str | None:
        """ListTasks names no task that is to stop."""
        tasks = self.services[charger_id].tasks if charger_id in self.services else []
        return next((task.arn for task in tasks if task.status not in ENDING), None)

    def stop_task(self, task_arn: str, reason: str) -> None:
        self._before("StopTask", task_arn)
        for service in self.services.values():
            for task in service.live:
                if task.arn == task_arn:
                    task.status, task.stopped_reason = "STOPPED", reason
        self._after()

    def describe_tasks(self, task_arns: Sequence[str]) -> dict[str, TaskView]:
        return {
            task.arn: TaskView(
                arn=task.arn,
                last_status=task.status,
                stopped_reason=task.stopped_reason,
                exit_code=task.exit_code,
                created_at=None,
                desired_status="STOPPED" if task.status in ENDING else "RUNNING",
                task_definition_arn=task.task_definition_arn,
            )
            for service in self.services.values()
            for task in service.tasks
            if task.arn in task_arns
        }

    def last_stopped_task(self, charger_id: str) -> TaskView | None:
        service = self.services.get(charger_id)
        stopped = [task for task in service.tasks if task.status in ENDING] if service else []
        return self.describe_tasks([stopped[-1].arn])[stopped[-1].arn] if stopped else None

    # What ECS does in time.

    def settle(self) -> None:
        """Let every service reach its desired count, one old task before one new."""
        for service in self.services.values():
            for task in service.live:
                is_old = task.task_definition_arn != service.task_definition_arn
                if service.desired_count == 0 or is_old or task.status == "STOPPING":
                    task.status = "STOPPED"
            if service.status == "DRAINING" and not service.live:
                service.status = "INACTIVE"
            if service.desired_count and not service.live and service.rollout_failure is None:
                number = next(self._numbers)
                service.tasks.append(FakeTask(f"arn:task/{number}", service.task_definition_arn))
            for task in service.live:
                task.status = "RUNNING"

    def crash(
        self, charger_id: str, exit_code: int = 137, reason: str = "Essential container in task exited"
    ) -> None:
        """End the charger's process behind ECS's back."""
        for task in self.services[charger_id].live:
            task.status, task.exit_code, task.stopped_reason = "STOPPED", exit_code, reason

    def begin_to_stop(self, charger_id: str) -> None:
        """Its task is asked to end: it no longer counts as running, but its process needs until `settle`."""
        for task in self.services[charger_id].live:
            task.status, task.stopped_reason = "STOPPING", "Task stopped by user"

    def runs(self, charger_id: str) -> int:
        """How many processes of the charger run."""
        service = self.services.get(charger_id)
        return sum(task.status == "RUNNING" for task in service.tasks) if service else 0

    def _check_definition(self, service: FakeService | None, arn: str) -> None:
        """A service may keep a definition that is gone, but not get one."""
        known = {known for revisions in self.definitions.values() for known, _ in revisions}
        if arn not in known and (service is None or service.task_definition_arn != arn):
            raise TaskDefinitionMissing(ErrorCode.PROVIDER_REJECTED, "TaskDefinition not found.")

    def _before(self, operation: str, target: str) -> None:
        if self.script:
            self.script.pop(0)()
        self.mutations.append((operation, target))

    def _after(self) -> None:
        if self.afterwards:
            self.afterwards.pop(0)()

    def _view(self, charger_id: str, service: FakeService) -> ServiceView:
        running = sum(task.status == "RUNNING" for task in service.tasks)
        newest = [task for task in service.live if task.task_definition_arn == service.task_definition_arn]
        placed = [task for task in newest if task.status != "STOPPING"]
        return ServiceView(
            name=charger_id,
            status=service.status,
            desired_count=service.desired_count,
            running_count=running,
            pending_count=sum(task.status == "PENDING" for task in service.tasks),
            task_definition_arn=service.task_definition_arn,
            # A deployment stays COMPLETED while a stopped task of it ends and its successor runs.
            deployed=len(newest) == len(service.live) and len(placed) == service.desired_count,
            rollout_failure=service.rollout_failure,
            event=service.event,
        )


def fail_once(message: str = "throttled") -> Action:
    """A script entry: the call is not made, or its answer is lost."""

    def fail() -> None:
        raise EcsUnavailable(message)

    return fail
