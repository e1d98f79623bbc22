"""Counts a worker's calls to ECS and its turns at the rate budget, for its report."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from shared.error_codes import ErrorCode
from worker.ecs.errors import FINAL_CODES

#: From botocore.retries.standard, and what ECS says in a ClientException.
THROTTLED_CODES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "RequestThrottled",
    }
)
#: Errors of a single request, which other requests do not meet.
OF_ONE_REQUEST = frozenset({ErrorCode.PROVIDER_REJECTED, ErrorCode.QUOTA_EXCEEDED})
NO_CLUSTER = "ClusterNotFoundException"  # every request meets this one


@dataclass(slots=True)
class Calls:
    """What became of the calls of an operation since the worker's start."""

    calls: int = 0  #: each try of botocore is one
    errors: int = 0  #: of those, throttles included
    throttles: int = 0


class CallCounts:
    """One per client. Safe to share between threads. Holds names of operations and error codes, no message of ECS."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._of: dict[str, Calls] = {}
        self._success_at: float | None = None
        self._failure_at: float | None = None
        self._failure = ""

    def note(
        self,
        event_name: str,
        parsed_response: Mapping[str, Any] | None,
        exception: Exception | None,
        **_: object,
    ) -> None:
        """Handle botocore's event `response-received`. A call that has had no turn at the budget was not made."""
        if parsed_response is None and not _is_network(exception):
            return
        operation = event_name.rsplit(".", 1)[-1]
        code, is_failure = _verdict(parsed_response, exception)
        with self._lock:
            counted = self._of.setdefault(operation, Calls())
            counted.calls += 1
            counted.errors += code is not None
            counted.throttles += code in THROTTLED_CODES
            if is_failure:
                self._failure_at, self._failure = self._clock(), f"{operation}: {code}"
            else:
                self._success_at = self._clock()

    def report(self) -> dict[str, Any]:
        """The counts as JSON. Times are seconds before now; null for what never happened."""
        with self._lock:
            now = self._clock()
            return {
                "operations": {
                    operation: {
                        "calls": counted.calls,
                        "errors": counted.errors,
                        "throttles": counted.throttles,
                    }
                    for operation, counted in self._of.items()
                },
                "success_s": None if self._success_at is None else now - self._success_at,
                "failure_s": None if self._failure_at is None else now - self._failure_at,
                "failure": self._failure or None,
            }

    def throttles(self) -> Counter[str]:
        """By operation, since the start."""
        with self._lock:
            return Counter({operation: counted.throttles for operation, counted in self._of.items()})


def _is_network(exception: Exception | None) -> bool:
    """Whether botocore got no answer. It may have raised an error of ours, which says that nothing was sent."""
    return type(exception).__module__.startswith("botocore.")


def _verdict(
    parsed_response: Mapping[str, Any] | None, exception: Exception | None
) -> tuple[str | None, bool]:
    """The code of an error, and whether it says that ECS does not work for us."""
    if parsed_response is None:
        return type(exception).__name__, True
    code = parsed_response.get("Error", {}).get("Code")
    if code is None:
        return None, False
    return code, code == NO_CLUSTER or FINAL_CODES.get(code) not in OF_ONE_REQUEST


@dataclass(slots=True)
class Turns:
    """The turns of one group of operations since the worker's start."""

    granted: int = 0
    waits: int = 0  #: turns that did not come at once
    waited_s: float = 0.0  #: of those


class TurnCounts:
    """One per budget. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[str, Turns] = {}

    def note(self, group: str, *, granted: bool, wait_s: float, queued: bool) -> None:
        """Count a turn. `queued` is false for observing, which takes what is left over and waits for nothing."""
        with self._lock:
            turns = self._of.setdefault(group, Turns())
            turns.granted += granted
            if queued and wait_s > 0:
                turns.waits += 1
                turns.waited_s += wait_s

    def of(self, group: str) -> Turns:
        """A copy."""
        with self._lock:
            turns = self._of.get(group, Turns())
            return Turns(turns.granted, turns.waits, turns.waited_s)
