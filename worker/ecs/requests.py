"""Build the requests to ECS from the settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import orjson

from shared.auth.control_tokens import ControlTokens
from shared.settings import ControlSettings, EcsSettings

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import (
        ContainerDefinitionTypeDef,
        NetworkConfigurationUnionTypeDef,
        RegisterTaskDefinitionRequestTypeDef,
        TagTypeDef,
        TaskDefinitionTypeDef,
    )

CONTAINER = "charger"


@dataclass(frozen=True, slots=True)
class Program:
    """What the one container of a task runs, and what it needs for that."""

    names_itself: str  #: the variable with the id that the control link knows the process by
    stop_timeout_s: int
    command: tuple[str, ...] = ()  #: empty for the image's own
    size: tuple[str, str] | None = None  #: CPU units and MiB; None for those of the settings
    log_options: Mapping[str, str] = field(default_factory=dict)


#: The simulator closes its session within 5 s.
CHARGER = Program("CHARGER_ID", stop_timeout_s=10)

#: CPU units and MiB of a host, by the chargers that it may have: Fargate's smallest sizes that leave half of each free.
HOST_SIZES = ((1_000, ("256", "512")), (2_500, ("512", "1024")), (5_000, ("1024", "2048")))


def host_size(capacity: int) -> tuple[str, str]:
    """CPU units and MiB."""
    return next((size for most, size in HOST_SIZES if capacity <= most), HOST_SIZES[-1][1])


def host_program(capacity: int) -> Program:
    """A process that runs up to `capacity` chargers. It ends within 25 s.

    Its log driver drops lines rather than hold up all chargers of the host: 25 MiB are the lines of many minutes.
    """
    return Program(
        "HOST_ID",
        stop_timeout_s=30,
        command=("python", "-m", "simulator.host"),
        size=host_size(capacity),
        log_options={"mode": "non-blocking", "max-buffer-size": "25m"},
    )


# Amazon ECS Developer Guide, "Tag restrictions".
NOT_IN_TAGS = re.compile(r"[^\w .:/=+@-]")
TAG_LENGTH = 256

SPEC_TAG = "chargehand:spec"  #: on a task definition: the digest of the request that made it
#: The fields of a task definition that ECS adds to the request.
READ_BACK = frozenset(
    [
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
    ]
)


def definition(
    settings: EcsSettings, process_id: str, environment: dict[str, str], program: Program = CHARGER
) -> "RegisterTaskDefinitionRequestTypeDef":
    """The request for a task definition, without its tags: they change nothing about the task."""
    cpu, memory = program.size or (settings.cpu, settings.memory)
    request: RegisterTaskDefinitionRequestTypeDef = {
        "family": settings.name_prefix + process_id,
        "networkMode": "awsvpc" if settings.subnets else "bridge",
        "requiresCompatibilities": [compatibility(settings)],
        "cpu": cpu,
        "memory": memory,
        "containerDefinitions": [container(settings, process_id, environment, program)],
    }
    if settings.execution_role_arn:
        request["executionRoleArn"] = settings.execution_role_arn
    if settings.task_role_arn:
        request["taskRoleArn"] = settings.task_role_arn
    return request


def request_of(described: "TaskDefinitionTypeDef") -> dict[str, Any]:
    """The request that registers this task definition. A definition made by hand gives a request that we never make."""
    request = _requested(described)
    containers = [_requested(container) for container in request.pop("containerDefinitions", [])]
    for container in containers:
        container["environment"] = sorted(container.get("environment", []), key=itemgetter("name"))
        container["logConfiguration"] = _requested(container.get("logConfiguration", {}))
    return request | {"containerDefinitions": containers}


def _requested(described: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the request had: ECS adds the others as 0, null or empty lists."""
    return {name: value for name, value in described.items() if value and name not in READ_BACK}


def digest(request: object) -> str:
    """SHA-256 in hex. Equal requests have the same, whatever the order of their keys."""
    return sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).hexdigest()


def container(
    settings: EcsSettings, process_id: str, environment: dict[str, str], program: Program = CHARGER
) -> "ContainerDefinitionTypeDef":
    """The one container of the task."""
    command: ContainerDefinitionTypeDef = {"command": list(program.command)} if program.command else {}
    return {
        "name": CONTAINER,
        "image": settings.image,
        "essential": True,
        "stopTimeout": program.stop_timeout_s,
        "environment": [
            {"name": name, "value": value}
            for name, value in sorted(
                (
                    settings.charger_environment
                    | control_environment(settings.control, process_id, program.names_itself)
                    | environment
                ).items()
            )
        ],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": settings.log_group,
                "awslogs-region": settings.region,
                # The stream becomes <process id>/charger/<task id>: worker/logs/page.py reads it back.
                "awslogs-stream-prefix": process_id,
                **program.log_options,
            },
        },
        **command,
    }


def control_environment(control: ControlSettings, process_id: str, names_itself: str) -> dict[str, str]:
    """How the process reaches the control link; empty where chargers run without one.

    Always the same for the same settings, so that a digest of the task definition changes only with them.
    """
    if not control.url:
        return {}
    variables = {
        names_itself: process_id,
        "CHARGER_CONTROL_URL": control.url,
        "CHARGER_CONTROL_TOKEN": ControlTokens(control.secrets).first_token(process_id),
        "CHARGER_CONTROL_CA_FILE": control.ca_file,
    }
    return {name: value for name, value in variables.items() if value}


def placement(settings: EcsSettings) -> dict[str, Any]:
    """Where a service's tasks run: capacity providers or a launch type, and the network."""
    chosen: dict[str, Any] = {}
    if settings.capacity_providers:
        chosen["capacityProviderStrategy"] = [
            {"capacityProvider": name, "weight": 1} for name in settings.capacity_providers
        ]
    else:
        chosen["launchType"] = settings.launch_type
    return chosen | network(settings)


def network(settings: EcsSettings) -> "dict[str, NetworkConfigurationUnionTypeDef]":
    """The network of a service's tasks. Empty when they share the network of their hosts."""
    if not settings.subnets:
        return {}
    return {
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": list(settings.subnets),
                "securityGroups": list(settings.security_groups),
                "assignPublicIp": "ENABLED" if settings.assign_public_ip else "DISABLED",
            }
        }
    }


def compatibility(settings: EcsSettings) -> Any:
    return "FARGATE" if settings.capacity_providers else settings.launch_type


def tags_of(tags: dict[str, str]) -> "list[TagTypeDef]":
    """Tags as ECS takes them: characters that a tag may not hold become `_`, empty values are left out."""
    return [
        {"key": key, "value": NOT_IN_TAGS.sub("_", value)[:TAG_LENGTH]}
        for key, value in tags.items()
        if value
    ]
