"""Selecting rows of the fleet, and the keys."""

import re

from playwright.sync_api import Page, expect

from tests.dashboard.browser import open_view
from tests.dashboard.fleet.conftest import Own, row, rows


def test_a_range_is_selected_with_the_shift_key(page: Page) -> None:
    open_view(page, "/dashboard?sort=identity")
    boxes = page.locator(".fleet-table tbody input[type=checkbox]")

    boxes.nth(1).check()
    boxes.nth(5).click(modifiers=["Shift"])

    expect(page.locator("tbody input:checked")).to_have_count(5)
    expect(page.get_by_text("5 selected")).to_be_visible()


def test_all_that_match_are_selected_in_a_second_step_only(page: Page) -> None:
    open_view(page, "/dashboard?observed=stopped")
    expect(rows(page)).to_have_count(100)
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


def test_a_key_opens_a_question_and_enter_does_not_answer_it(own: Own) -> None:
    own.insert(1, "KEY-", runs=True, link="accepted")
    own.open()
    expect(rows(own.page)).to_have_count(1)
    own.page.keyboard.press("j")

    own.page.keyboard.press("s")
    expect(own.page.get_by_role("dialog", name="Stop KEY-0001?")).to_be_visible()
    own.page.keyboard.press("Enter")

    expect(own.page.get_by_role("dialog")).to_have_count(0)
    charger = own.client.get(f"/ocpp/chargers/{own.id_of('KEY-0001')}").json()
    assert charger["runtime"]["desired"] == "running"
    expect(row(own.page, "KEY-0001")).to_be_focused()
