"""The actions on services. They record the desired state; the scheduler makes it so."""

import re
import time

from embedded.ecs.api.clusters import check_active
from embedded.ecs.api.definitions import DefinitionsApi
from embedded.ecs.api.paging import page
from embedded.ecs.api.tags import check_tags
from embedded.ecs.api.views import show_service
from embedded.ecs.errors import (
    InvalidParameterException,
    ServiceNotActiveException,
    ServiceNotFoundException,
)
from embedded.ecs.state.fleet import Fleet
from embedded.ecs.state.model import (
    Cluster,
    Json,
    Service,
    Tags,
    TaskDefinition,
)

NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
CLIENT_TOKEN = re.compile(r"[!-~]{1,36}")
SUBNET = re.compile(r"subnet-[0-9a-zA-Z-]+")
SECURITY_GROUP = re.compile(r"sg-[0-9a-zA-Z-]+")
MAX_DESIRED_COUNT = 5_000
MAX_DESCRIBED = 10
LAUNCH_TYPES = ("EC2", "FARGATE", "EXTERNAL")

#: Fields of requests that are kept in Service.settings.
SETTINGS = (
    "availabilityZoneRebalancing",
    "capacityProviderStrategy",
    "deploymentConfiguration",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "healthCheckGracePeriodSeconds",
    "launchType",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
    "platformVersion",
    "propagateTags",
)
#: A change of one of these starts a deployment. The deployment shows them.
DEPLOYMENT_SETTINGS = ("capacityProviderStrategy", "launchType", "networkConfiguration", "platformVersion")


class ServicesApi:
    """One method per action: takes the request's JSON, returns the answer's, raises ECS's errors. Call with the fleet held."""

    def __init__(self, fleet: Fleet, definitions: DefinitionsApi) -> None:
        self._definitions = definitions
        self._fleet = fleet

    def create_service(self, request: Json) -> Json:
        """Safe to repeat: the same client token and parameters return the existing service."""
        cluster = self._cluster(request)
        name = request.get("serviceName") or ""
        if not NAME.fullmatch(name):
            raise InvalidParameterException(
                "Service name can only have letters, numbers, hyphens and underscores, 255 at most."
            )
        service = self._fleet.services.get(f"{cluster.name}/{name}")
        if service is not None and service.status == "ACTIVE":
            if request.get("clientToken") and request == service.request:
                return {"service": self._show(service, with_tags=True)}
            raise InvalidParameterException("Creation of service was not idempotent.")
        if service is not None and service.status == "DRAINING":
            raise InvalidParameterException("Unable to Start a service that is still Draining.")
        service = self._new_service(cluster, name, request)
        self._fleet.touch(service)
        return {"service": self._show(service, with_tags=True)}

    def _new_service(self, cluster: Cluster, name: str, request: Json) -> Service:
        check_active(cluster)
        if not CLIENT_TOKEN.fullmatch(request.get("clientToken") or "none"):
            raise InvalidParameterException(
                "Client token must have 1 to 36 ASCII characters in the range of 33-126."
            )
        if request.get("desiredCount") is None:
            raise InvalidParameterException(
                "The desired count is required with the REPLICA scheduling strategy."
            )
        if not request.get("taskDefinition"):
            raise InvalidParameterException("TaskDefinition cannot be null or empty.")
        definition = self._definitions.usable(request["taskDefinition"])
        settings = {key: request[key] for key in SETTINGS if request.get(key) is not None}
        if "launchType" not in settings and "capacityProviderStrategy" not in settings:
            settings["launchType"] = "EC2"
        check_service(request, settings, definition)
        tags: Tags = request.get("tags") or []
        check_tags(tags)
        service = Service(
            key=f"{cluster.name}/{name}",
            name=name,
            arn=cluster.arn.replace(":cluster/", ":service/") + f"/{name}",
            cluster=cluster.name,
            cluster_arn=cluster.arn,
            desired_count=request["desiredCount"],
            settings=settings,
            tags=tags,
            request=request,
            created_at=time.time(),
        )
        service.begin_deployment(definition.arn, deployment_settings(settings))
        return service

    def update_service(self, request: Json) -> Json:
        """A new task definition, network or platform, or forceNewDeployment, starts a deployment. A new count does not."""
        service = self._service(request)
        if service.status != "ACTIVE":
            raise ServiceNotActiveException
        definition_arn = request.get("taskDefinition") or service.primary.task_definition
        if definition_arn == service.primary.task_definition:
            definition = self._fleet.definitions[definition_arn]
        else:
            definition = self._definitions.usable(definition_arn)
        settings = service.settings | {key: request[key] for key in SETTINGS if request.get(key) is not None}
        if request.get("capacityProviderStrategy"):
            settings.pop("launchType", None)
        check_service(request, settings, definition)
        if request.get("desiredCount") is not None and request["desiredCount"] != service.desired_count:
            service.desired_count = request["desiredCount"]
            service.quick_failures, service.retry_at = 0, 0.0
        changed = (
            definition.arn != service.primary.task_definition
            or deployment_settings(settings) != service.primary.settings
        )
        service.settings = settings
        if changed or request.get("forceNewDeployment"):
            service.begin_deployment(definition.arn, deployment_settings(settings))
        self._fleet.touch(service)
        return {"service": self._show(service, with_tags=True)}

    def delete_service(self, request: Json) -> Json:
        """The service is DRAINING until its tasks are gone, then INACTIVE; it can be described for another hour."""
        service = self._service(request)
        if service.status == "INACTIVE":
            raise ServiceNotFoundException
        if service.desired_count > 0 and not request.get("force"):
            raise InvalidParameterException("The service cannot be stopped while it is scaled above 0.")
        service.status = "DRAINING"
        service.desired_count = 0
        self._fleet.touch(service)
        return {"service": self._show(service, with_tags=True)}

    def describe_services(self, request: Json) -> Json:
        cluster = self._cluster(request)
        names: list[str] = list(dict.fromkeys(request.get("services") or []))
        if not names:
            raise InvalidParameterException("Services cannot be empty.")
        if len(names) > MAX_DESCRIBED:
            raise InvalidParameterException(f"Cannot describe more than {MAX_DESCRIBED} services.")
        with_tags = "TAGS" in (request.get("include") or [])
        services, failures = [], []
        for name in names:
            service = self._fleet.services.get(f"{cluster.name}/{name.rsplit('/', 1)[-1]}")
            if service is not None:
                services.append(self._show(service, with_tags=with_tags))
            else:
                arn = (
                    name
                    if name.startswith("arn:")
                    else f"{cluster.arn.replace(':cluster/', ':service/')}/{name}"
                )
                failures.append({"arn": arn, "reason": "MISSING"})
        return {"services": services, "failures": failures}

    def list_services(self, request: Json) -> Json:
        cluster = self._cluster(request)
        launch_type = request.get("launchType")
        arns = [
            service.arn
            for service in self._fleet.services.values()
            if service.cluster == cluster.name
            and service.status != "INACTIVE"
            and launch_type in {None, service.settings.get("launchType")}
            and request.get("schedulingStrategy", "REPLICA") == "REPLICA"
        ]
        return page(request, "serviceArns", arns, default=10)

    def _cluster(self, request: Json) -> Cluster:
        return self._fleet.cluster(request.get("cluster") or "default")

    def _service(self, request: Json) -> Service:
        cluster = self._cluster(request)
        name = (request.get("service") or "").rsplit("/", 1)[-1]
        try:
            return self._fleet.services[f"{cluster.name}/{name}"]
        except KeyError:
            raise ServiceNotFoundException from None

    def _show(self, service: Service, *, with_tags: bool) -> Json:
        return show_service(service, self._fleet.tasks_of(service), with_tags=with_tags)


