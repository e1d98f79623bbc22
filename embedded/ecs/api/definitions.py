"""The actions on task definitions."""

import re
import time
from collections.abc import Iterable

from embedded.ecs.api.paging import page
from embedded.ecs.api.tags import check_tags
from embedded.ecs.errors import ClientException, InvalidParameterException
from embedded.ecs.state.fleet import Fleet
from embedded.ecs.state.model import ALLOWED_VARIABLES, HOST_COMMAND, Json, Tags, TaskDefinition

FAMILY = re.compile(r"[A-Za-z0-9_-]{1,255}")
MAX_DELETED = 10

#: The fields of a registration that DescribeTaskDefinition shows unchanged.
FIELDS = (
    "family",
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "volumes",
    "placementConstraints",
    "requiresCompatibilities",
    "cpu",
    "memory",
    "pidMode",
    "ipcMode",
    "proxyConfiguration",
    "ephemeralStorage",
    "runtimePlatform",
    "enableFaultInjection",
)
CONTAINER_DEFAULTS: Json = {
    "cpu": 0,
    "portMappings": [],
    "essential": True,
    "environment": [],
    "mountPoints": [],
    "volumesFrom": [],
}

# Task sizes of AWS Fargate: CPU units -> MiB. Amazon ECS Developer Guide, "Task CPU and memory".
FARGATE_SIZES: dict[int, Iterable[int]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}


