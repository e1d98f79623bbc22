"""Find the ECS task that a charger's open command waits for."""

from shared.models import Charger
from worker.ecs.client import EcsClient, TaskView
from worker.maintenance.rollout import is_redeployed


def must_run(charger: Charger) -> bool:
    """Whether an open command succeeds, or a rollout ends, when a task keeps running."""
    is_open = charger.settled_generation < charger.generation or is_redeployed(charger)
    return charger.desired_count > 0 and is_open


def restarting(charger: Charger) -> bool:
    """Whether an open restart has recorded a task that must stop first."""
    return (
        charger.restart_task_arn is not None
        and charger.restart_task_generation == charger.restart_generation
        and charger.restart_generation > charger.settled_generation
    )


def gone(arn: str | None, tasks: dict[str, TaskView]) -> bool:
    """Whether the task has stopped. One that ECS no longer has did: ECS keeps a stopped task for about an hour."""
    return arn is None or arn not in tasks or tasks[arn].stopped


def running_task(
    ecs: EcsClient, charger: Charger, tasks: dict[str, TaskView], ended: str | None
) -> str | None:
    """The ARN of the charger's running task, None when none runs: the recorded one, else the one of ListTasks. Never `ended`.

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