def deployment_settings(settings: Json) -> Json:
    """The settings that a deployment shows."""
    return {key: settings[key] for key in DEPLOYMENT_SETTINGS if key in settings}


def check_service(request: Json, settings: Json, definition: TaskDefinition) -> None:
    """Raises InvalidParameterException for what both CreateService and UpdateService refuse."""
    desired_count = request.get("desiredCount") or 0
    if not 0 <= desired_count <= MAX_DESIRED_COUNT:
        raise InvalidParameterException(f"The desired count must be between 0 and {MAX_DESIRED_COUNT}.")
    if request.get("launchType") and request.get("capacityProviderStrategy"):
        raise InvalidParameterException(
            "Specify either Launch Type or Capacity Provider Strategy, but not both."
        )
    if settings.get("launchType", "EC2") not in LAUNCH_TYPES:
        raise InvalidParameterException(f"launch type should be one of [{','.join(LAUNCH_TYPES)}]")
    if request.get("schedulingStrategy", "REPLICA") != "REPLICA":
        raise InvalidParameterException(
            "The embedded Amazon ECS supports only the REPLICA scheduling strategy."
        )
    check_percentages(settings)
    check_network(settings, definition)


def check_percentages(settings: Json) -> None:
    """Raises InvalidParameterException for percentages with which no task could be replaced."""
    configuration = settings.get("deploymentConfiguration", {})
    maximum = configuration.get("maximumPercent", 200)
    minimum = configuration.get("minimumHealthyPercent", 100)
    if minimum < 0 or maximum < 100 or (maximum == 100 and minimum >= 100):
        raise InvalidParameterException(
            f"With maximumPercent {maximum} and minimumHealthyPercent {minimum} a deployment cannot replace a task."
        )
    if settings.get("availabilityZoneRebalancing") == "ENABLED" and maximum <= 100:
        raise InvalidParameterException("Availability Zone rebalancing needs a maximumPercent above 100.")


def check_network(settings: Json, definition: TaskDefinition) -> None:
    """Raises InvalidParameterException. Security groups are optional, as in ECS; every well-formed subnet exists."""
    if definition.body.get("networkMode") != "awsvpc":
        return
    network: Json | None = (settings.get("networkConfiguration") or {}).get("awsvpcConfiguration")
    if network is None:
        raise InvalidParameterException(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified."
        )
    subnets, groups = network.get("subnets") or [], network.get("securityGroups") or []
    if not subnets:
        raise InvalidParameterException("subnets can not be empty.")
    if len(subnets) > 16 or len(groups) > 5:
        raise InvalidParameterException("A service can have 16 subnets and 5 security groups at most.")
    for subnet in subnets:
        if not SUBNET.fullmatch(subnet):
            raise InvalidParameterException(
                f"Error retrieving subnet information for [{subnet}]: The subnet ID '{subnet}' does not exist"
                " (ErrorCode: InvalidSubnetID.NotFound)"
            )
    for group in groups:
        if not SECURITY_GROUP.fullmatch(group):
            raise InvalidParameterException(
                f"Error retrieving security group information for [{group}]: The security group '{group}' does not"
                " exist (ErrorCode: InvalidGroup.NotFound)"
            )
