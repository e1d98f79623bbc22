"""How Amazon's API shows services and tasks."""

from embedded.ecs.state.model import Deployment, Json, Service, Task


def show_service(service: Service, tasks: list[Task], *, with_tags: bool) -> Json:
    """The service as DescribeServices shows it; `tasks` are its unfinished ones."""
    settings = service.settings
    shown: Json = {
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": service.cluster_arn,
        "status": service.status,
        "desiredCount": service.desired_count,
        "runningCount": sum(task.is_running for task in tasks),
        "pendingCount": sum(task.is_pending for task in tasks),
        "taskDefinition": service.primary.task_definition,
        "deployments": [_show_deployment(deployment, service, tasks) for deployment in service.deployments],
        "events": service.events,
        "createdAt": service.created_at,
        "roleArn": service.arn.split(":ecs:")[0]
        + f":iam::{service.arn.split(':')[4]}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS",
        "loadBalancers": [],
        "serviceRegistries": [],
        "placementConstraints": [],
        "placementStrategy": [],
        "schedulingStrategy": "REPLICA",
        "deploymentController": {"type": "ECS"},
        "enableECSManagedTags": False,
        "enableExecuteCommand": False,
        "propagateTags": "NONE",
        **settings,
    }
    shown["deploymentConfiguration"] = {
        "maximumPercent": service.percent("maximumPercent", 200),
        "minimumHealthyPercent": service.percent("minimumHealthyPercent", 100),
        **settings.get("deploymentConfiguration", {}),
    }
    if "FARGATE" in service.settings.get("launchType", ""):
        shown.setdefault("platformFamily", "Linux")
    if with_tags:
        shown["tags"] = service.tags
    return shown


def _show_deployment(deployment: Deployment, service: Service, tasks: list[Task]) -> Json:
    mine = [task for task in tasks if task.deployment_id == deployment.id]
    wanted = [task for task in mine if task.is_wanted]
    return {
        "id": deployment.id,
        "status": deployment.status,
        "taskDefinition": deployment.task_definition,
        "desiredCount": service.desired_count if deployment.status == "PRIMARY" else len(wanted),
        "runningCount": sum(task.is_running for task in mine),
        "pendingCount": sum(task.is_pending for task in mine),
        "failedTasks": deployment.failed_tasks,
        "createdAt": deployment.created_at,
        "updatedAt": deployment.updated_at,
        "rolloutState": deployment.rollout_state,
        "rolloutStateReason": deployment.rollout_state_reason,
        **deployment.settings,
    }


def show_task(task: Task, *, with_tags: bool) -> Json:
    """The task as DescribeTasks shows it: a field is absent until it is known."""
    container = {
        "containerArn": task.arn.replace(":task/", ":container/") + f"/{task.id}",
        "taskArn": task.arn,
        "name": task.container["name"],
        "image": task.container["image"],
        "lastStatus": task.last_status if task.last_status in {"RUNNING", "STOPPED"} else "PENDING",
        "networkBindings": [],
        "networkInterfaces": [],
        "healthStatus": "UNKNOWN",
    }
    if task.last_status in {"DEACTIVATING", "STOPPING"}:
        container["lastStatus"] = "RUNNING"
    if task.exit_code is not None:
        container["exitCode"] = task.exit_code
    if task.container_reason is not None:
        container["reason"] = task.container_reason
    optional = {
        "startedAt": task.started_at,
        "stoppingAt": task.stopping_at,
        "stoppedAt": task.stopped_at,
        "executionStoppedAt": task.stopped_at if task.started_at else None,
        "stopCode": task.stop_code,
        "stoppedReason": task.stopped_reason,
    }
    return {
        "taskArn": task.arn,
        "clusterArn": task.cluster_arn,
        "taskDefinitionArn": task.task_definition,
        "group": f"service:{task.service_name}",
        "startedBy": task.deployment_id,
        "lastStatus": task.last_status,
        "desiredStatus": task.desired_status,
        "containers": [container],
        "attachments": task.attachments,
        "createdAt": task.created_at,
        "healthStatus": "UNKNOWN",
        "overrides": {"containerOverrides": [{"name": task.container["name"]}]},
        "tags": task.tags if with_tags else [],
        "version": task.version,
        **task.settings,
        **{name: value for name, value in optional.items() if value is not None},
    }
