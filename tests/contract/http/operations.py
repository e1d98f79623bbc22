"""The operations of the installed SDK, as it sends them: read from the SDK, so none is missing."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from ocpplab import OcpplabSDK
from ocpplab.core.api_error import ApiError

MARK = re.compile(r"x-(\w+)-x")


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of the SDK and the request that it makes. Parameters of the path are in braces."""

    call: str
    method: str
    path: str


def operations() -> Iterator[Operation]:
    """Every method of every resource, found by calling it against a server that refuses all requests."""
    requests: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(404, json={"detail": "nothing is here"})

    with httpx.Client(transport=httpx.MockTransport(refuse)) as client:
        sdk = OcpplabSDK(base_url="http://sdk.test", token="token", httpx_client=client)
        for resource in _resources():
            for name, method in inspect.getmembers(getattr(sdk, resource), inspect.ismethod):
                if name.startswith("_"):
                    continue
                requests.clear()
                try:
                    method(**_arguments(method))
                except ApiError:
                    (request,) = requests
                path = MARK.sub(r"{\1}", request.url.path)
                yield Operation(f"{resource}.{name}", request.method, path)


def _resources() -> list[str]:
    return [name for name, _ in inspect.getmembers(OcpplabSDK, lambda member: isinstance(member, property))]


def _arguments(method: Any) -> dict[str, Any]:
    """What the method demands: a mark that is found again in the path, or an empty object."""
    demanded = {
        name: parameter
        for name, parameter in inspect.signature(method).parameters.items()
        if parameter.default is inspect.Parameter.empty
    }
    return {
        name: f"x-{name}-x" if parameter.annotation in (str, "str") else {}
        for name, parameter in demanded.items()
    }
