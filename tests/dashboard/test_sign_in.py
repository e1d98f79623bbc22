"""Signing in and out."""

from playwright.sync_api import Page, expect

from tests.dashboard.browser import axe, open_view
from tests.dashboard.conftest import NewPage, StackToken


def test_a_pasted_token_opens_the_view_of_the_address(new_page: NewPage, stack_token: StackToken) -> None:
    page = new_page(None)
    open_view(page, "/dashboard/jobs")

    page.get_by_label("Token").fill(f"Bearer {stack_token()}\n")
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    expect(page.get_by_text("Organization demo")).to_be_visible()


def test_the_fleet_opens_without_a_serious_violation(page: Page) -> None:
    open_view(page)

    expect(page.get_by_role("heading", name="Fleet", level=1)).to_be_visible()
    assert axe(page) == []
