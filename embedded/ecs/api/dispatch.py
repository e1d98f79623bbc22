"""Calls the method of an ECS action. moto parses the request and writes the error answers."""

from collections.abc import Callable
from typing import Any, Self

import orjson
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse

from embedded.ecs.api.clusters import ClustersApi
from embedded.ecs.api.definitions import DefinitionsApi
from embedded.ecs.api.services import ServicesApi
from embedded.ecs.api.tags import TagsApi
from embedded.ecs.api.tasks import TasksApi
from embedded.ecs.errors import ClientException, UnsupportedFeatureException
from embedded.ecs.state.fleet import Fleet
from embedded.ecs.state.model import Json

Action = Callable[[Json], Json]


def actions(fleet: Fleet) -> dict[str, Action]:
    """The method of each action's name."""
    clusters, definitions, tags = ClustersApi(fleet), DefinitionsApi(fleet), TagsApi(fleet)
    services, tasks = ServicesApi(fleet, definitions), TasksApi(fleet)
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
        "ListTasks": tasks.list_tasks,
        "DescribeTasks": tasks.describe_tasks,
        "StopTask": tasks.stop_task,
        "ListTagsForResource": tags.list_tags_for_resource,
        "TagResource": tags.tag_resource,
        "UntagResource": tags.untag_resource,
    }


class FleetResponse(BaseResponse):
    """Answers for one fleet, whatever account and region a request names.

    moto's own ECS is not used: nearly all of it would be replaced, and importing it takes 100 MB.
    """

    fleet: Fleet
    actions: dict[str, Action]

    def __init__(self) -> None:
        super().__init__(service_name="ecs")

    @classmethod
    def bound_to(cls, fleet: Fleet) -> Callable[..., Any]:
        """The view function that moto calls with a request."""
        bound: type[Self] = type("Bound", (cls,), {"fleet": fleet, "actions": actions(fleet)})
        return bound.dispatch

    def call_action(self) -> Any:
        try:
            with self.fleet.change():
                answer = self._encoded_answer()
        except ServiceException as error:
            return self.serialized(ActionResult(error))
        return 200, {"content-type": "application/x-amz-json-1.1"}, answer

    def _encoded_answer(self) -> bytes:
        """Encodes while the fleet is held, because answers share lists with it."""
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
