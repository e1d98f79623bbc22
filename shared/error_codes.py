"""The error codes of chargers and commands, which clients branch on. docs/errors.md explains each."""

from enum import StrEnum
from typing import TypedDict

MESSAGE_LENGTH = 2000  # characters, contract 4.0


class ErrorCode(StrEnum):
    """Stored in commands.error, chargers.error and chargers.reason_code; the tables take no other."""

    PROVIDER_UNAVAILABLE = "runtime_provider_error"  #: ECS did not accept the command before its deadline
    RATE_BUDGET = "waiting_for_rate_budget"  #: the command is queued for ECS's rate quotas
    PROVIDER_REJECTED = "invalid_configuration"  #: ECS refused the request for good
    ACCESS_DENIED = "provider_access_denied"  #: the worker's role lacks a permission
    PROVISIONING_TIMEOUT = "provisioning_timeout"  #: the new charger did not run in time
    RUNTIME_TIMEOUT = (
        "runtime_timeout"  #: ECS accepted the command, but the charger did not reach its state in time
    )
    IMAGE_UNAVAILABLE = "image_unavailable"  #: the container image cannot be pulled
    NO_CAPACITY = "capacity_unavailable"  #: ECS has no capacity for the task
    QUOTA_EXCEEDED = "quota_exceeded"  #: an account quota is used up
    TASK_EXITED = "task_exited"  #: the charger's process exited
    DEPLOYMENT_FAILED = "deployment_failed"  #: the deployment circuit breaker gave up
    UNKNOWN = "unknown_error"  #: an internal error of Chargehand


class ActionCode(StrEnum):
    """Why an action was not applied: stored in actions.reason_code."""

    NOT_READY = "charger_not_ready"  #: it has no runtime yet, or its provisioning failed
    STOPPED = "charger_stopped"  #: the charger is not meant to run
    NOT_CONNECTED = "charger_not_connected"  #: its process has no session with the control link
    RESTARTED = "charger_restarted"  #: it started anew before it said what came of the action
    TOO_MANY = "too_many_open_actions"  #: it has too many that are not final
    NOT_IN_LOCATION = "charger_not_in_location"  #: the target names it, but its location has no such charger
    EXPIRED = "action_expired"  #: it did not reach the charger in time
    NO_ANSWER = "no_answer"  #: the charger got it, and its process was lost before it said what came of it
    REJECTED = "action_rejected"  #: the charger or its CSMS said no
    FAILED = "action_failed"  #: the charger tried, and could not


#: True where the same payload may succeed later (contract 4.0).
RETRYABLE: dict[ErrorCode, bool] = {
    ErrorCode.PROVIDER_UNAVAILABLE: True,
    ErrorCode.RATE_BUDGET: True,
    ErrorCode.PROVIDER_REJECTED: False,
    ErrorCode.ACCESS_DENIED: False,
    ErrorCode.PROVISIONING_TIMEOUT: True,
    ErrorCode.RUNTIME_TIMEOUT: True,
    ErrorCode.IMAGE_UNAVAILABLE: False,
    ErrorCode.NO_CAPACITY: True,
    ErrorCode.QUOTA_EXCEEDED: True,
    ErrorCode.TASK_EXITED: True,
    ErrorCode.DEPLOYMENT_FAILED: True,
    ErrorCode.UNKNOWN: True,
}


class ErrorDetail(TypedDict):
    """ProvisioningErrorDetail of the contract."""

    code: str
    message: str
    step: str | None
    param: str | None
    doc_url: str | None
    retryable: bool


def error_detail(code: ErrorCode, message: str, *, step: str | None, param: str | None = None) -> ErrorDetail:
    """The stored form of an error, with its message cut to the contract's length."""
    return ErrorDetail(
        code=code.value,
        message=message[:MESSAGE_LENGTH],
        step=step,
        param=param,
        doc_url=None,
        retryable=RETRYABLE[code],
    )
