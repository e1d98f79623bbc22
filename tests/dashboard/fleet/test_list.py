"""The table of the fleet: counts, filters, sort, pages and what stands in their place."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.browser import PHONE, Complaints, axe, axe_in_both_themes, open_view, width_of_content
from tests.dashboard.conftest import NewPage
from tests.dashboard.fleet.conftest import Own, query_of, rows
from tests.support.stack import Stack


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


def test_a_count_of_a_link_lists_as_many_chargers_as_it_says(page: Page) -> None:
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


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_the_fleet_has_no_serious_violation(new_page: NewPage, size: str) -> None:
    options = {"viewport": PHONE, "has_touch": True, "is_mobile": True} if size == "phone" else {}
    page = new_page(**options)
    open_view(page, "/dashboard?limit=25")
    expect(rows(page)).to_have_count(25)

    page.locator(".fleet-table tbody input[type=checkbox]").first.check()

    assert axe_in_both_themes(page) == []
    assert width_of_content(page) <= (PHONE["width"] if size == "phone" else 1280)


def test_an_organization_without_chargers_says_what_a_charger_is(own: Own, stack: Stack) -> None:
    open_view(own.page)

    expect(own.page.get_by_role("heading", name="No chargers yet")).to_be_visible()
    expect(own.page.locator("pre")).to_contain_text(f"curl -X POST {stack.api_url}/ocpp/chargers")
    assert axe(own.page) == []
