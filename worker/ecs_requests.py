"""What the settings put into the requests to ECS."""

import re
from typing import TYPE_CHECKING, Any

from shared.settings import EcsSettings

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ContainerDefinitionTypeDef, TagTypeDef

CONTAINER = "charger"
STOP_TIMEOUT_S = 10  # the simulator closes its session within 5

# Amazon ECS Developer Guide, "Tag restrictions".
NOT_IN_TAGS = re.compile(r"[^\w .:/=+@-]")
TAG_LENGTH = 256


def container(
    settings: EcsSettings, charger_id: str, environment: dict[str, str]
) -> "ContainerDefinitionTypeDef":
    return {
        "name": CONTAINER,
        "image": settings.image,
        "essential": True,
        "stopTimeout": STOP_TIMEOUT_S,
        "environment": [{"name": name, "value": value} for name, value in sorted(environment.items())],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": settings.log_group,
                "awslogs-region": settings.region,
                # The stream becomes <charger id>/charger/<task id>: worker/logs.py reads it back.
                "awslogs-stream-prefix": charger_id,
            },
        },
    }


def placement(settings: EcsSettings) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    if settings.capacity_providers:
        chosen["capacityProviderStrategy"] = [
            {"capacityProvider": name, "weight": 1} for name in settings.capacity_providers
        ]
    else:
        chosen["launchType"] = settings.launch_type
    if settings.subnets:
        chosen["networkConfiguration"] = {
            "awsvpcConfiguration": {
                "subnets": list(settings.subnets),
                "securityGroups": list(settings.security_groups),
                "assignPublicIp": "ENABLED" if settings.assign_public_ip else "DISABLED",
            }
        }
    return chosen


def compatibility(settings: EcsSettings) -> Any:
    return "FARGATE" if settings.capacity_providers else settings.launch_type


def roles(settings: EcsSettings) -> dict[str, Any]:
    arns = {
        "executionRoleArn": settings.execution_role_arn,
        "taskRoleArn": settings.task_role_arn,
    }
    return {name: arn for name, arn in arns.items() if arn}


def tags_of(tags: dict[str, str]) -> "list[TagTypeDef]":
    """An identity may hold characters that a tag may not."""
    return [
        {"key": key, "value": NOT_IN_TAGS.sub("_", value)[:TAG_LENGTH]}
        for key, value in tags.items()
        if value
    ]
