"""The table of the fleet on an API without workers: filters, pages, sort, selection, keys, and rows that change."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import Engine, text

from shared.database.engine import make_engine
from tests.dashboard.browser import PHONE, Complaints, axe, open_view, width_of_content
from tests.dashboard.conftest import NewPage, StackToken
from tests.dashboard.rows import insert_rows
from tests.support.api_server import running_api
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def engine(new_database: Callable[[], str]) -> Iterator[Engine]:
    engine = make_engine(new_database())
    insert_rows(engine, 240, prefix="FL-STOP-", location="hub")
    insert_rows(engine, 3, prefix="FL-GONE-", runs=True, link="disconnected")
    insert_rows(engine, 7, prefix="FL-RUN-", runs=True, link="accepted")
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def stack(engine: Engine, redis_url: str, server_folder: Path) -> Iterator[Stack]:
    """The API alone: no worker changes its rows."""
    folder = server_folder / "fleet"
    database_url = engine.url.render_as_string(hide_password=False)
    broker_url = f"{redis_url.removesuffix('/0')}/3"
    with running_api(database_url, broker_url, folder, WEB_CONCURRENCY="1") as url:
        yield Stack(url, "", database_url, broker_url, {}, folder)


@pytest.fixture
def client(stack: Stack, stack_token: StackToken) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {stack_token()}"}
    with httpx.Client(base_url=stack.api_url, headers=headers) as client:
        yield client


def rows(page: Page) -> Locator:
    return page.locator(".fleet-table tbody tr")


def row(page: Page, identity: str) -> Locator:
    return rows(page).filter(has=page.get_by_role("link", name=identity, exact=True))


def query_of(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_what_needs_attention_comes_first_and_says_why(page: Page) -> None:
    open_view(page)

    expect(rows(page)).to_have_count(100)
    expect(rows(page).first).to_contain_text("FL-GONE-")
    expect(rows(page).first).to_contain_text("disconnected")
    expect(page.get_by_role("button", name="3 need attention")).to_be_visible()
    expect(page.locator(".fleet-range")).to_have_text("1 to 100 of 250")


def test_a_count_is_a_filter_that_back_and_reload_keep(page: Page) -> None:
    open_view(page)
    count = page.get_by_role("button", name=re.compile("10 .*running"))

    count.click()

    expect(rows(page)).to_have_count(10)
    expect(count).to_have_attribute("aria-pressed", "true")
    assert query_of(page) == {"observed": ["running"]}
    page.reload()
    expect(rows(page)).to_have_count(10)
    page.go_back()
    expect(rows(page)).to_have_count(100)
    expect(count).to_have_attribute("aria-pressed", "false")


def test_a_count_of_a_link_lists_as_many_chargers_as_it_says(page: Page, engine: Engine) -> None:
    open_view(page)

    page.get_by_role("button", name=re.compile("3 .*disconnected")).click()

    expect(rows(page)).to_have_count(3)


def test_each_filter_is_a_chip_that_can_be_taken_off(page: Page) -> None:
    open_view(page, "/dashboard?q=FL-&location_id=hub&observed=running,stopped")

    page.get_by_role("button", name="Remove the filter state: running").click()
    expect(page.get_by_role("button", name="Remove the filter state: running")).to_have_count(0)
    assert query_of(page) == {"q": ["FL-"], "location_id": ["hub"], "observed": ["stopped"]}
    page.get_by_role("button", name="Clear all").click()

    expect(page.locator(".fleet-range")).to_have_text("1 to 100 of 250")
    assert query_of(page) == {}


def test_a_filter_whose_value_does_not_exist_any_more_can_be_taken_off(
    page: Page, complaints: Complaints
) -> None:
    complaints.allow("422")  # the browser writes it to its console
    open_view(page, "/dashboard?observed=sleeping&brand_slug=gone")

    expect(page.get_by_role("alert").filter(has_text="observed")).to_be_visible()
    page.get_by_role("button", name="Remove the filter state: sleeping").click()
    expect(page.get_by_role("heading", name="No charger matches")).to_be_visible()
    page.get_by_role("button", name="Remove the filter brand: gone").click()

    expect(rows(page)).to_have_count(100)
    expect(page.get_by_role("alert").filter(has_text="observed")).to_have_count(0)


def test_typing_searches_once_and_the_newest_text_wins(page: Page) -> None:
    open_view(page)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))

    page.get_by_role("searchbox").press_sequentially("fl-run-0003")

    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("FL-RUN-0003")
    assert query_of(page) == {"q": ["fl-run-0003"]}
    assert len([url for url in requests if "/ocpp/chargers?" in url]) <= 3


def test_a_head_sorts_and_says_so(page: Page) -> None:
    open_view(page)

    page.get_by_role("button", name="Charger", exact=True).click()
    expect(page.get_by_role("columnheader", name="Charger")).to_have_attribute("aria-sort", "ascending")
    expect(rows(page).first).to_contain_text("FL-GONE-0001")
    page.get_by_role("button", name=re.compile("^Charger")).click()

    expect(page.get_by_role("columnheader", name="Charger")).to_have_attribute("aria-sort", "descending")
    expect(rows(page).first).to_contain_text("FL-STOP-0240")
    assert query_of(page) == {"sort": ["-identity"]}


def test_pages_are_numbered_and_those_beyond_the_end_lead_to_the_last(page: Page) -> None:
    open_view(page)

    page.get_by_role("button", name="Page 3").click()
    expect(page.locator(".fleet-range")).to_have_text("201 to 250 of 250")
    expect(rows(page)).to_have_count(50)
    page.get_by_role("combobox", name="Rows on a page").select_option("25 rows")
    expect(page.locator(".fleet-range")).to_have_text("1 to 25 of 250")
    page.goto("/dashboard?page=99")

    expect(page.locator(".fleet-range")).to_have_text("201 to 250 of 250")
    assert query_of(page) == {"page": ["3"]}


def test_a_range_is_selected_with_the_shift_key(page: Page) -> None:
    open_view(page, "/dashboard?sort=identity")
    boxes = page.locator(".fleet-table tbody input[type=checkbox]")

    boxes.nth(1).check()
    boxes.nth(5).click(modifiers=["Shift"])

    expect(page.locator("tbody input:checked")).to_have_count(5)
    expect(page.get_by_text("5 selected")).to_be_visible()


def test_all_that_match_are_selected_in_a_second_step_only(page: Page) -> None:
    open_view(page, "/dashboard?observed=stopped")
    every = page.get_by_role("button", name="Select all 240 chargers that match")

    page.get_by_role("checkbox", name="Select the page").check()
    expect(page.get_by_text("100 selected")).to_be_visible()
    every.click()
    expect(page.get_by_text("240 selected: all that match")).to_be_visible()
    page.get_by_role("button", name="Remove the filter state: stopped").click()

    expect(page.get_by_role("toolbar", name="Selected chargers")).to_be_hidden()


def test_keys_move_through_the_rows_select_and_open(page: Page) -> None:
    open_view(page, "/dashboard?sort=identity")
    expect(rows(page)).to_have_count(100)

    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(row(page, "FL-GONE-0002")).to_be_focused()
    page.keyboard.press("x")
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.keyboard.press("k")
    page.keyboard.press("Space")
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    row(page, "FL-GONE-0001").focus()
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile("/dashboard/chargers/dep-"))


def test_a_key_opens_a_question_and_enter_does_not_answer_it(page: Page, client: httpx.Client) -> None:
    open_view(page, "/dashboard?q=FL-RUN-0001")
    expect(rows(page)).to_have_count(1)
    page.keyboard.press("j")

    page.keyboard.press("s")
    expect(page.get_by_role("dialog", name="Stop FL-RUN-0001?")).to_be_visible()
    page.keyboard.press("Enter")

    expect(page.get_by_role("dialog")).to_have_count(0)
    (charger,) = client.get("/ocpp/chargers", params={"q": "FL-RUN-0001"}).json()["data"]
    assert charger["runtime"]["desired"] == "running"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_the_fleet_has_no_serious_violation(new_page: NewPage, theme: str, size: str) -> None:
    options = {"viewport": PHONE, "has_touch": True, "is_mobile": True} if size == "phone" else {}
    page = new_page(color_scheme=theme, **options)
    open_view(page, "/dashboard?limit=25")
    expect(rows(page)).to_have_count(25)

    page.locator(".fleet-table tbody input[type=checkbox]").first.check()

    assert axe(page) == []
    assert width_of_content(page) <= (PHONE["width"] if size == "phone" else 1280)


def test_an_organization_without_chargers_says_what_a_charger_is(
    new_page: NewPage, stack: Stack, stack_token: StackToken
) -> None:
    page = new_page(stack_token("nobody"))
    open_view(page)

    expect(page.get_by_role("heading", name="No chargers yet")).to_be_visible()
    expect(page.locator("pre")).to_contain_text(f"curl -X POST {stack.api_url}/ocpp/chargers")
    assert axe(page) == []


def test_a_changed_row_changes_in_place_and_keeps_the_focus(page: Page, client: httpx.Client) -> None:
    open_view(page, "/dashboard?q=FL-RUN-0002")
    stop = page.get_by_role("button", name="Stop FL-RUN-0002")
    stop.focus()
    expect(page.locator(".live-status")).to_contain_text("live")

    (charger,) = client.get("/ocpp/chargers", params={"q": "FL-RUN-0002"}).json()["data"]
    client.put(f"/ocpp/chargers/{charger['id']}", json={"name": "Bay of FL-RUN-0002"}).raise_for_status()

    expect(row(page, "FL-RUN-0002")).to_contain_text("Bay of FL-RUN-0002")
    expect(stop).to_be_focused()


def test_a_row_that_no_longer_matches_stays_and_says_so_until_the_next_load(
    page: Page, engine: Engine
) -> None:
    insert_rows(engine, 2, prefix="OUT-", location="out")
    open_view(page, "/dashboard?location_id=out&observed=stopped")
    expect(rows(page)).to_have_count(2)
    expect(page.locator(".live-status")).to_contain_text("live")

    with engine.begin() as connection:
        connection.execute(
            text("UPDATE chargers SET desired_count = 1, running_count = 1 WHERE identity = 'OUT-0001'")
        )

    expect(row(page, "OUT-0001")).to_contain_text("no longer matches")
    expect(page.get_by_role("button", name=re.compile("1 .*running"))).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("1 .*stopped"))).to_be_visible()
    page.reload()
    expect(rows(page)).to_have_count(1)


def test_new_chargers_wait_behind_a_bar_and_removed_ones_are_struck(
    page: Page, engine: Engine, client: httpx.Client
) -> None:
    insert_rows(engine, 2, prefix="NEW-", location="new")
    open_view(page, "/dashboard?location_id=new&sort=identity")
    expect(rows(page)).to_have_count(2)
    expect(page.locator(".live-status")).to_contain_text("live")

    insert_rows(engine, 3, prefix="NEW-LATER-", location="new")
    expect(page.get_by_role("button", name="3 new chargers, show")).to_be_visible()
    expect(rows(page)).to_have_count(2)
    page.get_by_role("button", name="3 new chargers, show").click()
    expect(rows(page)).to_have_count(5)

    (charger,) = client.get("/ocpp/chargers", params={"identity": "NEW-0002"}).json()["data"]
    client.delete(f"/ocpp/chargers/{charger['id']}").raise_for_status()

    expect(row(page, "NEW-0002")).to_contain_text("removed")


def test_a_row_that_is_not_observed_any_more_becomes_stale_without_an_event(
    page: Page, engine: Engine
) -> None:
    insert_rows(engine, 1, prefix="OLD-", location="old", runs=True, link="accepted")
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE chargers SET observed_at = now() - interval '176 seconds' WHERE identity = 'OLD-0001'"
            )
        )
    open_view(page, "/dashboard?location_id=old")
    expect(rows(page)).to_have_count(1)

    expect(row(page, "OLD-0001")).to_contain_text("stale: seen 3 min ago")

    with engine.begin() as connection:
        connection.execute(
            text("UPDATE chargers SET observed_at = now(), name = 'Seen' WHERE identity = 'OLD-0001'")
        )
    expect(row(page, "OLD-0001")).not_to_contain_text("stale")
