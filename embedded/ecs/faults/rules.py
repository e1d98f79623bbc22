"""Faults on demand: rules that spoil API calls on their way in or out, and launches of tasks.

`PUT /_chargehand/faults` replaces the rules by a list of new ones: objects with a `kind` and other fields of
`Rule`. `GET` shows them with their counters, and what the kinds do; `DELETE` heals everything. An example:
`[{"kind": "throttle", "action": "*Service", "service": "dep-*", "probability": 0.9, "seed": 1}]`
"""

import fnmatch
import io
import itertools
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

from embedded.ecs.faults.stale_reads import CHANGES, READS, Past

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

KEPT_CALLS = 20_000
JSON_TYPE = "application/x-amz-json-1.1"

CAPACITY = "Capacity is unavailable at this time. Please try again later or in a different availability zone."
VCPU_QUOTA = "You've reached the limit on the number of vCPUs you can run concurrently."

#: What happens to an API call, in the order in which the rules are obeyed.
CALL_KINDS = {
    "quotas": "ThrottlingException beyond the burst and rate that AWS allows",
    "delay": "wait `seconds`, then apply",
    "throttle": "ThrottlingException, nothing applied",
    "error": "ServerException with HTTP `status`, nothing applied",
    "cut": "the connection ends without an answer, nothing applied",
    "ghost": "`answer` (cut or error) now, and applied `seconds` later",
    "stale": "reads of a service answer as before its changes of the last `seconds`",
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
    """The message says what is wrong with the rule."""


@dataclass
class Rule:
    kind: str
    action: str = "*"  #: glob on the API action
    service: str = "*"  #: glob on the service names (or task family) that the call is about
    probability: float = 1.0
    count: int | None = None  #: how often at most
    seed: int | None = None
    seconds: float = 0.0
    status: int = 500
    answer: str = "cut"
    exit_code: int = 1
    matched: int = 0  #: counters, shown by GET
    applied: int = 0
    dice: random.Random = field(default_factory=random.Random, repr=False)

    @classmethod
    def parse(cls, body: object) -> "Rule":
        """Raises InvalidRule."""
        if not isinstance(body, dict):
            raise InvalidRule("a rule is a JSON object")
        known = {each.name for each in fields(cls)} - {"matched", "applied", "dice"}
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
        rule = cls(**body, dice=random.Random(body.get("seed")))  # noqa: S311 - repeatable on purpose
        if rule.status not in {500, 503} or rule.answer not in {"cut", "error"}:
            raise InvalidRule("status is 500 or 503, answer is cut or error")
        return rule

    def strikes(self, names: Iterable[str]) -> bool:
        """Whether it happens this time; counts itself."""
        if self.service != "*" and not any(fnmatch.fnmatchcase(name, self.service) for name in names):
            return False
        self.matched += 1
        if (self.count is not None and self.applied >= self.count) or self.dice.random() >= self.probability:
            return False
        self.applied += 1
        return True

    def show(self) -> dict[str, Any]:
        shown = asdict(self)
        del shown["dice"]
        return shown


def parse_rules(body: object) -> list[Rule]:
    """Raises InvalidRule."""
    if not isinstance(body, list):
        raise InvalidRule("send a list of rules")
    return [Rule.parse(each) for each in body]


@dataclass
class Bucket:
    burst: int
    per_second: float
    tokens: float
    filled_at: float = field(default_factory=time.monotonic)

    def take(self) -> bool:
        now = time.monotonic()
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.per_second)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Faults:
    """The rules in force, and the calls that were made. Without rules every call passes unharmed."""

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.calls: deque[dict[str, Any]] = deque(maxlen=KEPT_CALLS)
        self._rules: list[Rule] = []
        self._buckets: dict[str, Bucket] = {}
        self._lock = threading.Lock()

    def replace(self, rules: list[Rule]) -> None:
        with self._lock:
            self._rules = rules
            self._buckets = {
                group: Bucket(burst, per_second, tokens=burst)
                for group, (burst, per_second, _) in QUOTAS.items()
            }
        self.changed()

    def show(self) -> list[dict[str, Any]]:
        with self._lock:
            return [rule.show() for rule in self._rules]

    def holds(self, rule: Rule) -> bool:
        """Whether the rule is still in force."""
        return any(rule is other for other in self._rules)

    def refuse_placement(self, service: str) -> str | None:
        """Why there is no place for a task of this service, in ECS's words."""
        rule = self._first(PLACEMENT_KINDS, service)
        return PLACEMENT_KINDS[rule.kind] if rule else None

    def spoil_launch(self, service: str) -> Rule | None:
        return self._first(LAUNCH_KINDS, service)

    def _first(self, kinds: Iterable[str], service: str) -> Rule | None:
        with self._lock:
            return next(
                (rule for rule in self._rules if rule.kind in kinds and rule.strikes([service])), None
            )

    def for_call(self, action: str, names: list[str]) -> dict[str, Rule]:
        """The rules that strike this call, by kind, in the order of CALL_KINDS."""
        with self._lock:
            struck = [
                rule
                for rule in self._rules
                if rule.kind in CALL_KINDS
                and (rule.kind != "missing" or action == "DescribeServices")
                and fnmatch.fnmatchcase(action, rule.action)
                and self._exceeds_quota(rule, action)
                and rule.strikes(names)
            ]
        by_kind = {rule.kind: rule for rule in reversed(struck)}
        return {kind: by_kind[kind] for kind in CALL_KINDS if kind in by_kind}

    def _exceeds_quota(self, rule: Rule, action: str) -> bool:
        """True for all other kinds of rules."""
        if rule.kind != "quotas":
            return True
        group = GROUP_OF.get(action)
        return group is not None and not self._buckets[group].take()


