"""The rules of faults: which API calls and starts of tasks go wrong, and how.

`PUT /_chargehand/faults` replaces the rules with a list of objects, each with a `kind` and other fields of `Rule`.
`GET` shows the rules with their counters, and describes the kinds; `DELETE` removes all rules. An example:
`[{"kind": "throttle", "action": "*Service", "service": "dep-*", "probability": 0.9, "seed": 1}]`
"""

import fnmatch
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from random import Random
from typing import Any

MAX_RECORDED_CALLS = 20_000

CAPACITY = "Capacity is unavailable at this time. Please try again later or in a different availability zone."
VCPU_QUOTA = "You've reached the limit on the number of vCPUs you can run concurrently."

#: What a rule does to an API call, in the order in which rules apply.
CALL_KINDS = {
    "quotas": "ThrottlingException above the burst and rate that AWS allows",
    "delay": "wait `seconds`, then apply",
    "throttle": "ThrottlingException, not applied",
    "error": "ServerException with HTTP `status`, not applied",
    "cut": "not applied, the connection ends without an answer",
    "ghost": "`answer` (cut or error) now, and applied `seconds` later",
    "stale": "reads show a service as it was `seconds` ago",
    "missing": "DescribeServices reports half of the names MISSING",
    "apply_then_delay": "applied, answered `seconds` later",
    "apply_then_cut": "applied, the connection ends without an answer",
    "truncated": "applied, answered 200 with half of the JSON",
    "empty": "applied, answered 200 with {}",
}
PLACEMENT_KINDS = {"no_capacity": CAPACITY, "vcpu_quota": VCPU_QUOTA}
LAUNCH_KINDS = {
    "cannot_pull_image": "CannotPullContainerError, the task never runs",
    "exit_at_once": "the task's process ends at once with `exit_code`",
    "slow_start": "the task is PENDING for `seconds`",
}
KINDS = CALL_KINDS | PLACEMENT_KINDS | LAUNCH_KINDS

# Burst and calls per second: Amazon ECS Developer Guide, "Request throttling for the Amazon ECS API".
QUOTAS = {
    "service changes": (50, 5, ("CreateService", "UpdateService", "DeleteService")),
    "service reads": (100, 20, ("DescribeServices", "ListServices")),
    "task changes": (100, 40, ("RunTask", "StartTask", "StopTask")),
    "task reads": (100, 20, ("DescribeTasks", "ListTasks")),
    "definition changes": (
        20,
        1,
        ("RegisterTaskDefinition", "DeregisterTaskDefinition", "DeleteTaskDefinitions"),
    ),
    "definition reads": (50, 20, ("DescribeTaskDefinition", "ListTaskDefinitions")),
    "tags": (20, 10, ("TagResource", "UntagResource")),
    "cluster changes": (20, 1, ("CreateCluster", "UpdateCluster", "DeleteCluster")),
}
GROUP_OF = {action: group for group, (_, _, actions) in QUOTAS.items() for action in actions}


class InvalidRule(ValueError):
    """A rule cannot be used. The message says why."""


