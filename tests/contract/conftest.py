"""The product as a user has it, and the official SDK."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ocpplab import AsyncOcpplabSDK, OcpplabSDK

from shared.auth.tokens import make_token
from shared.settings import TokenSettings
from tests.contract.sdk import Sdk
from tests.support.environment import JWT_SECRET
from tests.support.http import PLAIN_HTTP
from tests.support.stack import RememberingCsms, Stack, running_stack

Api = Callable[..., dict[str, Any]]


@pytest.fixture(scope="package")
def stack(server_folder: Path, new_database: Callable[[], str], redis_url: str) -> Iterator[Stack]:
    """One for all tests that do not break it. On its own database of the broker."""
    with running_stack(
        server_folder / "stack", new_database(), f"{redis_url.removesuffix('/0')}/1"
    ) as running:
        yield running


@pytest.fixture(scope="session")
def csms() -> Iterator[RememberingCsms]:
    with RememberingCsms() as running:
        yield running


@pytest.fixture(scope="session")
def stack_token() -> Callable[..., str]:
    """Makes a token that the stack accepts."""
    tokens = TokenSettings(
        algorithm="HS256", secret=JWT_SECRET, public_key="", jwks_url="", issuer="", audience="", max_age_s=0
    )

    def make(organization: str = "acme", role: str = "user") -> str:
        organization_id = None if role == "admin" else organization
        return make_token(tokens, subject="tester", organization_id=organization_id, role=role, ttl_s=3600)

    return make


@pytest.fixture(params=["sync", "async"])
def sdk(request: pytest.FixtureRequest, stack: Stack, stack_token: Callable[..., str]) -> Any:
    kind = OcpplabSDK if request.param == "sync" else AsyncOcpplabSDK
    client = Sdk(kind(base_url=stack.api_url, token=stack_token()))
    yield client
    client.close()


@pytest.fixture
def api(stack: Stack, stack_token: Callable[..., str]) -> Api:
    """Plain HTTP, for what the SDK does not show."""

    def call(path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {stack_token()}"}
        answer = httpx.request(method, stack.api_url + path, headers=headers, **PLAIN_HTTP, **more)
        answer.raise_for_status()
        body: dict[str, Any] = answer.json() if answer.content else {}
        return body

    return call