class DefinitionsApi:
    """One method per action: takes the request's JSON, returns the answer's, raises ECS's errors. Call with the fleet held."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def register_task_definition(self, request: Json) -> Json:
        check_definition(request)
        tags: Tags = request.get("tags") or []
        check_tags(tags)
        family: str = request["family"]
        revision = self._fleet.next_revision(family)
        compatibilities = request.get("requiresCompatibilities") or []
        body: Json = {
            "volumes": [],
            "placementConstraints": [],
            "compatibilities": ["EC2", "FARGATE"] if "FARGATE" in compatibilities else ["EC2"],
            **{name: request[name] for name in FIELDS if request.get(name) is not None},
            "containerDefinitions": [
                CONTAINER_DEFAULTS | container for container in request["containerDefinitions"]
            ],
        }
        definition = TaskDefinition(
            arn=self._fleet.arn(f"task-definition/{family}:{revision}"),
            family=family,
            revision=revision,
            body=body,
            tags=tags,
            registered_at=time.time(),
        )
        self._fleet.touch_definition(definition)
        return {"taskDefinition": show(definition), "tags": tags}

    def describe_task_definition(self, request: Json) -> Json:
        definition = self._find(request.get("taskDefinition") or "")
        answer: Json = {"taskDefinition": show(definition)}
        if "TAGS" in (request.get("include") or []):
            answer["tags"] = definition.tags
        return answer

    def list_task_definitions(self, request: Json) -> Json:
        self._remove_deleted()
        family, status = request.get("familyPrefix"), request.get("status", "ACTIVE")
        arns = [
            definition.arn
            for definition in self._fleet.definitions.values()
            if definition.status == status and family in {None, definition.family}
        ]
        descending = request.get("sort") == "DESC"
        return page(
            request, "taskDefinitionArns", arns, default=100, order=by_revision, descending=descending
        )

    def list_task_definition_families(self, request: Json) -> Json:
        prefix, status = request.get("familyPrefix") or "", request.get("status", "ALL")
        families = {
            definition.family
            for definition in self._fleet.definitions.values()
            if definition.family.startswith(prefix) and status in {"ALL", definition.status}
        }
        return page(request, "families", list(families), default=100)

    def deregister_task_definition(self, request: Json) -> Json:
        """Services that use the definition keep it; no other service can start to use it."""
        name = request.get("taskDefinition") or ""
        if not name.rpartition(":")[2].isdecimal():
            raise ClientException("Revision is missing.")
        definition = self._find(name)
        if definition.status == "ACTIVE":
            definition.status = "INACTIVE"
            definition.deregistered_at = time.time()
            self._fleet.touch_definition(definition)
        return {"taskDefinition": show(definition)}

    def delete_task_definitions(self, request: Json) -> Json:
        """Delete deregistered definitions. They stay DELETE_IN_PROGRESS while a service or a task uses them."""
        names: list[str] = request.get("taskDefinitions") or []
        if not 1 <= len(names) <= MAX_DELETED:
            raise InvalidParameterException(f"Delete 1 to {MAX_DELETED} task definitions at once.")
        deleted, failures = [], []
        for name in names:
            definition = self._fleet.find_definition(name) if ":" in name.rsplit("/", 1)[-1] else None
            if definition is None:
                reason = "The specified task definition does not exist. Specify a valid account, family, revision and try again."
                failures.append({"arn": name, "reason": reason})
            elif definition.status == "ACTIVE":
                reason = "The specified task definition is still in ACTIVE status. Please deregister the target and try again."
                failures.append({"arn": definition.arn, "reason": reason})
            else:
                definition.status = "DELETE_IN_PROGRESS"
                self._fleet.touch_definition(definition)
                deleted.append(show(definition))
        return {"taskDefinitions": deleted, "failures": failures}

    def usable(self, name: str) -> TaskDefinition:
        """The ACTIVE definition of that ARN, family or family:revision. Raises ClientException."""
        definition = self._fleet.find_definition(name)
        if definition is None:
            raise ClientException("TaskDefinition not found.")
        if definition.status != "ACTIVE":
            raise ClientException("TaskDefinition is inactive.")
        return definition

    def _find(self, name: str) -> TaskDefinition:
        """Raises ClientException."""
        self._remove_deleted()
        definition = self._fleet.find_definition(name)
        if definition is None:
            raise ClientException("Unable to describe task definition.")
        return definition

    def _remove_deleted(self) -> None:
        deleted = [each for each in self._fleet.definitions.values() if each.status == "DELETE_IN_PROGRESS"]
        used = self._fleet.definitions_in_use() if deleted else set()
        for definition in deleted:
            if definition.arn not in used:
                self._fleet.remove_definition(definition)


def show(definition: TaskDefinition) -> Json:
    """The definition as the API shows it."""
    shown = {
        "taskDefinitionArn": definition.arn,
        "revision": definition.revision,
        "status": definition.status,
        "registeredAt": definition.registered_at,
        **definition.body,
    }
    if definition.deregistered_at is not None:
        shown["deregisteredAt"] = definition.deregistered_at
    return shown


def by_revision(arn: str) -> tuple[str, int]:
    """A sort key: revision 10 comes after revision 9."""
    family, _, revision = arn.rpartition(":")
    return family, int(revision) if revision.isdecimal() else 0


def check_definition(request: Json) -> None:
    """Raises ClientException for a registration that ECS would refuse."""
    if not FAMILY.fullmatch(request.get("family") or ""):
        raise ClientException("Family contains invalid characters.")
    containers: list[Json] = request.get("containerDefinitions") or []
    if not containers:
        raise ClientException("Container list cannot be empty.")
    for container in containers:
        check_container(request, container)
    if not any(container.get("essential", True) for container in containers):
        raise ClientException("Task definition does not have any essential container.")
    if "FARGATE" in (request.get("requiresCompatibilities") or []):
        check_fargate(request)


def check_container(request: Json, container: Json) -> None:
    """Raises ClientException."""
    for name in ("name", "image"):
        if not container.get(name):
            raise ClientException(f"Container.{name} should not be null or empty.")
    if not (request.get("memory") or container.get("memory") or container.get("memoryReservation")):
        raise ClientException(
            f"Invalid setting for container '{container['name']}'. At least one of 'memory' or"
            " 'memoryReservation' must be specified."
        )
    check_variables(container)
    if container.get("command") not in (None, [], HOST_COMMAND):
        raise ClientException(
            f"The embedded Amazon ECS runs chargers only: a command may be {' '.join(HOST_COMMAND)}, or none."
        )


def check_variables(container: Json) -> None:
    """Raises ClientException for a variable that is not in ALLOWED_VARIABLES."""
    for pair in container.get("environment") or []:
        name = pair.get("name") if isinstance(pair, dict) else None
        if not isinstance(name, str) or not isinstance(pair.get("value"), str) or "\0" in pair["value"]:
            raise ClientException(
                f"Environment of container '{container['name']}' must have names and values that are strings."
            )
        if not ALLOWED_VARIABLES.fullmatch(name):
            raise ClientException(
                f"The embedded Amazon ECS runs chargers only: a task definition may set CHARGER_* and HOST_*, and not {name:.100}."
            )


def check_fargate(request: Json) -> None:
    """Raises ClientException for what Fargate does not run."""
    if request.get("networkMode") != "awsvpc":
        raise ClientException("Fargate only supports network mode 'awsvpc'.")
    for name in ("cpu", "memory"):
        if not request.get(name):
            raise ClientException(f"Fargate requires that '{name}' be defined at the task level.")
    cpu, memory = str(request["cpu"]), str(request["memory"])
    if not (cpu.isdecimal() and memory.isdecimal() and int(memory) in FARGATE_SIZES.get(int(cpu), ())):
        raise ClientException(
            f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory."
        )
    drivers = {
        (each.get("logConfiguration") or {}).get("logDriver") for each in request["containerDefinitions"]
    }
    if "awslogs" in drivers and not request.get("executionRoleArn"):
        raise ClientException(
            "Fargate requires task definition to have execution role ARN to support log driver awslogs."
        )
