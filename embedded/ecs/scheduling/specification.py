"""What a new task gets: its process's environment, its settings, tags and network interface."""

import os
import uuid
from pathlib import Path

import embedded
from embedded.ecs.state.model import ALLOWED_VARIABLES, Json, Service, TaskDefinition

#: The variables of this process that a task's process inherits. No other variable is passed on.
INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "VIRTUAL_ENV",
    "SYSTEMROOT",
    "LD_LIBRARY_PATH",
)
INHERITED_PREFIXES = ("PYTHON", "LC_", "SSL_CERT_")


def environment_for(container: Json) -> dict[str, str]:
    """The environment of a task's process: the definition's variables and INHERITED, without any secret.

    CHARGER_STATE_FILE is not set: a charger's memory ends with its task, as on Fargate.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in INHERITED or name.startswith(INHERITED_PREFIXES)
    }
    root = str(Path(embedded.__file__).parent.parent)  # a task's folder is not the project's
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
    environment["PYTHONUNBUFFERED"] = "1"
    given = {pair["name"]: pair["value"] for pair in container.get("environment", [])}
    # Registration checks the names, but the state file may hold a definition from an earlier version.
    return {name: value for name, value in given.items() if ALLOWED_VARIABLES.fullmatch(name)} | environment


def task_settings(service: Service, definition: TaskDefinition) -> Json:
    """Launch type, platform, zone, CPU and memory, as DescribeTasks shows them."""
    settings: Json = {
        "launchType": service.settings.get("launchType", "EC2"),
        "connectivity": "CONNECTED",
        "availabilityZone": f"{service.arn.split(':')[3]}a",
        "enableExecuteCommand": service.settings.get("enableExecuteCommand", False),
    }
    strategy = service.settings.get("capacityProviderStrategy")
    if strategy:
        settings["capacityProviderName"] = strategy[0]["capacityProvider"]
        settings["launchType"] = "FARGATE" if strategy[0]["capacityProvider"].startswith("FARGATE") else "EC2"
    if settings["launchType"] == "FARGATE":
        settings |= {"platformVersion": "1.4.0", "platformFamily": "Linux"}
    for name in ("cpu", "memory"):
        if definition.body.get(name):
            settings[name] = definition.body[name]
    return settings


def tags_for_task(service: Service, definition: TaskDefinition) -> list[dict[str, str]]:
    """The tags of a new task. ECS copies them only when the task is created."""
    source = service.settings.get("propagateTags", "NONE")
    tags = {"SERVICE": service.tags, "TASK_DEFINITION": definition.tags}.get(source, [])
    managed = []
    if service.settings.get("enableECSManagedTags"):
        managed = [
            {"key": "aws:ecs:clusterName", "value": service.cluster},
            {"key": "aws:ecs:serviceName", "value": service.name},
        ]
    return [*tags, *managed]


def network_interfaces(service: Service, definition: TaskDefinition) -> list[Json]:
    """The attachments of a new task: one interface with network mode awsvpc, else none."""
    if definition.body.get("networkMode") != "awsvpc":
        return []
    subnet = service.settings["networkConfiguration"]["awsvpcConfiguration"]["subnets"][0]
    identifier = uuid.uuid4()
    return [
        {
            "id": str(identifier),
            "type": "ElasticNetworkInterface",
            "status": "ATTACHED",
            "details": [
                {"name": "subnetId", "value": subnet},
                {"name": "networkInterfaceId", "value": f"eni-{identifier.hex[:17]}"},
                {"name": "privateIPv4Address", "value": "127.0.0.1"},
            ],
        }
    ]
