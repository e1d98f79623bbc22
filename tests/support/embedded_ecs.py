"""The real EcsClient on the embedded ECS, for tests of what the worker and ECS say to each other."""

import os
import signal
from dataclasses import dataclass, replace

import psutil
import pytest

from embedded.ecs.process import EcsProcess
from shared.settings import EcsSettings
from worker.ecs.budget import Budget
from worker.ecs.client import EcsClient

ROLE = "arn:aws:iam::123456789012:role/execution"
#: Runs until it is stopped, and then for CHARGER_TASK_STOPS_IN_S more seconds.
TASK_COMMAND = ("sh", "-c", 'trap "sleep ${CHARGER_TASK_STOPS_IN_S:-0}; exit 0" TERM; sleep 300 & wait')
#: Short waits; what they are by default is in embedded.ecs.scheduling.scheduler.
QUICK = ("--steady-after-s", "0.2", "--first-retry-s", "0.1")


def on_fargate(settings: EcsSettings) -> EcsSettings:
    """What a real account needs, and waits that fit a test."""
    return replace(
        settings,
        launch_type="FARGATE",
        subnets=("subnet-1",),
        security_groups=("sg-1",),
        execution_role_arn=ROLE,
        connect_timeout_s=0.5,
        read_timeout_s=0.5,
    )


def client_at(endpoint_url: str, settings: EcsSettings, budget: Budget | None = None) -> EcsClient:
    """A client of the server at that address. It tries once: botocore's second try ends the same, later."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        patch.setenv("AWS_ACCESS_KEY_ID", "tests")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
        patch.setattr("worker.ecs.aws_settings.ATTEMPTS", 1)
        return EcsClient(settings, budget)


@dataclass(frozen=True)
class Embedded:
    """A client, and the process that answers it."""

    ecs: EcsClient
    process: EcsProcess

    def crash(self, charger_id: str) -> None:
        """Kill the charger's process behind ECS's back."""
        [pid] = self._pids(charger_id)
        os.kill(pid, signal.SIGKILL)

    def handles_signals(self, charger_id: str) -> bool:
        """ECS calls a task running before its process has got that far: the child comes after the trap."""
        return all(psutil.Process(pid).children() for pid in self._pids(charger_id))

    def _pids(self, charger_id: str) -> list[int]:
        return [task["pid"] for task in self.process.tasks() if task["service"] == charger_id]
