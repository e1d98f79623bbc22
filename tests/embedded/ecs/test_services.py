"""What Amazon ECS promises of its API and moto does not keep: each test names one gap that is closed here."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.embedded.ecs.support import CLUSTER, GROUP, NETWORK, ROLE, Fleet, new_name, until

MISSING_TASK = "0123456789abcdef0123456789abcdef"


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


# Creating


def test_a_repeated_create_with_its_token_gives_the_same_service(fleet: Fleet) -> None:
    """moto replaces the service."""
    request = fleet.request(new_name(), taskDefinition=fleet.define(), clientToken="dep-1-generation-1")
    first = fleet.ecs.create_service(**request)["service"]
    fleet.until_running(request["serviceName"])

    again = fleet.ecs.create_service(**request)["service"]

    assert again["deployments"][0]["id"] == first["deployments"][0]["id"]
    assert (again["createdAt"], again["runningCount"]) == (first["createdAt"], 1)


@pytest.mark.parametrize(
    "difference", [{"desiredCount": 2}, {"clientToken": "another"}, {"clientToken": None}], ids=str
)
def test_another_create_of_an_active_service_is_refused(fleet: Fleet, difference: dict[str, Any]) -> None:
    """moto replaces the service."""
    request = fleet.request(new_name(), taskDefinition=fleet.define(), clientToken="token")
    fleet.ecs.create_service(**request)
    other = {key: value for key, value in (request | difference).items() if value is not None}

    with pytest.raises(ClientError, match="Creation of service was not idempotent") as error:
        fleet.ecs.create_service(**other)

    assert code(error) == "InvalidParameterException"


def test_a_draining_service_cannot_be_created_again_yet(fleet: Fleet) -> None:
    """moto knows no DRAINING."""
    name = fleet.given(CHARGER_TASK_STOPS_IN_S="0.5")
    definition = fleet.describe(name)["taskDefinition"]
    fleet.until_printed(fleet.task(name), "started")
    fleet.delete(name)

    with pytest.raises(ClientError, match="Unable to Start a service that is still Draining") as error:
        fleet.create(definition, name)
    assert code(error) == "InvalidParameterException"

    until(lambda: fleet.describe(name)["status"] == "INACTIVE")
    fleet.create(definition, name)
    fleet.until_running(name)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"serviceName": "a" * 256}, "InvalidParameterException"),
        ({"serviceName": "with space"}, "InvalidParameterException"),
        ({"serviceName": ""}, "InvalidParameterException"),
        ({"desiredCount": -1}, "InvalidParameterException"),
        ({"desiredCount": 5_001}, "InvalidParameterException"),
        ({"clientToken": "t" * 37}, "InvalidParameterException"),
        ({"taskDefinition": "unknown:1"}, "ClientException"),
        ({"networkConfiguration": {"awsvpcConfiguration": {"subnets": []}}}, "InvalidParameterException"),
        (
            {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["10.0.0.0/8"]}}},
            "InvalidParameterException",
        ),
        ({"networkConfiguration": {}}, "InvalidParameterException"),
        ({"tags": [{"key": f"k{n}", "value": ""} for n in range(51)]}, "InvalidParameterException"),
        ({"tags": [{"key": "aws:mine", "value": ""}]}, "InvalidParameterException"),
        (
            {"deploymentConfiguration": {"maximumPercent": 100, "minimumHealthyPercent": 100}},
            "InvalidParameterException",
        ),
        ({"availabilityZoneRebalancing": "ENABLED"}, "InvalidParameterException"),
        ({"cluster": "unknown"}, "ClusterNotFoundException"),
    ],
    ids=str,
)
def test_an_invalid_service_is_refused(fleet: Fleet, wrong: dict[str, Any], expected: str) -> None:
    """moto takes nearly all of these."""
    request = fleet.request(new_name(), taskDefinition=fleet.define(), desiredCount=0)

    with pytest.raises(ClientError) as error:
        fleet.ecs.create_service(**(request | wrong))

    assert code(error) == expected


def test_a_service_needs_no_security_groups(fleet: Fleet) -> None:
    """moto answers 500."""
    assert "securityGroups" not in NETWORK["awsvpcConfiguration"]
    name = fleet.create(fleet.define(), desiredCount=0)

    assert fleet.describe(name)["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == ["subnet-1"]


# Changing and deleting


def test_a_service_that_is_not_active_cannot_be_updated(fleet: Fleet) -> None:
    """moto changes it."""
    name = fleet.create(fleet.define(), desiredCount=0)
    fleet.delete(name)
    until(lambda: fleet.describe(name)["status"] == "INACTIVE")

    with pytest.raises(ClientError) as error:
        fleet.update(name, desiredCount=1)
    assert code(error) == "ServiceNotActiveException"

    with pytest.raises(ClientError) as error:
        fleet.delete(name)
    assert code(error) == "ServiceNotFoundException"


def test_what_is_not_there_is_not_found(fleet: Fleet) -> None:
    for call in (fleet.update, fleet.delete):
        with pytest.raises(ClientError) as error:
            call("dep-unknown")
        assert code(error) == "ServiceNotFoundException"


def test_a_service_scaled_above_zero_is_deleted_by_force_only(fleet: Fleet) -> None:
    name = fleet.given()

    with pytest.raises(ClientError, match="cannot be stopped while it is scaled above 0"):
        fleet.ecs.delete_service(cluster=CLUSTER, service=name)

    assert fleet.counts(name) == (1, 1, 0)


def test_a_negative_count_is_refused_in_an_update(fleet: Fleet) -> None:
    name = fleet.create(fleet.define(), desiredCount=0)

    with pytest.raises(ClientError) as error:
        fleet.update(name, desiredCount=-1)

    assert code(error) == "InvalidParameterException"


# Reading


def test_eleven_services_cannot_be_described_at_once(fleet: Fleet) -> None:
    """moto describes any number."""
    with pytest.raises(ClientError) as error:
        fleet.ecs.describe_services(cluster=CLUSTER, services=[f"dep-{number}" for number in range(11)])

    assert code(error) == "InvalidParameterException"


def test_missing_services_are_failures(fleet: Fleet) -> None:
    name = fleet.create(fleet.define(), desiredCount=0)
    arn = fleet.describe(name)["serviceArn"]

    answer = fleet.ecs.describe_services(cluster=CLUSTER, services=[arn, "dep-unknown"])

    assert [service["serviceName"] for service in answer["services"]] == [name]
    [failure] = answer["failures"]
    assert failure["reason"] == "MISSING"
    assert failure["arn"].endswith(f":service/{CLUSTER}/dep-unknown")


def test_services_are_listed_in_pages_without_inactive_ones(fleet: Fleet) -> None:
    """moto gives all at once, deleted ones too."""
    definition = fleet.define()
    names = {fleet.create(definition, desiredCount=0) for _ in range(3)}
    gone = fleet.create(definition, desiredCount=0)
    fleet.delete(gone)
    until(lambda: fleet.describe(gone)["status"] == "INACTIVE")

    pages = [
        page["serviceArns"]
        for page in fleet.ecs.get_paginator("list_services").paginate(
            cluster=CLUSTER, PaginationConfig={"PageSize": 2}
        )
    ]

    listed = [arn.rsplit("/", 1)[-1] for page in pages for arn in page]
    assert all(len(page) <= 2 for page in pages)
    assert len(listed) == len(set(listed))
    assert names <= set(listed)
    assert gone not in listed


def test_tasks_are_listed_by_service_status_and_family(fleet: Fleet) -> None:
    """moto ignores the service, and shows stopped tasks unasked."""
    name, other = fleet.given(), fleet.given()
    first = fleet.task(name)
    fleet.stop(first)
    fleet.until_stopped(first)
    until(lambda: fleet.ecs.list_tasks(cluster=CLUSTER, serviceName=name)["taskArns"])

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


# Tags


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


# Task definitions


def test_a_revision_is_never_given_twice(fleet: Fleet) -> None:
    """moto counts from those that are left."""
    family = new_name()
    first = fleet.define(family)
    fleet.ecs.deregister_task_definition(taskDefinition=first)
    [deleted] = fleet.ecs.delete_task_definitions(taskDefinitions=[first])["taskDefinitions"]

    assert deleted["status"] == "DELETE_IN_PROGRESS"
    assert fleet.define(family).endswith(f"/{family}:2")
    with pytest.raises(ClientError) as error:
        fleet.ecs.describe_task_definition(taskDefinition=first)
    assert code(error) == "ClientException"


def test_a_family_means_its_newest_active_revision(fleet: Fleet) -> None:
    """moto takes the newest of all."""
    family = new_name()
    first, second = fleet.define(family), fleet.define(family)
    fleet.ecs.deregister_task_definition(taskDefinition=second)

    shown = fleet.ecs.describe_task_definition(taskDefinition=family)["taskDefinition"]

    assert shown["taskDefinitionArn"] == first


def test_an_inactive_definition_serves_its_services_but_no_new_one(fleet: Fleet) -> None:
    """moto takes it for new ones, and forgets a deleted one at once."""
    name = fleet.given()
    definition = fleet.describe(name)["taskDefinition"]
    fleet.ecs.deregister_task_definition(taskDefinition=definition)
    fleet.ecs.delete_task_definitions(taskDefinitions=[definition])

    with pytest.raises(ClientError, match="inactive") as error:
        fleet.create(definition)
    assert code(error) == "ClientException"

    fleet.update(name, desiredCount=0)
    fleet.until_running(name, 0)
    fleet.update(name, desiredCount=1)
    fleet.until_running(name)


def test_definitions_are_listed_by_family_in_pages(fleet: Fleet) -> None:
    family = new_name()
    arns = [fleet.define(family) for _ in range(11)]
    fleet.define(f"{family}-other")

    pages = fleet.ecs.get_paginator("list_task_definitions").paginate(
        familyPrefix=family, PaginationConfig={"PageSize": 4}
    )

    assert [arn for page in pages for arn in page["taskDefinitionArns"]] == arns


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"cpu": "300"}, "No Fargate configuration exists"),
        ({"memory": "4096"}, "No Fargate configuration exists"),
        ({"networkMode": "bridge"}, "only supports network mode"),
        ({"executionRoleArn": None}, "execution role"),
        ({"cpu": None}, "'cpu' be defined at the task level"),
        ({"family": "with space"}, "invalid characters"),
        ({"containerDefinitions": []}, "cannot be empty"),
    ],
    ids=str,
)
def test_a_definition_that_fargate_would_refuse_is_refused(
    fleet: Fleet, wrong: dict[str, Any], words: str
) -> None:
    """moto takes these."""
    request: dict[str, Any] = {
        "family": new_name(),
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": ROLE,
        "containerDefinitions": [
            {
                "name": "charger",
                "image": "any",
                "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": GROUP}},
            }
        ],
    }
    refused: Any = {key: value for key, value in (request | wrong).items() if value is not None}

    with pytest.raises(ClientError, match=words) as error:
        fleet.ecs.register_task_definition(**refused)

    assert code(error) == "ClientException"


# The rest of the surface


def test_a_cluster_is_made_once_and_not_deleted_with_services_in_it(fleet: Fleet) -> None:
    name = fleet.create(fleet.define(), desiredCount=0)
    before = fleet.describe(name)["clusterArn"]

    assert fleet.ecs.create_cluster(clusterName=CLUSTER)["cluster"]["clusterArn"] == before
    with pytest.raises(ClientError) as error:
        fleet.ecs.delete_cluster(cluster=CLUSTER)

    assert code(error) == "ClusterContainsServicesException"
    assert fleet.describe(name)["status"] == "ACTIVE"


def test_what_is_not_embedded_says_so(fleet: Fleet) -> None:
    with pytest.raises(ClientError) as error:
        fleet.ecs.run_task(cluster=CLUSTER, taskDefinition=fleet.define())
    assert code(error) == "UnsupportedFeatureException"

    with pytest.raises(ClientError) as error:
        fleet.ecs.list_service_deployments(cluster=CLUSTER, service="dep-1")
    assert code(error) == "UnsupportedFeatureException"


def test_times_are_those_of_the_clock(fleet: Fleet) -> None:
    name = fleet.given()

    task = fleet.describe_task(fleet.task(name))

    now = datetime.now(UTC)
    assert now - timedelta(seconds=10) < task["createdAt"] <= task["startedAt"] <= now
