"""Helpers of the tests of the embedded ECS: boto3 clients of a real process."""

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from mypy_boto3_ecs import ECSClient
from mypy_boto3_logs import CloudWatchLogsClient

from embedded.ecs.process import TESTS, EcsProcess
from tests.support.waiting import wait_until

CLUSTER = "chargehand"
GROUP = "/chargehand/chargers"
ROLE = "arn:aws:iam::123456789012:role/execution"
TASK_COMMAND = (sys.executable, "-I", "-S", str(Path(__file__).with_name("ecs_task.py")))
#: Short waits. For the defaults see embedded.ecs.scheduling.scheduler.
QUICK = ("--steady-after-s", "0.3", "--first-retry-s", "0.1", "--shutdown-s", "1.5")
STOP_FIRST = {"minimumHealthyPercent": 0, "maximumPercent": 100}
NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}

Shown = Any  #: an answer of boto3, whose types make every key optional


@cache
def clients(endpoint_url: str) -> tuple[ECSClient, CloudWatchLogsClient]:
    """Cached, because making them takes longer than most tests."""
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10)
    session = boto3.Session(TESTS.access_key_id, TESTS.secret_access_key, region_name="us-east-1")
    ecs: ECSClient = session.client("ecs", endpoint_url=endpoint_url, config=config)
    return ecs, session.client("logs", endpoint_url=endpoint_url, config=config)


class Fleet:
    """An embedded ECS, and the services that a test created there."""

    def __init__(self, process: EcsProcess) -> None:
        self.process = process
        self.ecs, self.logs = clients(process.endpoint_url)
        self._made: list[str] = []

    def define(self, family: str | None = None, stop_timeout_s: int = 10, **environment: str) -> str:
        """Register a task definition with this environment. Returns its ARN."""
        container: Any = {
            "name": "charger",
            "image": "chargehand/simulator:1",
            "stopTimeout": stop_timeout_s,
            "environment": [{"name": name, "value": value} for name, value in environment.items()],
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": GROUP,
                    "awslogs-region": "us-east-1",
                    "awslogs-stream-prefix": "fleet",
                },
            },
        }
        answer = self.ecs.register_task_definition(
            family=family or new_name(),
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            executionRoleArn=ROLE,
            containerDefinitions=[container],
        )
        return answer["taskDefinition"]["taskDefinitionArn"]

    def request(self, name: str, **other: Any) -> Any:
        """The arguments of create_service."""
        self._made.append(name)
        return {
            "cluster": CLUSTER,
            "serviceName": name,
            "desiredCount": 1,
            "launchType": "FARGATE",
            "deploymentConfiguration": STOP_FIRST,
            "networkConfiguration": NETWORK,
        } | other

    def create(self, definition: str, name: str | None = None, **other: Any) -> str:
        name = name or new_name()
        self.ecs.create_service(**self.request(name, taskDefinition=definition, **other))
        return name

    def given(self, **environment: str) -> str:
        """Create a service and wait for its task. Returns its name."""
        name = self.create(self.define(None, 10, **environment))
        self.until_running(name)
        return name

    def update(self, name: str, **changes: Any) -> Shown:
        return self.ecs.update_service(cluster=CLUSTER, service=name, **changes)["service"]

    def delete(self, name: str) -> Shown:
        return self.ecs.delete_service(cluster=CLUSTER, service=name, force=True)["service"]

    def describe(self, name: str) -> Shown:
        [service] = self.ecs.describe_services(cluster=CLUSTER, services=[name], include=["TAGS"])["services"]
        return service

    def counts(self, name: str) -> tuple[int, int, int]:
        """Desired, running, pending."""
        service = self.describe(name)
        return service["desiredCount"], service["runningCount"], service["pendingCount"]

    def until_running(self, name: str, count: int = 1) -> None:
        wait_until(lambda: self.describe(name)["runningCount"] == count)

    def until_steady(self, name: str) -> None:
        wait_until(lambda: self.describe(name)["deployments"][0]["rolloutState"] == "COMPLETED")

    def events(self, name: str) -> list[str]:
        """Newest first."""
        return [event["message"] for event in self.describe(name)["events"]]

    def task(self, name: str) -> str:
        """The ARN of the only task that should run."""
        [arn] = self.ecs.list_tasks(cluster=CLUSTER, serviceName=name)["taskArns"]
        return arn

    def describe_task(self, arn: str) -> Shown:
        answer = self.ecs.describe_tasks(cluster=CLUSTER, tasks=[arn], include=["TAGS"])
        [task] = answer["tasks"]
        return task

    def stop(self, arn: str, reason: str = "test") -> Shown:
        return self.ecs.stop_task(cluster=CLUSTER, task=arn, reason=reason)["task"]

    def until_stopped(self, arn: str, timeout_s: float = 10) -> Shown:
        def stopped() -> Shown:
            task = self.describe_task(arn)
            return task if task["lastStatus"] == "STOPPED" else None

        return wait_until(stopped, timeout_s)

    def stopped_tasks(self, name: str) -> list[Shown]:
        """Oldest first."""
        arns = self.ecs.list_tasks(cluster=CLUSTER, serviceName=name, desiredStatus="STOPPED")["taskArns"]
        tasks = self.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"] if arns else []
        return sorted(tasks, key=lambda task: task["createdAt"])

    def pid(self, name: str) -> int:
        [pid] = [task["pid"] for task in self.process.tasks() if task["service"] == name]
        return int(pid)

    def lines(self, arn: str) -> list[str]:
        """What a task has printed so far."""
        stream = f"fleet/charger/{arn.rsplit('/', 1)[-1]}"
        events = self.logs.filter_log_events(logGroupName=GROUP, logStreamNames=[stream])["events"]
        return [event["message"] for event in events]

    def until_printed(self, arn: str, words: str) -> str:
        return wait_until(lambda: next((line for line in self.lines(arn) if words in line), ""))

    def delete_all(self) -> None:
        """Delete the test's services and wait until their tasks are gone. Fails if two tasks of a service overlapped."""
        if not self.process.is_running:
            return
        for name in self._made:
            for service in self.ecs.describe_services(cluster=CLUSTER, services=[name])["services"]:
                if service["status"] == "ACTIVE":
                    self.delete(name)
        wait_until(
            lambda: not [task for task in self.process.tasks() if task["service"] in self._made], within_s=15
        )
        for event in self.all_events(filterPattern="OVERLAP"):
            raise AssertionError(f"two tasks of one service at a time: {event}")

    def all_events(self, **query: Any) -> Iterator[Shown]:
        pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP, **query)
        for page in pages:
            yield from page["events"]


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    """The AWS error code."""
    answer: str = error.value.response["Error"]["Code"]
    return answer


def new_name() -> str:
    """A name that no service or family has."""
    return f"dep-{uuid4().hex[:12]}"
