"""The outcomes of an attempt to make ECS agree with a charger's row."""

from dataclasses import dataclass

from shared.error_codes import ErrorCode
from worker.ecs.client import ServiceView


@dataclass(frozen=True, slots=True)
class Applied:
    """ECS accepted the desired state."""

    view: ServiceView  #: the service in ECS's answer
    rolled_out: str | None  #: the spec of the rollout that this was part of


@dataclass(frozen=True, slots=True)
class Removed:
    """ECS has nothing of the charger any more."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again. With `delay_s` the attempt was merely postponed (rate budget, draining service): it has not failed."""

    message: str
    code: ErrorCode | None = None  #: None while nothing is wrong
    delay_s: float | None = None
    service_status: str | None = None  #: as ECS reported it, if the attempt described the service


@dataclass(frozen=True, slots=True)
class Rejected:
    """ECS will not do it, however often it is called."""

    code: ErrorCode
    message: str


Outcome = Applied | Removed | Retry | Rejected