class FaultyApi:
    """WSGI middleware: records each AWS call and does to it what the rules say."""

    def __init__(
        self, app: "WSGIApplication", faults: Faults, service_of_task: Callable[[str], str | None]
    ) -> None:
        self._app = app
        self._faults = faults
        self._service_of_task = service_of_task
        self._past = Past()
        self._numbers = itertools.count(1)
        self._closed = threading.Event()

    def close(self) -> None:
        """What waits is not applied any more."""
        self._closed.set()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        target = environ.get("HTTP_X_AMZ_TARGET")
        if target is None:
            return self._app(environ, start_response)
        action = target.rsplit(".", 1)[-1]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        names = self._names_in(body)
        rules = self._faults.for_call(action, names)
        call: dict[str, Any] = {
            "number": next(self._numbers),
            "time": time.time(),
            "action": action,
            "services": names,
            "faults": list(rules),
            "status": None,
            "error": None,
            "duration_s": None,
        }
        self._faults.calls.append(call)
        try:
            answer = self._refuse(environ, body, rules)
            if answer is None:
                answer = self._apply_and_spoil(environ, body, rules, action, names)
        except ConnectionAbortedError:
            call["error"] = "connection cut"
            raise  # the server drops the connection
        finally:
            call["duration_s"] = round(time.time() - call["time"], 6)
        call["status"], call["error"] = answer.status_code, error_of(answer)
        return answer(environ, start_response)

    def _refuse(self, environ: "WSGIEnvironment", body: bytes, rules: dict[str, Rule]) -> Response | None:
        """The answer to a call that is not applied now. None: apply it. Raises ConnectionAbortedError."""
        if "delay" in rules and self._closed.wait(rules["delay"].seconds):
            raise ConnectionAbortedError("the server stops")
        if "quotas" in rules or "throttle" in rules:
            return throttled()
        if "error" in rules:
            return failed(rules["error"].status)
        if "cut" in rules:
            raise ConnectionAbortedError("cut by a rule")
        if "ghost" in rules:
            return self._apply_later(environ, body, rules["ghost"])
        return None

    def _apply_later(self, environ: "WSGIEnvironment", body: bytes, rule: Rule) -> Response:
        def apply() -> None:
            if not self._closed.wait(rule.seconds):
                self._apply(environ, body)

        threading.Thread(target=apply, daemon=True).start()
        if rule.answer == "cut":
            raise ConnectionAbortedError("cut by a rule")
        return failed(rule.status)

    def _apply_and_spoil(
        self, environ: "WSGIEnvironment", body: bytes, rules: dict[str, Rule], action: str, names: list[str]
    ) -> Response:
        """Raises ConnectionAbortedError."""
        if "stale" in rules and action in CHANGES:
            self._past.remember(names, body, partial(self._ask, environ))
        if "stale" in rules and action in READS:
            answer = self._apply(environ, body)
            shown = orjson.loads(answer.data)
            if answer.status_code == 200:
                self._past.put_back(action, names, shown, rules["stale"].seconds)
            answer = Response(orjson.dumps(shown), status=answer.status_code, content_type=JSON_TYPE)
        elif "missing" in rules:
            answer = self._describe_half(environ, body, rules["missing"])
        else:
            answer = self._apply(environ, body)
        if "apply_then_delay" in rules:
            self._closed.wait(rules["apply_then_delay"].seconds)
        if "apply_then_cut" in rules:
            raise ConnectionAbortedError("cut by a rule")
        if "truncated" in rules:
            answer = Response(answer.data[: len(answer.data) // 2], content_type=JSON_TYPE)
        if "empty" in rules:
            answer = Response(b"{}", content_type=JSON_TYPE)
        return answer

    def _ask(self, environ: "WSGIEnvironment", action: str, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a call of our own, beside the one in `environ`."""
        target = environ["HTTP_X_AMZ_TARGET"].rpartition(".")[0]
        answer = self._apply(environ | {"HTTP_X_AMZ_TARGET": f"{target}.{action}"}, orjson.dumps(request))
        shown: dict[str, Any] = orjson.loads(answer.data)
        return shown

    def _apply(self, environ: "WSGIEnvironment", body: bytes) -> Response:
        request = environ | {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        chunks, status, headers = run_wsgi_app(self._app, request, buffered=True)
        return Response(b"".join(chunks), status=status, headers=headers)

    def _describe_half(self, environ: "WSGIEnvironment", body: bytes, rule: Rule) -> Response:
        request = orjson.loads(body)
        names = request.get("services", [])
        lost = rule.dice.sample(names, -(-len(names) // 2))
        kept = [name for name in names if name not in lost]
        failures = [{"arn": name, "reason": "MISSING"} for name in lost]
        if not kept:
            return Response(orjson.dumps({"services": [], "failures": failures}), content_type=JSON_TYPE)
        answer = self._apply(environ, orjson.dumps(request | {"services": kept}))
        shown = orjson.loads(answer.data)
        if answer.status_code == 200:
            shown["failures"] += failures
        return Response(orjson.dumps(shown), status=answer.status_code, content_type=JSON_TYPE)

    def _names_in(self, body: bytes) -> list[str]:
        """The services, or else the task family, that a call is about."""
        try:
            request = orjson.loads(body or b"{}")
        except orjson.JSONDecodeError:
            return []
        if not isinstance(request, dict):
            return []
        found = [request.get("serviceName"), request.get("service"), *(request.get("services") or [])]
        tasks = [request.get("task"), *(request.get("tasks") or [])]
        found += [self._service_of_task(task) for task in tasks if isinstance(task, str)]
        if not any(found):
            family = (
                request.get("family") or request.get("familyPrefix") or request.get("taskDefinition") or ""
            )
            found = [str(family).rsplit("/", 1)[-1].split(":")[0]]
        return [name.rsplit("/", 1)[-1] for name in found if isinstance(name, str) and name]


def throttled() -> Response:
    return aws_error(400, "ThrottlingException", "Rate exceeded")


def failed(status: int) -> Response:
    return aws_error(status, "ServerException", "Service Unavailable. Please try again later.")


def aws_error(status: int, code: str, message: str) -> Response:
    body = orjson.dumps({"__type": code, "message": message})
    return Response(body, status=status, content_type=JSON_TYPE, headers={"x-amzn-errortype": code})


def error_of(answer: Response) -> str | None:
    """The AWS error code of an answer."""
    if answer.status_code < 400:
        return None
    try:
        code = orjson.loads(answer.data).get("__type", "")
    except (orjson.JSONDecodeError, AttributeError):
        code = ""
    return str(code).rsplit("#", 1)[-1] or f"HTTP {answer.status_code}"