@dataclass
class Rule:
    """What goes wrong, for which calls or services, and how often."""

    kind: str
    action: str = "*"  #: glob on the API action
    service: str = "*"  #: glob on the service names (or the task family) in the call
    probability: float = 1.0
    count: int | None = None  #: applied at most so many times; None is no limit
    seed: int | None = None  #: of the random numbers, to repeat a run
    seconds: float = 0.0
    status: int = 500
    answer: str = "cut"
    exit_code: int = 1
    matched: int = 0  #: how many calls matched; shown by GET, as is `applied`
    applied: int = 0
    random: Random = field(default_factory=Random, repr=False)

    @classmethod
    def parse(cls, body: object) -> "Rule":
        """The rule of a JSON object. Raises InvalidRule."""
        if not isinstance(body, dict):
            raise InvalidRule("a rule is a JSON object")
        known = {each.name for each in fields(cls)} - {"matched", "applied", "random"}
        unknown = set(body) - known
        if unknown:
            raise InvalidRule(
                f"unknown fields: {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}"
            )
        if body.get("kind") not in KINDS:
            raise InvalidRule(f"kind is one of {', '.join(KINDS)}")
        for name in ("probability", "seconds", "count", "seed", "status", "exit_code"):
            if not isinstance(body.get(name), int | float | None):
                raise InvalidRule(f"{name} is a number")
        rule = cls(**body, random=Random(body.get("seed")))  # noqa: S311 - repeatable on purpose
        if rule.status not in {500, 503} or rule.answer not in {"cut", "error"}:
            raise InvalidRule("status is 500 or 503, answer is cut or error")
        return rule

    def applies(self, names: Iterable[str]) -> bool:
        """Whether the fault happens to this call. Counts the call."""
        if self.service != "*" and not any(fnmatch.fnmatchcase(name, self.service) for name in names):
            return False
        self.matched += 1
        if (
            self.count is not None and self.applied >= self.count
        ) or self.random.random() >= self.probability:
            return False
        self.applied += 1
        return True

    def show(self) -> dict[str, Any]:
        """The fields with the counters, for JSON."""
        shown = asdict(self)
        del shown["random"]
        return shown


def parse_rules(body: object) -> list[Rule]:
    """The rules of a JSON list. Raises InvalidRule."""
    if not isinstance(body, list):
        raise InvalidRule("send a list of rules")
    return [Rule.parse(each) for each in body]


@dataclass
class Bucket:
    """A token bucket, as Amazon ECS throttles with."""

    burst: int
    per_second: float
    tokens: float
    filled_at: float = field(default_factory=time.monotonic)

    def take(self) -> bool:
        """Whether there was a token."""
        now = time.monotonic()
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.per_second)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Faults:
    """The rules in force, and the recorded calls. Safe to use from several threads."""

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.calls: deque[dict[str, Any]] = deque(maxlen=MAX_RECORDED_CALLS)
        self._rules: list[Rule] = []
        self._buckets: dict[str, Bucket] = {}
        self._lock = threading.Lock()

    def replace(self, rules: list[Rule]) -> None:
        """Put the rules into force instead of the earlier ones, with full quotas."""
        with self._lock:
            self._rules = rules
            self._buckets = {
                group: Bucket(burst, per_second, tokens=burst)
                for group, (burst, per_second, _) in QUOTAS.items()
            }
        self.changed()

    def show(self) -> list[dict[str, Any]]:
        """The rules in force, for JSON."""
        with self._lock:
            return [rule.show() for rule in self._rules]

    def is_in_force(self, rule: Rule) -> bool:
        """Whether the rule is still in force."""
        return any(rule is other for other in self._rules)

    def refuse_placement(self, service: str) -> str | None:
        """Why a task of this service cannot be placed, in ECS's words; None when it can."""
        rule = self._first(PLACEMENT_KINDS, service)
        return PLACEMENT_KINDS[rule.kind] if rule else None

    def spoil_launch(self, service: str) -> Rule | None:
        """The rule that applies to a start of this service's task."""
        return self._first(LAUNCH_KINDS, service)

    def _first(self, kinds: Iterable[str], service: str) -> Rule | None:
        with self._lock:
            return next(
                (rule for rule in self._rules if rule.kind in kinds and rule.applies([service])), None
            )

    def for_call(self, action: str, names: list[str]) -> dict[str, Rule]:
        """The rules that apply to this call, by kind, in the order of CALL_KINDS."""
        with self._lock:
            found = [
                rule
                for rule in self._rules
                if rule.kind in CALL_KINDS
                and (rule.kind != "missing" or action == "DescribeServices")
                and fnmatch.fnmatchcase(action, rule.action)
                and self._exceeds_quota(rule, action)
                and rule.applies(names)
            ]
        by_kind = {rule.kind: rule for rule in reversed(found)}
        return {kind: by_kind[kind] for kind in CALL_KINDS if kind in by_kind}

    def _exceeds_quota(self, rule: Rule, action: str) -> bool:
        """Whether the call is above its quota; True for a rule of another kind."""
        if rule.kind != "quotas":
            return True
        group = GROUP_OF.get(action)
        return group is not None and not self._buckets[group].take()
