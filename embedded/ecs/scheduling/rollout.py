"""The rules of a deployment: which tasks it replaces, when it is complete, and what failed starts do to it.

Source: Amazon ECS Developer Guide, "Service deployment", "Deployment circuit breaker" and "Service throttle logic".
"""

import time

from embedded.ecs.state.model import Service, Task

RAN_WELL_S = 10.0  # a crash after such a run starts the back-off again from its first delay
MAX_RETRY_S = 60.0
FAILURES_BEFORE_EVENT = 3  # in a row; then ECS says that it is unable to start tasks


def tasks_to_stop(service: Service, tasks: list[Task]) -> list[Task]:
    """Tasks beyond the desired count, and tasks of older deployments that are no longer needed."""
    wanted = [task for task in tasks if task.is_wanted]
    current = [task for task in wanted if task.deployment_id == service.primary.id]
    old = [task for task in wanted if task.deployment_id != service.primary.id]
    current.sort(key=lambda task: (task.is_running, -task.created_at))  # pending and young tasks stop first
    surplus = current[: max(0, len(current) - service.desired_count)]
    if service.primary.rollout_state == "FAILED" and service.desired_count:
        return surplus + old[service.desired_count :]
    running = sum(task.is_running for task in wanted)
    spare = max(0, running - service.min_running_tasks)
    pending = [task for task in old if not task.is_running]
    return surplus + pending + [task for task in old if task.is_running][:spare]


def missing_tasks(service: Service, tasks: list[Task]) -> int:
    """How many tasks the primary deployment may start now. `tasks` are the service's unfinished ones."""
    if service.primary.rollout_state == "FAILED":
        return 0
    current = [task for task in tasks if task.is_wanted and task.deployment_id == service.primary.id]
    # A stopping task counts until its process is gone, so two tasks of one charger never overlap.
    return max(0, min(service.desired_count - len(current), service.max_tasks - len(tasks)))


def steady_at(service: Service, tasks: list[Task], steady_after_s: float) -> float | None:
    """When the service is steady, in seconds since the epoch; None while it does not run what it should."""
    running = [task for task in tasks if task.is_running and task.is_wanted]
    current = [task for task in running if task.deployment_id == service.primary.id]
    if len(tasks) != service.desired_count or len(current) != service.desired_count:
        return None
    if not current:
        return 0.0
    return max(task.started_at or 0.0 for task in current) + steady_after_s


def complete(service: Service) -> bool:
    """Complete the primary deployment and mark the service steady. Returns whether that changed anything."""
    deployment = service.primary
    changed = len(service.deployments) > 1 or not service.is_steady
    if deployment.rollout_state == "IN_PROGRESS":
        changed = True
        deployment.failed_tasks = 0
        deployment.complete()
        service.last_good_task_definition = deployment.task_definition
        service.add_event(f"(deployment {deployment.id}) deployment completed.")
    del service.deployments[1:]
    if not service.is_steady:
        service.is_steady = True
        service.add_event("has reached a steady state.")
    return changed


def record_failure(service: Service, task: Task, *, ran_s: float, first_retry_s: float) -> None:
    """Count a task that crashed or did not start, delay the next launch, and trip the circuit breaker."""
    service.quick_failures = service.quick_failures + 1 if ran_s < RAN_WELL_S else 1
    if service.quick_failures >= FAILURES_BEFORE_EVENT:
        service.add_event(
            "is unable to consistently start tasks successfully. For more information, see the"
            " Troubleshooting section of the Amazon ECS Developer Guide."
        )
    deployment = service.primary
    if task.deployment_id == deployment.id and deployment.rollout_state == "IN_PROGRESS":
        deployment.failed_tasks += 1
        deployment.updated_at = time.time()
        if service.breaker.get("enable") and deployment.failed_tasks >= service.breaker_threshold:
            _trip_breaker(service)
    _delay_retry(service, first_retry_s)


def record_refused_placement(service: Service, refusal: str, *, first_retry_s: float) -> None:
    """No host had capacity for the task: record the event and delay the next launch."""
    service.add_event(f"was unable to place a task. Reason: {refusal}")
    service.quick_failures += 1
    _delay_retry(service, first_retry_s)


def _delay_retry(service: Service, first_retry_s: float) -> None:
    doublings = min(service.quick_failures - 1, 10)
    service.retry_at = time.time() + min(first_retry_s * 2**doublings, MAX_RETRY_S)
    service.is_steady = False


def _trip_breaker(service: Service) -> None:
    """End the deployment's launches; roll back to the last good task definition if the service wants that."""
    failed = service.primary
    failed.fail()
    service.add_event(f"(deployment {failed.id}) deployment failed: tasks failed to start.")
    good = service.last_good_task_definition
    if service.breaker.get("rollback") and good is not None and good != failed.task_definition:
        service.begin_deployment(good, failed.settings)
        service.primary.rollout_state_reason = (
            f"ECS deployment circuit breaker: rolling back to task definition {good.rsplit('/', 1)[-1]}."
        )
