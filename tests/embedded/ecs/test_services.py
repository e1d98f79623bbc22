"""What Amazon ECS promises about services and moto does not keep. The docstring of a test says what moto does."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.ecs_services import CLUSTER, NETWORK, Fleet, code, new_name
from tests.support.waiting import wait_until

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

    wait_until(lambda: fleet.describe(name)["status"] == "INACTIVE")
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
    """moto accepts nearly all of these."""
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
    wait_until(lambda: fleet.describe(name)["status"] == "INACTIVE")

    with pytest.raises(ClientError) as error:
        fleet.update(name, desiredCount=1)
    assert code(error) == "ServiceNotActiveException"

    with pytest.raises(ClientError) as error:
        fleet.delete(name)
    assert code(error) == "ServiceNotFoundException"


def test_an_unknown_service_is_not_found(fleet: Fleet) -> None:
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
    """moto returns all of them, including deleted ones."""
    definition = fleet.define()
    names = {fleet.create(definition, desiredCount=0) for _ in range(3)}
    gone = fleet.create(definition, desiredCount=0)
    fleet.delete(gone)
    wait_until(lambda: fleet.describe(gone)["status"] == "INACTIVE")

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


# Clusters and the rest


def test_a_cluster_is_created_once_and_not_deleted_with_services_in_it(fleet: Fleet) -> None:
    name = fleet.create(fleet.define(), desiredCount=0)
    before = fleet.describe(name)["clusterArn"]

    assert fleet.ecs.create_cluster(clusterName=CLUSTER)["cluster"]["clusterArn"] == before
    with pytest.raises(ClientError) as error:
        fleet.ecs.delete_cluster(cluster=CLUSTER)

    assert code(error) == "ClusterContainsServicesException"
    assert fleet.describe(name)["status"] == "ACTIVE"


def test_an_action_that_is_not_embedded_is_unsupported(fleet: Fleet) -> None:
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
