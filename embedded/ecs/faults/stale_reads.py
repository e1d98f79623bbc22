"""The fault `stale`: reads answer as they did before the changes of the last seconds.

Amazon calls its API eventually consistent: a change that was answered may not show in the next read.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

Json = dict[str, Any]
Ask = Callable[[str, Json], Json]  #: an action and its request; gives the answer of now

CHANGES = frozenset({"CreateService", "UpdateService", "DeleteService", "StopTask"})
KEPT = 20  # changes of a service
READS = frozenset({"DescribeServices", "ListTasks", "DescribeTasks"})


@dataclass(frozen=True)
class _Snapshot:
    at: float  #: seconds of the monotonic clock
    service: Json | None
    tasks: dict[str, Json]  #: those that should run, by ARN


class Past:
    """What services were like before their last changes."""

    def __init__(self) -> None:
        self._before: defaultdict[str, deque[_Snapshot]] = defaultdict(lambda: deque(maxlen=KEPT))

    def remember(self, names: list[str], request: bytes, ask: Ask) -> None:
        """Keep what reads answer of these services now, before the change that is about to be made."""
        cluster = orjson.loads(request).get("cluster")
        for name in names:
            found = ask("DescribeServices", {"cluster": cluster, "services": [name]}).get("services", [])
            arns = ask("ListTasks", {"cluster": cluster, "serviceName": name}).get("taskArns", [])
            tasks = ask("DescribeTasks", {"cluster": cluster, "tasks": arns})["tasks"] if arns else []
            by_arn = {task["taskArn"]: task for task in tasks}
            self._before[name].append(_Snapshot(time.monotonic(), found[0] if found else None, by_arn))

    def put_back(self, action: str, names: list[str], answer: Json, seconds: float) -> None:
        """Make the answer to a read what it was before changes that are younger than this."""
        since = time.monotonic() - seconds
        for name in names:
            before = next((each for each in self._before[name] if each.at > since), None)
            if before is None:
                continue
            if action == "DescribeServices":
                self._put_service(answer, name, before)
            elif action == "ListTasks":
                answer["taskArns"] = list(before.tasks)
            else:
                answer["tasks"] = [before.tasks.get(task["taskArn"], task) for task in answer["tasks"]]

    def _put_service(self, answer: Json, name: str, before: _Snapshot) -> None:
        answer["services"] = [each for each in answer["services"] if each["serviceName"] != name]
        answer["failures"] = [each for each in answer["failures"] if not each["arn"].endswith(f"/{name}")]
        if before.service is not None:
            answer["services"].append(before.service)
        else:
            answer["failures"].append({"arn": name, "reason": "MISSING"})
