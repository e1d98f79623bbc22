"""Clusters and task definitions: moto's, kept over restarts and with the rules that moto leaves out."""

import copy
import re
from collections.abc import Iterable
from typing import Any

from moto.ecs.exceptions import EcsClientException, ECSException, TaskDefinitionNotFoundException
from moto.ecs.models import (
    Cluster,
    DeleteTaskDefinitionFailure,
    EC2ContainerServiceBackend,
    TaskDefinition,
)

from embedded.ecs.fleet import Fleet
from embedded.ecs.model import Json
from embedded.ecs.state import Store

FAMILY = re.compile(r"[A-Za-z0-9_-]{1,255}")

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


class ClusterContainsServicesException(ECSException):
    def __init__(self) -> None:
        super().__init__(
            "ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active."
        )


class FleetBackend(EC2ContainerServiceBackend):
    """Called with the fleet held."""

    def __init__(self, region_name: str, account_id: str, fleet: Fleet, store: Store) -> None:
        super().__init__(region_name, account_id)
        self._fleet = fleet
        self._requests: dict[str, Json] = {}  #: what each task definition was made from, by ARN
        self._revisions: dict[str, int] = {}  #: family -> the last number given; none is given twice
        self._deleted: dict[str, TaskDefinition] = {}  #: by ARN: deleted, but still used
        self._load(store)

    def _load(self, store: Store) -> None:
        for record in store.load("cluster"):
            cluster = super().create_cluster(record["name"], record["tags"], record["settings"])
            cluster.status = record["status"]
        for record in store.load("family"):
            self._revisions[record["family"]] = record["revision"]
        for record in store.load("definition"):
            definition = self._make_definition(record["request"])
            definition.status = record["status"]
            definition.tags = record["tags"]
            if definition.status == "DELETE_IN_PROGRESS":
                self._deleted[definition.arn] = definition

    def keep(self, resource: Cluster | TaskDefinition) -> None:
        """Store what changed."""
        if isinstance(resource, Cluster):
            record: Json = {
                "name": resource.name,
                "tags": resource.tags,
                "settings": resource.settings,
                "status": resource.status,
            }
            self._fleet.keep("cluster", resource.name, record)
        else:
            request = self._requests[resource.arn]
            record = {"request": request, "status": resource.status, "tags": resource.tags}
            self._fleet.keep("definition", resource.arn, record)

    # Clusters

    def active_cluster(self, name: str) -> Cluster:
        """By name or ARN. Raises ClusterNotFoundException, and ClientException for a deleted one."""
        cluster = self._get_cluster(name)
        if cluster.status != "ACTIVE":
            raise EcsClientException("The referenced cluster was inactive.")
        return cluster

    def create_cluster(self, cluster_name: str, *args: Any, **kwargs: Any) -> Cluster:
        cluster = self.clusters.get(cluster_name)
        if cluster is None or cluster.status != "ACTIVE":
            cluster = super().create_cluster(cluster_name, *args, **kwargs)
            self.keep(cluster)
        return cluster

    def describe_clusters(self, cluster_names: list[str]) -> Any:
        clusters, failures = super().describe_clusters(cluster_names)
        for cluster in clusters:
            services = [
                service for service in self._fleet.services.values() if service.cluster == cluster.name
            ]
            tasks = [task for service in services for task in self._fleet.tasks_of(service)]
            cluster.active_services_count = sum(service.status == "ACTIVE" for service in services)
            cluster.running_tasks_count = sum(task.is_running for task in tasks)
            cluster.pending_tasks_count = sum(task.is_pending for task in tasks)
        return clusters, failures

    def delete_cluster(self, cluster_str: str) -> Cluster:
        name = self._get_cluster(cluster_str).name
        if any(each.cluster == name and each.status != "INACTIVE" for each in self._fleet.services.values()):
            raise ClusterContainsServicesException
        cluster = super().delete_cluster(cluster_str)
        self.keep(cluster)
        return cluster

    # Task definitions

    def register_task_definition(
        self, family: str, container_definitions: list[Json], *args: Any, **kwargs: Any
    ) -> TaskDefinition:
        if not FAMILY.fullmatch(family or ""):
            raise EcsClientException("Family contains invalid characters.")
        request = {"family": family, "container_definitions": container_definitions, **kwargs}
        request = {name: value for name, value in request.items() if value is not None}
        if not container_definitions:
            raise EcsClientException("Container list cannot be empty.")
        if not any(container.get("essential", True) for container in container_definitions):
            raise EcsClientException("Task definition does not have any essential container.")
        compatibilities = kwargs.get("requires_compatibilities")
        self._validate_container_defs(kwargs.get("memory"), container_definitions, compatibilities)
        if "FARGATE" in (compatibilities or ()):
            check_fargate(request)
        revision = self._revisions.get(family, 0) + 1
        self._revisions[family] = revision
        self._fleet.keep("family", family, {"family": family, "revision": revision})
        definition = self._make_definition({**request, "revision": revision})
        self.keep(definition)
        return definition

    def _make_definition(self, request: Json) -> TaskDefinition:
        # moto fills in defaults in place
        own = copy.deepcopy(request)
        definition = TaskDefinition(account_id=self.account_id, region_name=self.region_name, **own)  # type: ignore[abstract]
        self.task_definitions.setdefault(definition.family, {})[definition.revision] = definition
        self._requests[definition.arn] = request
        return definition

    def describe_task_definition(self, task_definition_str: str) -> TaskDefinition:
        """By ARN, family:revision, or family alone: its newest ACTIVE revision. Raises ClientException."""
        self._drop_deleted()
        family, _, revision = task_definition_str.rsplit("/", 1)[-1].partition(":")
        revisions = self.task_definitions.get(family, {})
        active = [number for number, each in revisions.items() if each.status == "ACTIVE"]
        number = int(revision) if revision.isdecimal() else max(active, default=0)
        if number not in revisions:
            raise TaskDefinitionNotFoundException
        return revisions[number]

    def usable_definition(self, name: str) -> TaskDefinition:
        """One that a service may be given. Raises ClientException."""
        try:
            definition = self.describe_task_definition(name)
        except TaskDefinitionNotFoundException:
            raise EcsClientException("TaskDefinition not found.") from None
        if definition.status != "ACTIVE":
            raise EcsClientException("TaskDefinition is inactive.")
        return definition

    def list_task_definitions(self, family_prefix: str | None, status: str = "ACTIVE") -> list[str]:
        self._drop_deleted()
        found = [
            definition
            for revisions in self.task_definitions.values()
            for definition in revisions.values()
            if definition.status == status and family_prefix in {None, definition.family}
        ]
        return [each.arn for each in sorted(found, key=lambda each: (each.family, each.revision))]

    def deregister_task_definition(self, task_definition_str: str) -> TaskDefinition:
        definition = super().deregister_task_definition(task_definition_str)
        self.keep(definition)
        return definition

    def delete_task_definitions(
        self, task_definitions: list[str]
    ) -> tuple[list[TaskDefinition], list[DeleteTaskDefinitionFailure]]:
        """As ECS, but it keeps those that a service or a task still uses until they are not."""
        deleted, failures = super().delete_task_definitions(task_definitions)
        for definition in deleted:
            self.task_definitions[definition.family][definition.revision] = definition
            self._deleted[definition.arn] = definition
            self.keep(definition)
        return deleted, failures

    def _drop_deleted(self) -> None:
        if not self._deleted:
            return
        used = {
            deployment.task_definition
            for service in self._fleet.services.values()
            if service.status != "INACTIVE"
            for deployment in service.deployments
        }
        used |= {
            task.task_definition
            for service in self._fleet.services.values()
            for task in self._fleet.tasks_of(service)
        }
        for arn in set(self._deleted) - used:
            definition = self._deleted.pop(arn)
            del self.task_definitions[definition.family][definition.revision]
            del self._requests[arn]
            self._fleet.keep("definition", arn, None)


def check_fargate(request: Json) -> None:
    """What RegisterTaskDefinition wants of a definition for Fargate. Raises ClientException."""
    if request.get("network_mode") != "awsvpc":
        raise EcsClientException("Fargate only supports network mode 'awsvpc'.")
    for name in ("cpu", "memory"):
        if not request.get(name):
            raise EcsClientException(f"Fargate requires that '{name}' be defined at the task level.")
    cpu, memory = str(request["cpu"]), str(request["memory"])
    if not (cpu.isdecimal() and memory.isdecimal() and int(memory) in FARGATE_SIZES.get(int(cpu), ())):
        raise EcsClientException(
            f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory."
        )
    drivers = {
        (each.get("logConfiguration") or {}).get("logDriver") for each in request["container_definitions"]
    }
    if "awslogs" in drivers and not request.get("execution_role_arn"):
        raise EcsClientException(
            "Fargate requires task definition to have execution role ARN to support log driver awslogs."
        )
