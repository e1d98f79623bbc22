"""What Amazon ECS promises about tasks and tags and moto does not keep."""

import os
import sys
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.ecs_services import CLUSTER, Fleet, code
from tests.support.waiting import wait_until

MISSING_TASK = "0123456789abcdef0123456789abcdef"


def test_tasks_are_listed_by_service_status_and_family(fleet: Fleet) -> None:
    """moto ignores the service, and lists stopped tasks by default."""
    name, other = fleet.given(), fleet.given()
    first = fleet.task(name)
    fleet.stop(first)
    fleet.until_stopped(first)
    wait_until(lambda: fleet.ecs.list_tasks(cluster=CLUSTER, serviceName=name)["taskArns"])

    running = fleet.task(name)
    family = fleet.describe(other)["taskDefinition"].rsplit("/", 1)[-1].split(":")[0]

    assert running != first
    assert [task["taskArn"] for task in fleet.stopped_tasks(name)] == [first]
    assert fleet.ecs.list_tasks(cluster=CLUSTER, family=family)["taskArns"] == [fleet.task(other)]
    with pytest.raises(ClientError) as error:
        fleet.ecs.list_tasks(cluster=CLUSTER, serviceName="dep-unknown")
    assert code(error) == "ServiceNotFoundException"


def test_tasks_are_listed_in_pages(fleet: Fleet) -> None:
    name = fleet.create(fleet.define(CHARGER_TASK_MAY_OVERLAP="1"), desiredCount=3)
    fleet.until_running(name, 3)

    first = fleet.ecs.list_tasks(cluster=CLUSTER, serviceName=name, maxResults=2)
    rest = fleet.ecs.list_tasks(cluster=CLUSTER, serviceName=name, maxResults=2, nextToken=first["nextToken"])

    assert (len(first["taskArns"]), len(rest["taskArns"])) == (2, 1)
    assert not set(first["taskArns"]) & set(rest["taskArns"])
    assert "nextToken" not in rest


def test_an_unknown_task_is_a_failure_to_describe_and_an_error_to_stop(fleet: Fleet) -> None:
    """moto leaves it out of the answer, and answers 500."""
    answer = fleet.ecs.describe_tasks(cluster=CLUSTER, tasks=[MISSING_TASK])
    assert answer["tasks"] == []
    assert [failure["reason"] for failure in answer["failures"]] == ["MISSING"]

    with pytest.raises(ClientError, match="The referenced task was not found") as error:
        fleet.stop(MISSING_TASK)
    assert code(error) == "InvalidParameterException"


def test_a_hundred_and_one_tasks_cannot_be_described_at_once(fleet: Fleet) -> None:
    with pytest.raises(ClientError) as error:
        fleet.ecs.describe_tasks(cluster=CLUSTER, tasks=[f"{number:032x}" for number in range(101)])

    assert code(error) == "InvalidParameterException"


def test_a_services_tags_reach_its_tasks(fleet: Fleet) -> None:
    """moto starts no tasks."""
    tags: Any = [{"key": "organization", "value": "org-1"}, {"key": "charger_id", "value": "dep-1"}]
    name = fleet.create(fleet.define(), tags=tags, propagateTags="SERVICE", enableECSManagedTags=True)
    fleet.until_running(name)

    arn = fleet.task(name)

    shown = {tag["key"]: tag["value"] for tag in fleet.describe_task(arn)["tags"]}
    assert shown == {
        "organization": "org-1",
        "charger_id": "dep-1",
        "aws:ecs:clusterName": CLUSTER,
        "aws:ecs:serviceName": name,
    }
    assert fleet.describe(name)["tags"] == tags
    without = fleet.ecs.describe_services(cluster=CLUSTER, services=[name])["services"][0]
    assert "tags" not in without


def test_tags_can_be_changed_on_services_tasks_and_definitions(fleet: Fleet) -> None:
    name = fleet.given()
    definition = fleet.describe(name)["taskDefinition"]

    for arn in (fleet.describe(name)["serviceArn"], fleet.task(name), definition):
        fleet.ecs.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
        fleet.ecs.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "3"}])
        fleet.ecs.untag_resource(resourceArn=arn, tagKeys=["b", "c"])
        assert fleet.ecs.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "a", "value": "3"}]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shares its CPUs among sessions")
def test_all_chargers_have_one_share_of_the_cpus(fleet: Fleet) -> None:
    """Linux gives each session an equal share (autogroup, sched(7)): hundreds of their own would leave the API next to none."""
    pids = [fleet.pid(fleet.given()) for _ in range(2)]

    assert {os.getsid(pid) for pid in pids} == {os.getsid(fleet.process.pid)}
    assert [os.getpgid(pid) for pid in pids] == pids  # so that each can be killed with what it started
