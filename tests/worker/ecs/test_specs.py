"""What of the settings makes a charger's task definition and network, and when ECS gets it."""

from copy import copy
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from tests.support.embedded_ecs import Embedded
from tests.support.waiting import wait_until
from worker.ecs.client import EcsClient, EcsUnavailable
from worker.ecs.requests import CHARGER, definition, digest, host_program
from worker.reconcile.provision import fleet_spec

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


def made_before(embedded: Embedded, charger_id: str, **changes: Any) -> str:
    """By a version that did not tag it. ECS may list the variables in any order."""
    request: Any = definition(embedded.ecs._settings, charger_id, ENVIRONMENT | {"CHARGER_NAME": "One"})
    [container] = request["containerDefinitions"]
    container |= {"environment": container["environment"][::-1], **changes}
    answer = embedded.ecs._ecs.register_task_definition(**request)
    return answer["taskDefinition"]["taskDefinitionArn"]


def test_an_upgrade_restarts_no_charger_whose_definition_would_be_made_the_same(
    embedded: Embedded, charger_id: str
) -> None:
    arn = made_before(embedded, charger_id)
    environment = ENVIRONMENT | {"CHARGER_NAME": "One"}

    def ensure(definition: str, *, rollout: bool = False) -> str | None:
        embedded.ecs.ensure_service(
            charger_id,
            desired_count=1,
            task_definition_arn=definition,
            generation=1,
            tags={},
            exists=rollout,
            repair=rollout,
            rollout=rollout,
        )
        wait_until(lambda: embedded.ecs.current_task(charger_id))
        return embedded.ecs.current_task(charger_id)

    before = ensure(arn)
    adopted = embedded.ecs.ensure_task_definition(charger_id, environment, {})
    after = ensure(adopted, rollout=True)

    service = embedded.ecs.describe_services([charger_id])[charger_id]
    answer = embedded.ecs._ecs.describe_services(cluster="chargehand", services=[charger_id])
    embedded.ecs.delete_service(charger_id)
    assert (adopted, after) == (arn, before)
    assert service is not None
    assert service.task_definition_arn == arn
    assert len(answer["services"][0]["deployments"]) == 1


@pytest.mark.parametrize("change", OF_THE_TASK, ids=names)
def test_an_upgrade_that_changes_the_settings_adopts_no_definition(
    embedded: Embedded, charger_id: str, change: dict[str, Any]
) -> None:
    arn = made_before(embedded, charger_id)

    changed = other(embedded, change)

    assert changed.ensure_task_definition(charger_id, ENVIRONMENT | {"CHARGER_NAME": "One"}, {}) != arn


@pytest.mark.parametrize(
    "by_hand",
    [
        {"command": ["python", "-m", "simulator.host"]},
        {"environment": [{"name": "CHARGER_IDENTITY", "value": "CP-2"}]},
        {"environment": []},
    ],
    ids=str,
)
def test_a_definition_that_somebody_made_by_hand_is_not_adopted(
    embedded: Embedded, charger_id: str, by_hand: dict[str, Any]
) -> None:
    arn = made_before(embedded, charger_id, **by_hand)

    assert embedded.ecs.ensure_task_definition(charger_id, ENVIRONMENT | {"CHARGER_NAME": "One"}, {}) != arn


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


def test_the_task_of_a_host_runs_many_chargers(embedded: Embedded) -> None:
    host_id = f"host-{uuid4().hex[:12]}"
    program = host_program(2_000)

    arn = embedded.ecs.ensure_task_definition(host_id, {"HOST_CAPACITY": "2000"}, {}, program)
    again = embedded.ecs.ensure_task_definition(host_id, {"HOST_CAPACITY": "2000"}, {}, program)

    found = embedded.ecs._ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    [container] = found["containerDefinitions"]
    assert again == arn
    assert (found["family"], found["cpu"], found["memory"]) == (host_id, "512", "1024")
    assert container["command"] == ["python", "-m", "simulator.host"]
    assert container["stopTimeout"] == 30
    assert container["logConfiguration"]["options"]["awslogs-stream-prefix"] == host_id
    assert container["logConfiguration"]["options"]["mode"] == "non-blocking"


@pytest.mark.parametrize(
    ("capacity", "size"),
    [(1, ("256", "512")), (1_000, ("256", "512")), (1_001, ("512", "1024")), (2_501, ("1024", "2048"))],
)
def test_a_host_is_as_large_as_its_chargers_need(capacity: int, size: tuple[str, str]) -> None:
    assert host_program(capacity).size == size


def test_a_host_of_another_program_is_another_spec(ecs_client: EcsClient) -> None:
    specs = {ecs_client.spec_of({}, program) for program in (CHARGER, host_program(1), host_program(5_000))}

    assert len(specs) == 3


def test_this_release_makes_the_definition_of_a_charger_that_the_last_one_made(embedded: Embedded) -> None:
    """Another digest would roll every fleet out."""
    settings = replace(
        embedded.ecs._settings, image="simulator", log_group="/chargers", region="eu-central-1"
    )

    assert digest(definition(settings, "dep-1", ENVIRONMENT)) == (
        "45ca286f6203cd51697d3ed784221ccade77cd9a539abfb8644d500ccd4aa48d"
    )
