"""The ECS half of the HTTP surface: moto reads the request and writes errors, the fleet answers."""

from collections.abc import Callable
from typing import Any, Self

import orjson
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse

from embedded.ecs.api.clusters import ClustersApi
from embedded.ecs.api.definitions import DefinitionsApi
from embedded.ecs.api.services import ServicesApi
from embedded.ecs.api.tags import TagsApi
from embedded.ecs.errors import ClientException, UnsupportedFeatureException
from embedded.ecs.state.fleet import Fleet
from embedded.ecs.state.model import Json

Action = Callable[[Json], Json]


def actions(fleet: Fleet) -> dict[str, Action]:
    clusters, definitions, tags = ClustersApi(fleet), DefinitionsApi(fleet), TagsApi(fleet)
    services = ServicesApi(fleet, definitions)
    return {
        "CreateCluster": clusters.create_cluster,
        "DescribeClusters": clusters.describe_clusters,
        "ListClusters": clusters.list_clusters,
        "DeleteCluster": clusters.delete_cluster,
        "RegisterTaskDefinition": definitions.register_task_definition,
        "DescribeTaskDefinition": definitions.describe_task_definition,
        "ListTaskDefinitions": definitions.list_task_definitions,
        "ListTaskDefinitionFamilies": definitions.list_task_definition_families,
        "DeregisterTaskDefinition": definitions.deregister_task_definition,
        "DeleteTaskDefinitions": definitions.delete_task_definitions,
        "CreateService": services.create_service,
        "UpdateService": services.update_service,
        "DeleteService": services.delete_service,
        "DescribeServices": services.describe_services,
        "ListServices": services.list_services,
        "ListTasks": services.list_tasks,
        "DescribeTasks": services.describe_tasks,
        "StopTask": services.stop_task,
        "ListTagsForResource": tags.list_tags_for_resource,
        "TagResource": tags.tag_resource,
        "UntagResource": tags.untag_resource,
    }


class FleetResponse(BaseResponse):
    """Answers for the one fleet whatever account and region a request names.

    Not moto's own ECS: nothing of its services and tasks would be left, and importing it costs 100 MB.
    """

    fleet: Fleet
    actions: dict[str, Action]

    def __init__(self) -> None:
        super().__init__(service_name="ecs")

    @classmethod
    def bound_to(cls, fleet: Fleet) -> Callable[..., Any]:
        bound: type[Self] = type("Bound", (cls,), {"fleet": fleet, "actions": actions(fleet)})
        return bound.dispatch

    def call_action(self) -> Any:
        try:
            with self.fleet.change():
                answer = self._act()
        except ServiceException as error:
            return self.serialized(ActionResult(error))
        return 200, {"content-type": "application/x-amz-json-1.1"}, answer

    def _act(self) -> bytes:
        """Encoded while the fleet is held: answers share lists with it."""
        name = self._get_action()
        action = self.actions.get(name)
        if action is None:
            raise UnsupportedFeatureException(f"The embedded Amazon ECS has no {name}.")
        try:
            request = orjson.loads(self.raw_body or b"{}")
        except orjson.JSONDecodeError:
            request = None
        if not isinstance(request, dict):
            raise ClientException("The request is not a JSON object.")
        return orjson.dumps(action(request))
