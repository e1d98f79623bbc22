"""The actions on clusters."""

import re

from embedded.ecs.api.paging import page
from embedded.ecs.errors import (
    ClientException,
    ClusterContainsServicesException,
    InvalidParameterException,
)
from embedded.ecs.state.fleet import Fleet
from embedded.ecs.state.model import Cluster, Json

NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")


class ClustersApi:
    """One method per action: takes the request's JSON, returns the answer's, raises ECS's errors. Call with the fleet held."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def create_cluster(self, request: Json) -> Json:
        """Safe to repeat: an ACTIVE cluster of that name is returned."""
        name = request.get("clusterName") or "default"
        if not NAME.fullmatch(name):
            raise InvalidParameterException(
                "Cluster name can have letters, numbers, hyphens and underscores."
            )
        cluster = self._fleet.clusters.get(name)
        if cluster is None or cluster.status != "ACTIVE":
            cluster = Cluster(
                name=name,
                arn=self._fleet.arn(f"cluster/{name}"),
                tags=request.get("tags") or [],
                settings=request.get("settings") or [{"name": "containerInsights", "value": "disabled"}],
            )
            self._fleet.touch_cluster(cluster)
        return {"cluster": self._show(cluster)}

    def describe_clusters(self, request: Json) -> Json:
        clusters, failures = [], []
        for name in request.get("clusters") or ["default"]:
            cluster = self._fleet.clusters.get(name.rsplit("/", 1)[-1])
            if cluster is not None:
                clusters.append(self._show(cluster))
            else:
                arn = name if name.startswith("arn:") else self._fleet.arn(f"cluster/{name}")
                failures.append({"arn": arn, "reason": "MISSING"})
        return {"clusters": clusters, "failures": failures}

    def list_clusters(self, request: Json) -> Json:
        arns = [cluster.arn for cluster in self._fleet.clusters.values() if cluster.status == "ACTIVE"]
        return page(request, "clusterArns", arns, default=100)

    def delete_cluster(self, request: Json) -> Json:
        cluster = self._fleet.cluster(request.get("cluster") or "")
        if any(
            each.cluster == cluster.name and each.status != "INACTIVE"
            for each in self._fleet.services.values()
        ):
            raise ClusterContainsServicesException
        cluster.status = "INACTIVE"
        self._fleet.touch_cluster(cluster)
        return {"cluster": self._show(cluster)}

    def _show(self, cluster: Cluster) -> Json:
        services = [service for service in self._fleet.services.values() if service.cluster == cluster.name]
        tasks = [task for service in services for task in self._fleet.tasks_of(service)]
        return {
            "clusterArn": cluster.arn,
            "clusterName": cluster.name,
            "status": cluster.status,
            "settings": cluster.settings,
            "tags": cluster.tags,
            "activeServicesCount": sum(service.status == "ACTIVE" for service in services),
            "runningTasksCount": sum(task.is_running for task in tasks),
            "pendingTasksCount": sum(task.is_pending for task in tasks),
            "registeredContainerInstancesCount": 0,
        }


def check_active(cluster: Cluster) -> None:
    """Raises ClientException for a deleted cluster."""
    if cluster.status != "ACTIVE":
        raise ClientException("The referenced cluster was inactive.")
