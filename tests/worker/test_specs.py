"""What of the settings makes a charger's task definition and network, and when ECS gets it."""

from copy import copy
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from tests.worker.embedded import Embedded
from worker.ecs import EcsClient, EcsUnavailable
from worker.provision import fleet_spec

ENVIRONMENT = {"CHARGER_IDENTITY": "CP-1"}
ROLE = "arn:aws:iam::123456789012:role/other"
OF_THE_TASK: list[dict[str, Any]] = [
    {"image": "simulator:2"},
    {"cpu": "512", "memory": "1024"},
    {"memory": "1024"},
    {"execution_role_arn": ROLE},
    {"task_role_arn": ROLE},
    {"log_group": "/other"},
]
OF_THE_NETWORK: list[dict[str, Any]] = [
    {"subnets": ("subnet-2",)},
    {"security_groups": ("sg-2",)},
    {"assign_public_ip": True},
]
OF_NO_TASK: list[dict[str, Any]] = [
    {"tags": {"team": "other"}},
    {"max_connections": 3},
    {"capacity_providers": ("FARGATE_SPOT",)},
]


@pytest.fixture
def charger_id() -> str:
    return f"dep-{uuid4().hex[:12]}"


def names(change: dict[str, Any]) -> str:
    return "-".join(change)


def other(embedded: Embedded, change: dict[str, Any]) -> EcsClient:
    """A worker of changed settings."""
    ecs = copy(embedded.ecs)
    ecs._settings = replace(ecs._settings, **change)
    return ecs


@pytest.mark.parametrize("change", OF_THE_TASK, ids=names)
def test_a_definition_of_other_settings_is_not_adopted(
    embedded: Embedded, charger_id: str, change: dict[str, Any]
) -> None:
    changed = other(embedded, change)
    first = embedded.ecs.ensure_task_definition(charger_id, ENVIRONMENT, {})

    again = embedded.ecs.ensure_task_definition(charger_id, ENVIRONMENT, {})
    second = changed.ensure_task_definition(charger_id, ENVIRONMENT, {})
    adopted = changed.ensure_task_definition(charger_id, ENVIRONMENT, {})

    assert again == first
    assert adopted == second != first


def test_a_definition_without_a_tag_is_not_adopted(embedded: Embedded, charger_id: str) -> None:
    """It is of a version before: nobody knows its settings."""
    embedded.ecs._ecs.register_task_definition(
        family=charger_id, containerDefinitions=[{"name": "charger", "image": "simulator", "memory": 512}]
    )

    assert embedded.ecs.ensure_task_definition(charger_id, ENVIRONMENT, {}).endswith(":2")


def test_the_fleets_spec_is_of_all_that_a_rollout_brings(embedded: Embedded) -> None:
    before = fleet_spec(embedded.ecs)

    changed = [fleet_spec(other(embedded, change)) for change in OF_THE_TASK + OF_THE_NETWORK]
    same = [fleet_spec(other(embedded, change)) for change in [{}, *OF_NO_TASK]]

    assert len({before, *changed}) == len(changed) + 1
    assert set(same) == {before}


def test_a_variable_that_every_charger_gets_is_part_of_the_fleets_spec(ecs_client: EcsClient) -> None:
    assert ecs_client.spec_of(ENVIRONMENT) != ecs_client.spec_of(ENVIRONMENT | {"CHARGER_NEW": "1"})


def security_groups(embedded: Embedded, charger_id: str) -> list[str]:
    answer = embedded.ecs._ecs.describe_services(cluster="chargehand", services=[charger_id])
    network = answer["services"][0]["networkConfiguration"]["awsvpcConfiguration"]
    return network["securityGroups"]


def test_a_rollout_brings_the_network_and_no_other_change_does(embedded: Embedded, charger_id: str) -> None:
    changed = other(embedded, {"security_groups": ("sg-2",)})
    definition = embedded.ecs.ensure_task_definition(charger_id, ENVIRONMENT, {})

    def ensure(ecs: EcsClient, *, rollout: bool = False) -> list[str]:
        ecs.ensure_service(
            charger_id,
            desired_count=0,
            task_definition_arn=definition,
            generation=1,
            tags={},
            exists=True,
            rollout=rollout,
        )
        return security_groups(embedded, charger_id)

    assert [ensure(embedded.ecs), ensure(changed), ensure(changed, rollout=True)] == [
        ["sg-1"],
        ["sg-1"],
        ["sg-2"],
    ]


def test_a_definition_that_ecs_does_not_delete_is_no_success(embedded: Embedded, charger_id: str) -> None:
    arn = embedded.ecs.ensure_task_definition(charger_id, ENVIRONMENT, {})

    with pytest.raises(EcsUnavailable, match="still in ACTIVE status"):
        embedded.ecs.delete_task_definitions({arn: False})
    embedded.ecs.delete_task_definitions({f"{arn}7": False})  # somebody else has deleted it
