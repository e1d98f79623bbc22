"""Rows of the fleet that change while one reads them, and an API that is away."""

import re
from urllib.parse import urlsplit

from playwright.sync_api import expect

from tests.dashboard.browser import Complaints, axe, open_view
from tests.dashboard.conftest import NewPage
from tests.dashboard.fleet.conftest import Own, row, rows
from tests.support.proxy import TcpProxy
from tests.support.stack import Stack


def test_a_changed_row_changes_in_place_and_keeps_the_focus(own: Own) -> None:
    own.insert(1, "ONE-", runs=True, link="accepted")
    own.open()
    stop = own.page.get_by_role("button", name="Stop ONE-0001")
    stop.focus()

    own.client.put(f"/ocpp/chargers/{own.id_of('ONE-0001')}", json={"name": "Bay of one"}).raise_for_status()

    expect(row(own.page, "ONE-0001")).to_contain_text("Bay of one")
    expect(stop).to_be_focused()


def test_a_row_that_no_longer_matches_stays_and_says_so_until_the_next_load(own: Own) -> None:
    own.insert(2, "OUT-", location="out")
    own.open("?location_id=out&observed=stopped")
    expect(rows(own.page)).to_have_count(2)

    own.change("OUT-0001", "desired_count = 1, running_count = 1")

    expect(row(own.page, "OUT-0001")).to_contain_text("no longer matches")
    expect(own.page.get_by_role("button", name=re.compile("^1 .*running"))).to_be_visible()
    expect(own.page.get_by_role("button", name=re.compile("^1 .*stopped"))).to_be_visible()
    own.page.reload()
    expect(rows(own.page)).to_have_count(1)


def test_new_chargers_wait_behind_a_bar_and_removed_ones_are_struck(own: Own) -> None:
    own.insert(2, "NEW-", location="new")
    own.open("?location_id=new&sort=identity")
    expect(rows(own.page)).to_have_count(2)
    bar = own.page.get_by_role("button", name="3 new chargers, show")

    own.insert(1, "OTHER-", location="elsewhere")
    own.insert(3, "NEW-LATER-", location="new")
    expect(bar).to_be_visible()
    expect(rows(own.page)).to_have_count(2)
    bar.click()
    expect(rows(own.page)).to_have_count(5)
    expect(bar).to_be_hidden()

    own.client.delete(f"/ocpp/chargers/{own.id_of('NEW-0002')}").raise_for_status()
    expect(row(own.page, "NEW-0002")).to_contain_text("removed")


def test_the_first_charger_of_an_organization_comes_without_a_reload(own: Own) -> None:
    own.open()
    expect(own.page.get_by_role("heading", name="No chargers yet")).to_be_visible()

    own.insert(1, "FIRST-")

    expect(row(own.page, "FIRST-0001")).to_be_visible()
    expect(own.page.get_by_role("heading", name="No chargers yet")).to_have_count(0)


def test_a_row_that_is_not_observed_any_more_becomes_stale_without_an_event(own: Own) -> None:
    own.insert(1, "OLD-", runs=True, link="accepted")
    own.change("OLD-0001", "observed_at = now() - interval '170 seconds'")
    own.open()
    expect(rows(own.page)).to_have_count(1)

    expect(row(own.page, "OLD-0001")).to_contain_text("stale: seen", timeout=30_000)


def test_a_stale_row_that_is_observed_again_recovers_without_an_event(own: Own) -> None:
    own.insert(1, "OLD-", runs=True, link="accepted")
    own.change("OLD-0001", "observed_at = now() - interval '1 hour'")
    own.open()
    expect(row(own.page, "OLD-0001")).to_contain_text("stale: seen")

    own.change("OLD-0001", "observed_at = now()")

    expect(row(own.page, "OLD-0001")).not_to_contain_text("stale", timeout=30_000)


def test_while_the_api_is_away_rows_stay_and_actions_say_why_until_it_is_back(
    new_page: NewPage, stack: Stack, complaints: Complaints
) -> None:
    complaints.allow("Failed to load resource")
    proxy = TcpProxy(urlsplit(stack.api_url).port or 0)
    try:
        complaints.origin = f"http://127.0.0.1:{proxy.port}"
        page = new_page(base_url=complaints.origin)
        open_view(page, "/dashboard?q=FL-RUN-0003")
        expect(page.locator(".live-status")).to_contain_text("live")
        stop = page.get_by_role("button", name="Stop FL-RUN-0003")
        note = page.get_by_role("alert").filter(has_text="The rows are as of")
        expect(rows(page)).to_have_count(1)

        proxy.cut()
        expect(note).to_be_visible()
        expect(rows(page)).to_have_count(1)
        expect(stop).to_have_attribute("aria-disabled", "true")
        stop.click(force=True)
        expect(page.locator(".toast.failed")).to_contain_text("Actions work again when it does")
        assert axe(page) == []
        page.get_by_role("searchbox").fill("FL-RUN-0004")
        expect(page.get_by_role("alert").filter(has_text="Nothing was lost")).to_be_visible()
        expect(row(page, "FL-RUN-0003")).to_be_visible()
        proxy.heal()

        expect(row(page, "FL-RUN-0004")).to_be_visible(timeout=30_000)
        expect(note).to_be_hidden(timeout=30_000)
        expect(page.get_by_role("button", name="Stop FL-RUN-0004")).not_to_have_attribute(
            "aria-disabled", "true"
        )
    finally:
        proxy.close()
