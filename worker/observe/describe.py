"""Describe the services of some chargers, the tasks that their commands wait for, and why some do not run."""

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from shared.error_codes import ErrorCode
from shared.models import Charger
from worker.ecs.budget import BudgetSpent
from worker.ecs.client import EcsClient, EcsRejected, EcsUnavailable, TaskView
from worker.observe import reasons
from worker.observe.current_task import has_stopped, is_restarting, must_run, running_task
from worker.observe.due import Claim
from worker.observe.observation import Observation
from worker.observe.reasons import Reason, explain

MAX_EXPLAINED = 3  # chargers per call of `describe`: each costs a ListTasks and a DescribeTasks


def describe(ecs: EcsClient, claim: Claim, chargers: Sequence[Charger]) -> list[Observation]:
    """Observe these chargers of the claim. They should fit in one DescribeServices.

    Tasks are described before services: a task that was reported stopped stays stopped, so the counts that are read
    later do not include it. Raises BudgetSpent, EcsUnavailable, EcsRejected.
    """
    to_end = {charger.id: charger.restart_task_arn for charger in chargers if is_restarting(charger)}
    known = {charger.running_task_arn for charger in chargers if must_run(charger)}
    tasks = ecs.describe_tasks(sorted(arn for arn in {*to_end.values(), *known} if arn))
    services = ecs.describe_services([charger.id for charger in chargers])
    observations = []
    for charger in chargers:
        service = services[charger.id]
        ended = to_end.get(charger.id)
        task = None
        if must_run(charger) and service is not None and service.running_count and has_stopped(ended, tasks):
            task = running_task(ecs, charger, tasks, ended)
        in_doubt = charger.id in claim.links_in_doubt
        observations.append(
            Observation(charger, service, task, _recorded_reason(charger), claim.at, in_doubt)
        )
    return _with_reasons(ecs, _with_tasks_in_doubt(ecs, observations))


def _with_tasks_in_doubt(ecs: EcsClient, observations: list[Observation]) -> list[Observation]:
    """Add the running task of each charger whose link is in doubt: a ListTasks each, and one DescribeTasks for all.

    Only links need it, so a call that fails or that the rate budget does not allow is left to a later observation.
    """
    arns: dict[str, str] = {}
    tasks: dict[str, TaskView] = {}
    with suppress(BudgetSpent, EcsUnavailable, EcsRejected):
        for each in observations:
            if each.task is None and each.is_as_desired and each.link_in_doubt:
                arn = ecs.current_task(each.charger.id)
                if arn is not None:
                    arns[each.charger.id] = arn
    with suppress(BudgetSpent, EcsUnavailable, EcsRejected):
        tasks = ecs.describe_tasks(list(arns.values()))
    running = {charger_id: arn for charger_id, arn in arns.items() if arn in tasks and tasks[arn].running}
    return [replace(each, task=running.get(each.charger.id, each.task)) for each in observations]


def _with_reasons(ecs: EcsClient, observations: list[Observation]) -> list[Observation]:
    """Find out why chargers are down, for MAX_EXPLAINED of them at random. The others keep the reason of their row."""
    down = [each for each in observations if each.is_down]
    chosen = {each.charger.id for each in random.sample(down, min(len(down), MAX_EXPLAINED))}
    explained = []
    for each in observations:
        reason = each.reason if each.is_down else None
        if each.service is not None and each.charger.id in chosen:
            with suppress(BudgetSpent, EcsUnavailable, EcsRejected):
                reason = explain(each.service, ecs.last_stopped_task(each.charger.id))
        explained.append(replace(each, reason=reason))
    return explained


def _recorded_reason(charger: Charger) -> Reason | None:
    """The row's reason, if an earlier observation found it."""
    if charger.reason is None or charger.reason_code not in reasons.CODES:
        return None
    return Reason(ErrorCode(charger.reason_code), charger.reason)
