"""The fault `stale`: reads do not show the newest changes yet.

Amazon ECS's API is eventually consistent: a change may be missing from the reads that follow it.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

Json = dict[str, Any]
Call = Callable[[str, Json], Json]  #: sends an action with its request and returns the answer

CHANGES = frozenset({"CreateService", "UpdateService", "DeleteService", "StopTask"})
MAX_SNAPSHOTS = 20  # per service
READS = frozenset({"DescribeServices", "ListTasks", "DescribeTasks"})


@dataclass(frozen=True)
class _Snapshot:
    at: float  #: seconds of the monotonic clock
    service: Json | None
    tasks: dict[str, Json]  #: the tasks that should run, by ARN


class History:
    """What services were like before each of their last MAX_SNAPSHOTS changes."""

    def __init__(self) -> None:
        self._before: defaultdict[str, deque[_Snapshot]] = defaultdict(lambda: deque(maxlen=MAX_SNAPSHOTS))

    def record(self, names: list[str], request: bytes, call: Call) -> None:
        """Store what reads show of these services now, before the change of `request`."""
        cluster = orjson.loads(request).get("cluster")
        for name in names:
            found = call("DescribeServices", {"cluster": cluster, "services": [name]}).get("services", [])
            arns = call("ListTasks", {"cluster": cluster, "serviceName": name}).get("taskArns", [])
            tasks = call("DescribeTasks", {"cluster": cluster, "tasks": arns})["tasks"] if arns else []
            by_arn = {task["taskArn"]: task for task in tasks}
            self._before[name].append(_Snapshot(time.monotonic(), found[0] if found else None, by_arn))

    def rewind(self, action: str, names: list[str], answer: Json, seconds: float) -> None:
        """Change the answer to a read to what it was before the changes of the last `seconds`."""
        since = time.monotonic() - seconds
        for name in names:
            before = next((each for each in self._before[name] if each.at > since), None)
            if before is None:
                continue
            if action == "DescribeServices":
                self._rewind_service(answer, name, before)
            elif action == "ListTasks":
                answer["taskArns"] = list(before.tasks)
            else:
                answer["tasks"] = [before.tasks.get(task["taskArn"], task) for task in answer["tasks"]]

    def _rewind_service(self, answer: Json, name: str, before: _Snapshot) -> None:
        answer["services"] = [each for each in answer["services"] if each["serviceName"] != name]
        answer["failures"] = [each for each in answer["failures"] if not each["arn"].endswith(f"/{name}")]
        if before.service is not None:
            answer["services"].append(before.service)
        else:
            answer["failures"].append({"arn": name, "reason": "MISSING"})
