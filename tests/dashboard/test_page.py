"""What all views have in common: the header, keys, themes, errors, and the way between views."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.dashboard.browser import PHONE, Complaints, evaluate, open_view
from tests.dashboard.conftest import NewPage


def heading(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Fleet", "/dashboard"),
        ("Locations", "/dashboard/locations"),
        ("Jobs", "/dashboard/jobs"),
        ("Operations", "/dashboard/operations"),
    ],
)
def test_the_header_leads_to_each_view_without_loading_the_page_again(
    page: Page, name: str, path: str
) -> None:
    open_view(page, "/dashboard/no/such/page")
    evaluate(page, "globalThis.kept = true")

    page.get_by_role("link", name=name, exact=True).click()

    heading(page, name)
    expect(page).to_have_url(re.compile(f"{path}$"))
    expect(page).to_have_title(f"{name} · Chargehand")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.get_by_role("link", name=name, exact=True)).to_have_attribute("aria-current", "page")
    assert evaluate(page, "kept")


def test_back_and_forward_show_the_views_again(page: Page) -> None:
    open_view(page)
    page.get_by_role("link", name="Jobs").click()
    heading(page, "Jobs")

    page.go_back()
    heading(page, "Fleet")
    page.go_forward()

    heading(page, "Jobs")


def test_an_unknown_address_says_so(page: Page) -> None:
    open_view(page, "/dashboard/no/such/page")

    heading(page, "No such page")
    expect(page.get_by_text("/dashboard/no/such/page")).to_be_visible()


def test_the_first_tab_stop_skips_the_header(page: Page) -> None:
    open_view(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()

    page.keyboard.press("Enter")

    expect(page.get_by_role("main")).to_be_focused()


def test_keys_lead_to_the_views_and_help_lists_them(page: Page) -> None:
    open_view(page)
    page.keyboard.press("g")
    page.keyboard.press("o")
    heading(page, "Operations")

    page.keyboard.press("?")

    help_dialog = page.get_by_role("dialog", name="Help")
    expect(help_dialog.get_by_text("go to the fleet")).to_be_visible()
    page.keyboard.press("Escape")
    expect(help_dialog).to_have_count(0)


def test_single_keys_can_be_switched_off(page: Page) -> None:
    open_view(page)
    page.get_by_role("button", name="Help").click()
    page.get_by_label("Single keys act").uncheck()
    page.keyboard.press("Escape")

    page.keyboard.press("g")
    page.keyboard.press("o")
    page.keyboard.press("?")

    heading(page, "Fleet")
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize(("theme", "ground"), [("Light", "rgb(255, 255, 255)"), ("Dark", "rgb(17, 22, 28)")])
def test_a_chosen_theme_wins_over_the_systems_and_survives_a_reload(
    new_page: NewPage, theme: str, ground: str
) -> None:
    page = new_page(color_scheme="dark" if theme == "Light" else "light")
    open_view(page)

    page.get_by_label("Theme").select_option(theme)
    expect(page.locator("body")).to_have_css("background-color", ground)
    page.reload()

    expect(page.locator("body")).to_have_css("background-color", ground)
    page.get_by_label("Theme").select_option("System")
    expect(page.locator("body")).not_to_have_css("background-color", ground)


def test_a_phone_has_the_views_in_a_menu(new_page: NewPage) -> None:
    page = new_page(viewport=PHONE)
    open_view(page)
    expect(page.get_by_role("link", name="Jobs")).to_be_hidden()

    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Jobs").click()

    heading(page, "Jobs")
    expect(page.get_by_role("link", name="Jobs")).to_be_hidden()


def test_a_view_that_the_network_cuts_off_comes_by_itself(page: Page, complaints: Complaints) -> None:
    complaints.allow("ERR_INTERNET_DISCONNECTED")
    open_view(page, "/dashboard/no/such/page")
    page.context.set_offline(True)
    page.get_by_role("link", name="Jobs").click()
    heading(page, "Not connected")
    expect(page.get_by_text("Tried again in")).to_be_visible()

    page.context.set_offline(False)

    expect(page.get_by_role("heading", name=re.compile("Jobs|Reload the page"), level=1)).to_be_visible()


def test_a_page_of_an_older_release_says_that_it_has_to_be_loaded_again(
    page: Page, complaints: Complaints
) -> None:
    """An upgrade takes away the files of the old version."""
    complaints.allow("404 (NOT FOUND)")
    open_view(page, "/dashboard/no/such/page")
    page.route("**/js/jobs/list.js", older)

    page.get_by_role("link", name="Jobs").click()

    heading(page, "Reload the page")
    page.unroute("**/js/jobs/list.js")
    page.get_by_role("button", name="Reload").click()
    heading(page, "Jobs")


def older(route: Route) -> None:
    path = re.sub("assets/[0-9a-f]+", "assets/0123456789abcdef", route.request.url)
    route.fulfill(response=route.fetch(url=path))
