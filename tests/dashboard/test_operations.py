"""The view "Operations": what the service does and what is away, in a browser."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect
from sqlalchemy import Engine, delete, func

from shared.database.engine import Sessions, make_engine
from shared.models import Command, Worker
from tests.dashboard.browser import (
    DESKTOP,
    PHONE,
    Complaints,
    axe,
    axe_in_both_themes,
    open_view,
    width_of_content,
)
from tests.dashboard.conftest import NewPage, StackToken
from tests.support.fleet import NEW_CHARGER
from tests.support.stack import Stack
from tests.support.waiting import wait_until

PATH = "/dashboard/operations"
API = "**/ocpp/operations"
STATE = "/ocpp/operations"


@pytest.fixture(scope="module")
def engine(stack: Stack) -> Iterator[Engine]:
    engine = make_engine(stack.database_url, pool_size=2)
    yield engine
    engine.dispose()


@pytest.fixture
def lost_worker(engine: Engine) -> Iterator[str]:
    """The row of a worker that was killed four minutes ago."""
    sessions = Sessions(engine)
    at = func.now() - timedelta(minutes=4)
    with sessions.begin() as session:
        session.add(
            Worker(
                name="lost@<b>host</b>",
                host="<b>host</b>",
                pid=1,
                version="0.1.0",
                queues=["lifecycle"],
                threads=4,
                busy=4,
                tasks_done=7,
                started_at=at,
                seen_at=at,
                ecs={},
                budget={},
            )
        )
    yield "lost@<b>host</b>"
    with sessions.begin() as session:
        session.execute(delete(Worker).where(Worker.name == "lost@<b>host</b>"))


@pytest.fixture(scope="module")
def charger_id(client: httpx.Client) -> str:
    """A charger that is READY: no worker has anything to do for it."""
    body = NEW_CHARGER | {"identity": "CP-OPERATIONS", "ws_url": "ws://127.0.0.1:9/ocpp"}
    charger_id: str = client.post("/ocpp/chargers", json=body).json()["charger_id"]
    wait_until(lambda: client.get(f"/ocpp/chargers/{charger_id}/status").json()["status"] == "READY", 60)
    return charger_id


@pytest.fixture
def open_command(engine: Engine, charger_id: str) -> Iterator[str]:
    """The id of its charger, which has a command that no worker finishes, older than all others."""
    of_charger = Command.charger_id == charger_id, Command.generation == -1
    sessions = Sessions(engine)
    with sessions.begin() as session:
        session.add(
            Command(
                id=uuid4(),
                charger_id=charger_id,
                organization_id="demo",
                event_type="start_charger",
                generation=-1,
                requested_by="tester",
                created_at=func.now() - timedelta(seconds=70),
                held_since=func.now(),
            )
        )
    yield charger_id
    with sessions.begin() as session:
        session.execute(delete(Command).where(*of_charger))


@pytest.fixture
def answer(client: httpx.Client) -> Any:
    """What the API answers now, with the stack's worker alive."""
    wait_until(lambda: any(each["alive"] for each in client.get(STATE).json()["workers"]), 30)
    return client.get(STATE).json()


def serve(page: Page, change: Callable[[Any], None]) -> None:
    """Have the API's answers changed on their way to the page."""

    def handle(route: Route) -> None:
        response = route.fetch()
        body = response.json()
        change(body)
        route.fulfill(response=response, json=body)

    page.route(API, handle)


def light(page: Page, name: str) -> Locator:
    return page.locator(f'[data-light="{name}"]')


@pytest.mark.usefixtures("answer")
def test_the_page_shows_what_the_api_says_and_links_open_commands_to_their_chargers(
    page: Page, open_command: str
) -> None:
    open_view(page, PATH)

    expect(page.get_by_role("heading", name="Operations", level=1)).to_be_visible()
    expect(light(page, "database")).to_contain_text("The database answers")
    expect(light(page, "broker")).to_contain_text("works")
    expect(page.locator('[data-queue="lifecycle"]')).to_contain_text("1 worker")
    expect(page.locator('[data-alive="true"]').first).to_contain_text("provisioning")
    expect(page.locator('[data-task="maintenance.observe"]')).to_contain_text("ago")
    expect(page.get_by_text("No worker serves")).to_have_count(0)
    page.get_by_text(re.compile(r"^The (oldest one|\d+ oldest)$")).click()
    page.locator("#oldest-commands").get_by_role("link", name="CP-OPERATIONS").click()
    expect(page).to_have_url(re.compile(f"/dashboard/chargers/{open_command}$"))


