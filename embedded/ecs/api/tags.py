"""The actions on tags of clusters, services, tasks and task definitions."""

from moto.core.exceptions import ServiceException

from embedded.ecs.errors import ClientException, InvalidParameterException, ServiceNotFoundException
from embedded.ecs.state.fleet import Fleet
from embedded.ecs.state.model import Cluster, Json, Service, Tags, Task, TaskDefinition

MAX_TAGS = 50

Tagged = Cluster | Service | Task | TaskDefinition


class TagsApi:
    """One method per action: takes the request's JSON, returns the answer's, raises ECS's errors. Call with the fleet held."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def list_tags_for_resource(self, request: Json) -> Json:
        return {"tags": self._find(request).tags}

    def tag_resource(self, request: Json) -> Json:
        resource = self._find(request)
        added: Tags = request.get("tags") or []
        check_tags(added)
        tags = {tag["key"]: tag for tag in [*resource.tags, *added]}
        if len(tags) > MAX_TAGS:
            raise InvalidParameterException(f"The maximum number of tags is {MAX_TAGS}.")
        self._set(resource, list(tags.values()))
        return {}

    def untag_resource(self, request: Json) -> Json:
        resource = self._find(request)
        removed = set(request.get("tagKeys") or [])
        self._set(resource, [tag for tag in resource.tags if tag["key"] not in removed])
        return {}

    def _set(self, resource: Tagged, tags: Tags) -> None:
        resource.tags = tags
        match resource:
            case Cluster():
                self._fleet.touch_cluster(resource)
            case Service():
                self._fleet.touch(resource)
            case Task():
                self._fleet.touch_task(resource)
            case TaskDefinition():
                self._fleet.touch_definition(resource)

    def _find(self, request: Json) -> Tagged:
        """Raises the error that ECS gives for each kind, and InvalidParameterException for another ARN."""
        arn: str = request.get("resourceArn") or ""
        kind, _, name = arn.split(":", 5)[-1].partition("/")
        found: Tagged | None
        missing: ServiceException
        match kind:
            case "cluster":
                return self._fleet.cluster(name)
            case "service":
                found, missing = self._fleet.services.get(name), ServiceNotFoundException()
            case "task":
                found = self._fleet.tasks.get(name.rsplit("/", 1)[-1])
                missing = InvalidParameterException("The referenced task was not found.")
            case "task-definition":
                found = self._fleet.find_definition(name)
                missing = ClientException("Unable to describe task definition.")
            case _:
                found, missing = None, InvalidParameterException("The ARN provided is invalid.")
        if found is None:
            raise missing
        return found


def check_tags(tags: Tags) -> None:
    """Raises InvalidParameterException for too many tags, or for one that AWS does not allow."""
    if len(tags) > MAX_TAGS:
        raise InvalidParameterException(f"The maximum number of tags is {MAX_TAGS}.")
    for tag in tags:
        key, value = tag.get("key") or "", tag.get("value") or ""
        if not 1 <= len(key) <= 128 or len(value) > 256 or key.lower().startswith("aws:"):
            raise InvalidParameterException(f"The tag {key!r} is not valid.")
