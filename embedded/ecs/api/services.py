"""Services and tasks as Amazon's API sees them. Wishes are written down here; the scheduler makes them true."""

import re
import time

from embedded.ecs.api.clusters import check_active
from embedded.ecs.api.definitions import DefinitionsApi
from embedded.ecs.api.paging import page
from embedded.ecs.api.tags import check_tags
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
    Task,
    TaskDefinition,
    show_service,
    show_task,
)

NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
CLIENT_TOKEN = re.compile(r"[!-~]{1,36}")
SUBNET = re.compile(r"subnet-[0-9a-zA-Z-]+")
SECURITY_GROUP = re.compile(r"sg-[0-9a-zA-Z-]+")
MOST_DESIRED = 5_000
MOST_REASON = 1_024
LAUNCH_TYPES = ("EC2", "FARGATE", "EXTERNAL")

#: What requests may set beyond the fields that Service has.
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
#: Those whose change starts a deployment; it shows them.
DEPLOYMENT_SETTINGS = ("capacityProviderStrategy", "launchType", "networkConfiguration", "platformVersion")


class ServicesApi:
    """One method per action: the request's JSON in, the answer's JSON out. Called with the fleet held."""

    def __init__(self, fleet: Fleet, definitions: DefinitionsApi) -> None:
        self._definitions = definitions
        self._fleet = fleet

    # Services

    def create_service(self, request: Json) -> Json:
        """The same client token and parameters give the service that is already there."""
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
        """A new task definition, network or platform, or forceNewDeployment, starts a deployment; a count does not."""
        service = self._service(request)
        if service.status != "ACTIVE":
            raise ServiceNotActiveException
        wanted = request.get("taskDefinition") or service.primary.task_definition
        if wanted == service.primary.task_definition:
            definition = self._fleet.definitions[wanted]
        else:
            definition = self._definitions.usable(wanted)
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
        """DRAINING until its tasks are gone, then INACTIVE, and describable for a while."""
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
        if len(names) > 10:
            raise InvalidParameterException("Cannot describe more than 10 services.")
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

    # Tasks

    def list_tasks(self, request: Json) -> Json:
        cluster = self._cluster(request)
        if request.get("serviceName"):
            self._service({"cluster": cluster.name, "service": request["serviceName"]})
        service_name = (request.get("serviceName") or "").rsplit("/", 1)[-1]
        desired_status = request.get("desiredStatus", "RUNNING")
        if desired_status not in {"RUNNING", "PENDING", "STOPPED"}:
            raise InvalidParameterException("The desired status is one of RUNNING, PENDING, STOPPED.")
        arns = [
            task.arn
            for task in self._fleet.tasks.values()
            if task.cluster_arn == cluster.arn
            and task.desired_status == desired_status
            and service_name in {"", task.service_name}
            and request.get("startedBy") in {None, task.deployment_id}
            and request.get("family") in {None, family_of(task)}
            and request.get("launchType") in {None, task.settings.get("launchType")}
            and not request.get("containerInstance")
        ]
        return page(request, "taskArns", arns, default=100)

    def describe_tasks(self, request: Json) -> Json:
        cluster = self._cluster(request)
        names: list[str] = list(dict.fromkeys(request.get("tasks") or []))
        if not names:
            raise InvalidParameterException("Tasks cannot be empty.")
        if len(names) > 100:
            raise InvalidParameterException("Cannot describe more than 100 tasks.")
        with_tags = "TAGS" in (request.get("include") or [])
        tasks, failures = [], []
        for name in names:
            task = self._find_task(cluster, name)
            if task is not None:
                tasks.append(show_task(task, with_tags=with_tags))
            else:
                arn = (
                    name
                    if name.startswith("arn:")
                    else f"{cluster.arn.replace(':cluster/', ':task/')}/{name}"
                )
                failures.append({"arn": arn, "reason": "MISSING"})
        return {"tasks": tasks, "failures": failures}

    def stop_task(self, request: Json) -> Json:
        """May be repeated: a task that stops or has stopped is answered as it is."""
        cluster = self._cluster(request)
        task = self._find_task(cluster, request.get("task") or "")
        if task is None:
            raise InvalidParameterException("The referenced task was not found.")
        reason = request.get("reason") or "Task stopped by user"
        if len(reason) > MOST_REASON:
            raise InvalidParameterException(f"The reason can have {MOST_REASON} characters at most.")
        if task.is_wanted:
            task.desired_status = "STOPPED"
            task.stop_code = "UserInitiated"
            task.stopped_reason = reason
            self._fleet.touch_task(task)
        return {"task": show_task(task, with_tags=True)}

    # Look-ups

    def _cluster(self, request: Json) -> Cluster:
        return self._fleet.cluster(request.get("cluster") or "default")

    def _service(self, request: Json) -> Service:
        cluster = self._cluster(request)
        name = (request.get("service") or "").rsplit("/", 1)[-1]
        try:
            return self._fleet.services[f"{cluster.name}/{name}"]
        except KeyError:
            raise ServiceNotFoundException from None

    def _find_task(self, cluster: Cluster, name: str) -> Task | None:
        task = self._fleet.tasks.get(name.rsplit("/", 1)[-1])
        return task if task is not None and task.cluster_arn == cluster.arn else None

    def _show(self, service: Service, *, with_tags: bool) -> Json:
        return show_service(service, self._fleet.tasks_of(service), with_tags=with_tags)


def deployment_settings(settings: Json) -> Json:
    return {key: settings[key] for key in DEPLOYMENT_SETTINGS if key in settings}


def family_of(task: Task) -> str:
    return task.task_definition.rsplit("/", 1)[-1].split(":")[0]


def check_service(request: Json, settings: Json, definition: TaskDefinition) -> None:
    """What CreateService and UpdateService refuse alike. Raises InvalidParameterException."""
    desired_count = request.get("desiredCount") or 0
    if not 0 <= desired_count <= MOST_DESIRED:
        raise InvalidParameterException(f"The desired count must be between 0 and {MOST_DESIRED}.")
    if request.get("launchType") and request.get("capacityProviderStrategy"):
        raise InvalidParameterException(
            "Specify either Launch Type or Capacity Provider Strategy, but not both."
        )
    if settings.get("launchType", "EC2") not in LAUNCH_TYPES:
        raise InvalidParameterException(f"launch type should be one of [{','.join(LAUNCH_TYPES)}]")
    if request.get("schedulingStrategy", "REPLICA") != "REPLICA":
        raise InvalidParameterException("The embedded Amazon ECS knows the REPLICA scheduling strategy only.")
    configuration = settings.get("deploymentConfiguration", {})
    most, fewest = configuration.get("maximumPercent", 200), configuration.get("minimumHealthyPercent", 100)
    if fewest < 0 or most < 100 or (most == 100 and fewest >= 100):
        raise InvalidParameterException(
            f"maximumPercent {most} and minimumHealthyPercent {fewest} leave a deployment no way to replace a task."
        )
    if settings.get("availabilityZoneRebalancing") == "ENABLED" and most <= 100:
        raise InvalidParameterException("Availability Zone rebalancing needs a maximumPercent above 100.")
    check_network(settings, definition)


def check_network(settings: Json, definition: TaskDefinition) -> None:
    """Security groups are optional, as in ECS. Any subnet of the right form exists here."""
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
