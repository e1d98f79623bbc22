"""The views of locations on an API without workers."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import Engine

from shared.database.engine import make_engine
from tests.dashboard.browser import (
    DESKTOP,
    PHONE,
    Complaints,
    axe_in_both_themes,
    open_view,
    width_of_content,
)
from tests.dashboard.conftest import NewPage, StackToken
from tests.dashboard.rows import insert_rows
from tests.support.api_server import running_api
from tests.support.http import PLAIN_HTTP
from tests.support.stack import Stack

HOSTILE = "<img src=x onerror=alert(1)>"
NEW = {
    "name": "Harbour",
    "address": "1 Quai Nord",
    "city": "Lyon",
    "country": "FR",
    "coordinates": {"latitude": 45.76, "longitude": 4.84},
}


@pytest.fixture(scope="module")
def engine(new_database: Callable[[], str]) -> Iterator[Engine]:
    engine = make_engine(new_database())
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def stack(engine: Engine, redis_url: str, server_folder: Path) -> Iterator[Stack]:
    """The API alone."""
    folder = server_folder / "locations"
    database_url = engine.url.render_as_string(hide_password=False)
    broker_url = f"{redis_url.removesuffix('/0')}/5"
    with running_api(database_url, broker_url, folder) as url:
        yield Stack(url, "", database_url, broker_url, {}, folder)


@pytest.fixture
def client(stack: Stack, stack_token: StackToken) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {stack_token()}"}
    with httpx.Client(base_url=stack.api_url, headers=headers, **PLAIN_HTTP) as client:
        yield client
        for location in client.get("/ocpp/locations", params={"limit": 100}).json()["data"]:
            client.delete(f"/ocpp/locations/{location['id']}")


@pytest.fixture
def complaints(client: httpx.Client, complaints: Complaints) -> Complaints:
    """Every page is closed before `client` deletes the locations, for which an open one would ask in vain."""
    return complaints


def create(client: httpx.Client, **more: Any) -> dict[str, Any]:
    answer = client.post("/ocpp/locations", json=NEW | more)
    assert answer.status_code == 201, answer.text
    location: dict[str, Any] = answer.json()
    return location


def test_without_a_location_the_list_says_how_to_make_one(page: Page, client: httpx.Client) -> None:
    open_view(page, "/dashboard/locations")

    expect(page.get_by_role("heading", name="No locations yet")).to_be_visible()
    expect(page.get_by_text("curl -X POST")).to_be_visible()


def test_the_list_shows_where_a_location_is_and_how_many_chargers_run(
    page: Page, client: httpx.Client, engine: Engine
) -> None:
    location = create(client, name=HOSTILE, labels={"run": "1234"}, ttl_seconds=7200)
    insert_rows(engine, 3, prefix="LC-RUN-", runs=True, link="accepted", location=location["id"])
    insert_rows(engine, 2, prefix="LC-STOP-", location=location["id"])

    open_view(page, "/dashboard/locations")

    row = page.get_by_role("table", name="Locations").locator("tbody tr")
    expect(row.get_by_role("link", name=HOSTILE)).to_be_visible()
    expect(row).to_contain_text("1 Quai Nord, Lyon, FR")
    expect(row).to_contain_text("run: 1234")
    row.get_by_role("link", name="5 chargers: 3 running, 3 accepted by their CSMS").click()
    expect(page).to_have_url(re.compile(f"/dashboard\\?location_id={location['id']}"))


def test_a_label_filters_the_list_and_an_older_request_is_given_up(page: Page, client: httpx.Client) -> None:
    create(client, name="North", labels={"side": "north"})
    create(client, name="South", labels={"side": "south"})
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/ocpp/locations?*south*", hold)
    open_view(page, "/dashboard/locations")
    field = page.get_by_label("Label", exact=True)
    with page.expect_request("**/ocpp/locations?*south*"):
        field.fill("side:south")
        field.press("Enter")

    with page.expect_event("requestfailed", lambda request: request.url == held[0].request.url):
        field.fill("side:north")
        field.press("Enter")

    expect(page.get_by_role("link", name="South", exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name="North", exact=True)).to_be_visible()


def test_a_number_of_a_location_leads_to_those_chargers(
    page: Page, client: httpx.Client, engine: Engine
) -> None:
    location = create(client)
    insert_rows(engine, 2, prefix="LN-RUN-", runs=True, link="accepted", location=location["id"])
    insert_rows(engine, 1, prefix="LN-STOP-", location=location["id"])
    open_view(page, f"/dashboard/locations/{location['id']}")

    page.get_by_role("link", name="1 stopped").click()

    expect(page.get_by_text("LN-STOP-0001")).to_be_visible()
    expect(page.get_by_text("LN-RUN-0001")).to_have_count(0)


def test_all_chargers_of_a_location_are_stopped_by_a_job_after_a_question(
    page: Page, client: httpx.Client, engine: Engine
) -> None:
    location = create(client)
    insert_rows(engine, 2, prefix="LS-", runs=True, link="accepted", location=location["id"])
    insert_rows(engine, 1, prefix="ELSEWHERE-", runs=True, link="accepted")
    open_view(page, f"/dashboard/locations/{location['id']}")

    page.get_by_role("button", name="Stop all", exact=True).click()
    page.get_by_label("to confirm").fill("2")
    page.get_by_role("button", name="Stop 2 chargers").click()

    expect(page).to_have_url(re.compile("/dashboard/jobs/[0-9]+$"))
    expect(page.get_by_role("heading", name="Stop 2 chargers")).to_be_visible()


def test_chargers_are_created_in_the_location(page: Page, client: httpx.Client) -> None:
    location = create(client)
    open_view(page, f"/dashboard/locations/{location['id']}")

    page.get_by_role("button", name="Create chargers").click()

    dialog = page.get_by_role("dialog", name="Create a charger")
    expect(dialog.locator("[name=location_id]")).to_have_value(location["id"])
    expect(dialog.locator("[name=location_name]")).to_have_value("Harbour")


def test_the_report_of_a_location_is_saved_as_a_page(page: Page, client: httpx.Client) -> None:
    location = create(client)
    open_view(page, f"/dashboard/locations/{location['id']}")

    with page.expect_download() as saved:
        page.get_by_role("button", name="Download the report").click()

    assert saved.value.suggested_filename == f"location-{location['id']}.html"
    assert Path(saved.value.path()).read_text(encoding="utf-8").lower().startswith("<!doctype html>")


def test_a_location_is_deleted_after_its_slug_is_typed(page: Page, client: httpx.Client) -> None:
    location = create(client)
    open_view(page, f"/dashboard/locations/{location['id']}")

    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_label("to confirm").fill(location["slug"])
    page.get_by_role("button", name="Delete the location").click()

    expect(page.get_by_role("heading", name="Locations", level=1)).to_be_visible()
    assert client.get(f"/ocpp/locations/{location['id']}").status_code == 404


def test_the_views_are_accessible_and_fit_a_phone(
    new_page: NewPage, client: httpx.Client, engine: Engine
) -> None:
    location = create(client, name=f"Harbour {'x' * 200}", labels={"run": "1234"})
    insert_rows(engine, 2, prefix="LA-", runs=True, link="accepted", location=location["id"])
    for viewport in (DESKTOP, PHONE):
        page = new_page(viewport=viewport)
        for path in ("/dashboard/locations", f"/dashboard/locations/{location['id']}"):
            open_view(page, path)
            expect(page.get_by_role("link", name="2 chargers")).to_be_visible()
            assert axe_in_both_themes(page) == [], path
            assert width_of_content(page) <= viewport["width"], path
