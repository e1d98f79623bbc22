"""The ECS half of the HTTP surface: moto reads the request and writes errors, the fleet answers."""

from collections.abc import Callable
from typing import Any, Self

import orjson
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ecs.responses import EC2ContainerServiceResponse

from embedded.ecs.backend import FleetBackend
from embedded.ecs.fleet import Fleet
from embedded.ecs.model import Json
from embedded.ecs.paging import page
from embedded.ecs.services import ServicesApi


class UnsupportedFeatureException(ServiceException):
    code = "UnsupportedFeatureException"


class FleetResponse(EC2ContainerServiceResponse):
    """Answered by one backend whatever account and region a request names."""

    backend: FleetBackend
    services: ServicesApi
    fleet: Fleet

    @classmethod
    def bound_to(cls, backend: FleetBackend, services: ServicesApi, fleet: Fleet) -> Callable[..., Any]:
        bound: type[Self] = type("Bound", (cls,), {"backend": backend, "services": services, "fleet": fleet})
        return bound.dispatch

    @property
    def ecs_backend(self) -> FleetBackend:
        return self.backend

    def parse_parameters(self, request: Any) -> None:
        """ECS speaks plain JSON; moto's walk through the service model would find the same."""
        try:
            self.params: Json = orjson.loads(request.data or b"{}")
        except orjson.JSONDecodeError:
            self.params = {}

    def call_action(self) -> Any:
        with self.fleet.change():
            return super().call_action()

    def create_service(self) -> str:  # type: ignore[override]
        return encode(self.services.create_service(self.params))

    def update_service(self) -> str:  # type: ignore[override]
        return encode(self.services.update_service(self.params))

    def delete_service(self) -> str:  # type: ignore[override]
        return encode(self.services.delete_service(self.params))

    def describe_services(self) -> str:  # type: ignore[override]
        return encode(self.services.describe_services(self.params))

    def list_services(self) -> str:  # type: ignore[override]
        return encode(self.services.list_services(self.params))

    def list_tasks(self) -> str:  # type: ignore[override]
        return encode(self.services.list_tasks(self.params))

    def describe_tasks(self) -> str:  # type: ignore[override]
        return encode(self.services.describe_tasks(self.params))

    def stop_task(self) -> str:  # type: ignore[override]
        return encode(self.services.stop_task(self.params))

    def list_tags_for_resource(self) -> str:  # type: ignore[override]
        return encode(self.services.list_tags_for_resource(self.params))

    def tag_resource(self) -> str:  # type: ignore[override]
        return encode(self.services.tag_resource(self.params))

    def untag_resource(self) -> str:  # type: ignore[override]
        return encode(self.services.untag_resource(self.params))

    def list_task_definitions(self) -> str:  # type: ignore[override]
        arns = self.backend.list_task_definitions(
            self.params.get("familyPrefix"), self.params.get("status", "ACTIVE")
        )
        return encode(page(self.params, "taskDefinitionArns", arns, default=100, order=by_revision))

    def run_task(self) -> ActionResult:
        raise UnsupportedFeatureException("The embedded Amazon ECS runs the tasks of services only.")

    def start_task(self) -> ActionResult:
        raise UnsupportedFeatureException("The embedded Amazon ECS runs the tasks of services only.")

    def create_task_set(self) -> ActionResult:
        raise UnsupportedFeatureException("The embedded Amazon ECS has no task sets.")


def by_revision(arn: str) -> tuple[str, int]:
    family, _, revision = arn.rpartition(":")
    return family, int(revision) if revision.isdecimal() else 0


def encode(answer: Json) -> str:
    return orjson.dumps(answer).decode()
