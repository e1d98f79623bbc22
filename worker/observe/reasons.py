"""Translate ECS's reasons why a task does not run into an error code and a sentence for the charger's user."""

from typing import NamedTuple

from shared.error_codes import MESSAGE_LENGTH, ErrorCode
from worker.ecs.client import ServiceView, TaskView


class Reason(NamedTuple):
    """Why a charger does not run."""

    code: ErrorCode
    text: str  #: a sentence and ECS's own words, at most MESSAGE_LENGTH characters


# Words of stoppedReason and of service events in lower case (ECS developer guide, "Stopped task error codes" and
# "Service event messages"). The first match counts, so the most specific words come first.
KNOWN = (
    (
        ("cannotpullcontainer", "cannotpullimage"),
        ErrorCode.IMAGE_UNAVAILABLE,
        "The container image cannot be pulled",
    ),
    (
        ("limit on the number of vcpus", "quota", "limit exceeded"),
        ErrorCode.QUOTA_EXCEEDED,
        "An AWS account quota is used up",
    ),
    (
        ("capacity is unavailable", "unable to place a task", "no container instance"),
        ErrorCode.NO_CAPACITY,
        "ECS finds no capacity for the task",
    ),
    (
        ("accessdenied", "not authorized", "unable to assume the role", "resourceinitializationerror"),
        ErrorCode.ACCESS_DENIED,
        "The task lacks a permission or a resource to start",
    ),
    (("essential container", "exited"), ErrorCode.TASK_EXITED, "The charger's process ended"),
)


#: Every code that `explain` returns.
CODES = frozenset({ErrorCode.DEPLOYMENT_FAILED, *(code for _, code, _ in KNOWN)})


def explain(service: ServiceView, stopped: TaskView | None) -> Reason | None:
    """Why the service runs fewer tasks than it should. None while it is simply starting.

    `stopped` is the newest stopped task. Given-up deployments come first, then events, then stopped tasks.
    """
    if service.rollout_failure:
        cause = _known(stopped.stopped_reason if stopped else None)
        text = f"ECS gave up on the deployment: {service.rollout_failure}"
        return _cut(ErrorCode.DEPLOYMENT_FAILED, f"{text}. {cause.text}" if cause else text)
    # `event` is the newest event, so no start has followed it: a start has an event of its own.
    return _known(service.event) or _known(_stopped_text(stopped))


def _stopped_text(task: TaskView | None) -> str | None:
    if task is None or task.stopped_reason is None:
        return None
    exit_code = "" if task.exit_code is None else f" (exit code {task.exit_code})"
    return task.stopped_reason + exit_code


def _known(text: str | None) -> Reason | None:
    if text is None:
        return None
    for words, code, meaning in KNOWN:
        if any(word in text.lower() for word in words):
            return _cut(code, f"{meaning}: {text}")
    return None


def _cut(code: ErrorCode, text: str) -> Reason:
    return Reason(code, text[:MESSAGE_LENGTH])
