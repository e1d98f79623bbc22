"""Find the ECS task that a charger's open command waits for."""

from shared.models import Charger
from shared.vocabulary import Placement
from worker.ecs.client import EcsClient, TaskView
from worker.observe.rollout import is_redeployed


def must_run(charger: Charger) -> bool:
    """Whether an open command succeeds, or a rollout ends, only when a task of the charger's service keeps running."""
    is_open = charger.settled_generation < charger.generation or is_redeployed(charger)
    return charger.desired_count > 0 and is_open and not leaves_service(charger)


def leaves_service(charger: Charger) -> bool:
    """Whether the charger, which has a service, moves to a host."""
    return charger.placement == Placement.SHARED


def is_restarting(charger: Charger) -> bool:
    """Whether an open restart has recorded the task that must stop (`restart_task_arn`)."""
    return (
        charger.restart_task_arn is not None
        and charger.restart_task_generation == charger.restart_generation
        and charger.restart_generation > charger.settled_generation
    )


def has_stopped(arn: str | None, tasks: dict[str, TaskView]) -> bool:
    """Whether this task, if any, has stopped. ECS keeps a stopped task for about an hour, so a missing one has."""
    return arn is None or arn not in tasks or tasks[arn].stopped


def running_task(
    ecs: EcsClient, charger: Charger, tasks: dict[str, TaskView], ended: str | None
) -> str | None:
    """The ARN of the charger's running task: the recorded one, else the one of ListTasks. Never `ended`. None when none runs.

    ListTasks is eventually consistent, so its task is described before it counts. Raises what `EcsClient` raises.
    """
    arn = charger.running_task_arn
    if arn is not None and arn != ended and _runs(charger, tasks.get(arn)):
        return arn
    arn = ecs.current_task(charger.id)
    if arn is None or arn == ended or not _runs(charger, ecs.describe_tasks([arn]).get(arn)):
        return None
    return arn


def _runs(charger: Charger, task: TaskView | None) -> bool:
    return task is not None and task.running and task.task_definition_arn == charger.task_definition_arn