@pytest.mark.usefixtures("answer")
def test_a_worker_that_is_gone_and_a_queue_without_one_are_loud(page: Page, lost_worker: str) -> None:
    def without_lifecycle(state: Any) -> None:
        for queue in state["commands"]["by_queue"]:
            if queue["queue"] == "lifecycle":
                queue["served_by"] = 0

    serve(page, without_lifecycle)
    open_view(page, PATH)

    expect(page.get_by_text("No worker serves lifecycle: starts, stops and restarts wait")).to_be_visible()
    gone = page.locator('[data-alive="false"]')
    expect(gone).to_contain_text(lost_worker)
    expect(gone).to_contain_text("not seen since 4 min")
    expect(page.get_by_text("1 not seen any more")).to_be_visible()


@pytest.mark.usefixtures("answer")
def test_an_outage_keeps_the_page_says_how_old_it_is_and_ends_by_itself(
    page: Page, complaints: Complaints
) -> None:
    complaints.allow("503")
    open_view(page, PATH)
    expect(page.get_by_text("Current to 2 s")).to_be_visible()
    refusal = {"detail": "The database cannot be reached"}

    def refuse(route: Route) -> None:
        route.fulfill(status=503, json=refusal, headers={"Retry-After": "1"})

    page.route(API, refuse)
    page.route(
        "**/ready",
        lambda route: route.fulfill(
            status=503, json={"detail": "The database does not answer", "broker": "ok"}
        ),
    )

    expect(page.get_by_role("alert")).to_contain_text("The database cannot be reached")
    expect(page.get_by_text(re.compile(r"^From \d+ s ago$"))).to_be_visible()
    expect(page.locator('[data-queue="lifecycle"]')).to_be_visible()
    expect(light(page, "database")).to_contain_text("The database does not answer")
    expect(light(page, "ecs")).to_contain_text("Not known now")
    assert axe(page) == []

    page.unroute(API)
    page.unroute("**/ready")

    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_text("Current to 2 s")).to_be_visible()
    expect(light(page, "database")).to_contain_text("works")


@pytest.mark.usefixtures("answer")
def test_a_broker_that_is_away_says_what_that_means(page: Page) -> None:
    def away(state: Any) -> None:
        state["lights"][1] |= {
            "ok": False,
            "detail": "The broker is not available. Commands are still accepted",
        }

    serve(page, away)
    open_view(page, PATH)

    first = page.locator(".light").first
    expect(first).to_contain_text("Broker")
    expect(first).to_contain_text("away")
    expect(first).to_contain_text("Commands are still accepted")


@pytest.mark.usefixtures("answer")
def test_the_budget_shows_what_is_used_and_what_waits(page: Page) -> None:
    def busy(state: Any) -> None:
        state["budget"] = [
            {
                "group": "service_changes",
                "per_second": 5,
                "burst": 50,
                "used_per_second": 4.5,
                "waiting": 30,
                "throttled_10_min": 2,
                "eta_s": 7,
            }
        ]

    serve(page, busy)
    open_view(page, PATH)

    row = page.locator('[data-group="service_changes"]')
    expect(row).to_contain_text("4.5 of 5")
    expect(row).to_contain_text("30, about 7 s")
    expect(row.get_by_role("meter")).to_have_attribute("value", "4.5")


@pytest.mark.usefixtures("answer", "open_command")
def test_an_admin_sees_the_organizations_and_goes_to_one(new_page: NewPage, stack_token: StackToken) -> None:
    page = new_page(stack_token(role="admin"))
    open_view(page, PATH)

    panel = page.get_by_role("region", name="Open commands by organization")
    expect(panel.get_by_role("link", name="demo")).to_have_attribute("href", "/dashboard?organization=demo")


@pytest.mark.usefixtures("answer", "open_command")
def test_a_page_that_is_refreshed_keeps_the_focus_and_what_is_unfolded(page: Page) -> None:
    open_view(page, PATH)
    details = page.locator("details")
    details.locator("summary").focus()
    is_open = details.get_attribute("open") is not None
    details.locator("summary").press("Enter")

    with page.expect_response(API):
        pass
    with page.expect_response(API):
        pass

    expect(details.locator("summary")).to_be_focused()
    assert (details.get_attribute("open") is not None) is not is_open


@pytest.mark.usefixtures("answer", "lost_worker", "open_command")
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_view_is_accessible_in_both_themes_and_fits_a_phone(
    new_page: NewPage, size: dict[str, int]
) -> None:
    page = new_page(viewport=size)
    open_view(page, PATH)
    expect(page.locator('[data-queue="lifecycle"]')).to_be_visible()

    assert axe_in_both_themes(page) == []
    assert width_of_content(page) <= size["width"]
