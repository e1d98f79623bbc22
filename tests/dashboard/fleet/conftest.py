"""The API alone, with rows that no worker changes, and a browser on it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import Engine, text

from shared.database.engine import make_engine
from tests.dashboard.browser import open_view
from tests.dashboard.conftest import NewPage, StackToken
from tests.dashboard.rows import insert_rows
from tests.support.api_server import running_api
from tests.support.http import PLAIN_HTTP
from tests.support.stack import Stack


@pytest.fixture(scope="package")
def engine(new_database: Callable[[], str]) -> Iterator[Engine]:
    """The organization of `page` has 250 chargers, which no test changes: three are disconnected, seven accepted."""
    engine = make_engine(new_database())
    insert_rows(engine, 240, prefix="FL-STOP-", location="hub")
    insert_rows(engine, 3, prefix="FL-GONE-", runs=True, link="disconnected")
    insert_rows(engine, 7, prefix="FL-RUN-", runs=True, link="accepted")
    yield engine
    engine.dispose()


@pytest.fixture(scope="package")
def stack(engine: Engine, redis_url: str, server_folder: Path) -> Iterator[Stack]:
    folder = server_folder / "fleet"
    database_url = engine.url.render_as_string(hide_password=False)
    broker_url = f"{redis_url.removesuffix('/0')}/3"
    with running_api(database_url, broker_url, folder, WEB_CONCURRENCY="1") as url:
        yield Stack(url, "", database_url, broker_url, {}, folder)


@dataclass
class Own:
    """An organization of the test's own."""

    organization: str
    page: Page
    client: httpx.Client
    engine: Engine

    def insert(self, count: int, prefix: str, **options: Any) -> None:
        insert_rows(self.engine, count, prefix=prefix, organization=self.organization, **options)

    def change(self, identity: str, assignments: str) -> None:
        """Change the charger's row as a worker would, by SQL."""
        changed = f"UPDATE chargers SET {assignments} WHERE organization_id = :organization AND identity = :identity"  # noqa: S608 - our own text
        with self.engine.begin() as connection:
            connection.execute(text(changed), {"organization": self.organization, "identity": identity})

    def id_of(self, identity: str) -> str:
        (charger,) = self.client.get("/ocpp/chargers", params={"identity": identity}).json()["data"]
        charger_id: str = charger["id"]
        return charger_id

    def open(self, query: str = "") -> None:
        """Open the fleet, and wait until the page hears of changes."""
        open_view(self.page, f"/dashboard{query}")
        expect(self.page.locator(".live-status")).to_contain_text("live")


@pytest.fixture
def own(stack: Stack, engine: Engine, new_page: NewPage, stack_token: StackToken) -> Iterator[Own]:
    organization = f"org-{uuid4().hex[:8]}"
    token = stack_token(organization)
    with httpx.Client(
        base_url=stack.api_url, headers={"Authorization": f"Bearer {token}"}, **PLAIN_HTTP
    ) as client:
        yield Own(organization, new_page(token), client, engine)


def rows(page: Page) -> Locator:
    return page.locator(".fleet-table tbody tr")


def row(page: Page, identity: str) -> Locator:
    return rows(page).filter(has=page.get_by_role("link", name=identity, exact=True))


def query_of(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)
