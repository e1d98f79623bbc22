"""A log group and a client of the embedded CloudWatch."""

from dataclasses import replace
from uuid import uuid4

import boto3
import pytest
from mypy_boto3_logs import CloudWatchLogsClient

from embedded.ecs.process import EcsProcess
from shared.settings import EcsSettings
from tests.support.world import World
from tests.worker.logs.log_group import PAGE, LogGroup
from worker.logs.client import LogsClient


@pytest.fixture(scope="module")
def cloudwatch(ecs_process: EcsProcess) -> CloudWatchLogsClient:
    return boto3.session.Session("tests", "tests", region_name="us-east-1").client(
        "logs", endpoint_url=ecs_process.endpoint_url
    )


@pytest.fixture
def group(
    world: World,
    ecs_process: EcsProcess,
    ecs_settings: EcsSettings,
    cloudwatch: CloudWatchLogsClient,
    monkeypatch: pytest.MonkeyPatch,
) -> LogGroup:
    monkeypatch.setattr("worker.logs.client.PAGE_LIMIT", PAGE)
    monkeypatch.setenv("AWS_ENDPOINT_URL", ecs_process.endpoint_url)
    name = f"/test/{uuid4().hex}"
    cloudwatch.create_log_group(logGroupName=name)
    client = LogsClient(replace(ecs_settings, log_group=name), max_bytes_per_day=10 * 1024**3)
    return LogGroup(world.sessions, replace(world.timing, log_overlap_s=60), client, cloudwatch)
