"""What Amazon ECS promises about task definitions and moto does not keep."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.ecs_services import GROUP, ROLE, Fleet, code, new_name


def test_a_revision_is_never_used_twice(fleet: Fleet) -> None:
    """moto counts from the remaining ones."""
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
    """moto accepts it for new services, and removes a deleted definition at once."""
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
    """moto accepts these."""
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
