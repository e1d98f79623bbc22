"""The official SDK, in both of its forms, against the API under its production server."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

import httpx
import pytest
from ocpplab import AsyncOcpplabSDK, OcpplabSDK
from sqlalchemy import Engine, update

from shared.database.engine import Sessions, make_engine
from shared.models import Charger, Location
from tests.conftest import delete_rows
from tests.support.api_server import running_api
from tests.support.environment import Token

SITES = ("4090477f-a416-4515-a302-97aa344a0a2a", "5d4e8d84-6f1c-49a7-9e0d-5e6d65f0f4a2")
ONE_TRY = {"max_retries": 0}
# As the SDK sets it up, without reading the certificates of the system for each client.
HTTP: dict[str, Any] = {"follow_redirects": True, "timeout": 20, "verify": False}


@pytest.fixture(scope="session")
def backend_engine(new_database: Callable[[], str]) -> Iterator[Engine]:
    """The server's own database, which no other test empties under it."""
    engine = make_engine(new_database())
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def base_url(
    backend_engine: Engine, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    url = backend_engine.url.render_as_string(hide_password=False)
    folder = tmp_path_factory.mktemp("api")
    with running_api(url, f"{redis_url.rpartition('/')[0]}/7", folder, WEB_CONCURRENCY="2") as base_url:
        yield base_url


@dataclass
class Sdk:
    """One call of the SDK at a time, whichever form it has: `sdk("chargers.create", identity=...)`."""

    base_url: str
    token: str
    form: str
    organization_id: str | None = None

    def __call__(self, method: str, **arguments: Any) -> Any:
        arguments = {"request_options": ONE_TRY} | arguments
        if self.form == "async":
            return asyncio.run(self._call_async(method, arguments))
        with httpx.Client(**HTTP) as http:
            sdk = OcpplabSDK(
                base_url=self.base_url,
                token=self.token,
                organization_id=self.organization_id,
                httpx_client=http,
            )
            return attrgetter(method)(sdk)(**arguments)

    async def _call_async(self, method: str, arguments: dict[str, Any]) -> Any:
        async with httpx.AsyncClient(**HTTP) as http:
            sdk = AsyncOcpplabSDK(
                base_url=self.base_url,
                token=self.token,
                organization_id=self.organization_id,
                httpx_client=http,
            )
            return await attrgetter(method)(sdk)(**arguments)


@pytest.fixture(params=["sync", "async"])
def form(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def sdk(base_url: str, token: Token, form: str) -> Sdk:
    """As a user of acme."""
    return Sdk(base_url, token(), form)


@pytest.fixture
def backend(backend_engine: Engine) -> Iterator[Sessions]:
    """The server's database, empty but for the catalog."""
    yield Sessions(backend_engine)
    delete_rows(backend_engine)


@pytest.fixture
def sites(backend: Sessions) -> None:
    """The locations of the contract's published examples."""
    with backend.begin() as session:
        for location_id in SITES:
            session.add(Location(organization_id="acme", id=location_id))


@pytest.fixture
def make_ready(backend: Sessions) -> Callable[[str], None]:
    """What workers would do about a new charger."""

    def make_ready(charger_id: str) -> None:
        now = datetime.now(UTC)
        with backend.begin() as session:
            session.execute(
                update(Charger)
                .where(Charger.id == charger_id)
                .values(
                    provisioning_status="READY",
                    provisioned_at=now,
                    observed_generation=Charger.generation,
                    settled_generation=Charger.generation,
                    publish_at=None,
                    observe_at=None,
                    observed_at=now,
                    service_status="ACTIVE",
                    running_count=1,
                )
            )

    return make_ready
