"""The pane of a log while a charger exchanges frames with a CSMS that answers late, wrongly or never."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.browser import open_view
from tests.dashboard.chargers import created
from tests.dashboard.odd_csms import HOSTILE, OddCsms

WITHIN_MS = 60_000  # until a charger has started, and its log has been read
MORE = re.compile(r"([0-9]+) more entries while you read · jump to now")


@pytest.fixture(scope="module")
def charger_id(client: httpx.Client) -> Iterator[str]:
    with OddCsms() as csms:
        charger_id, _ = created(client, csms.url)
        yield charger_id
        client.delete(f"/ocpp/chargers/{charger_id}")


@pytest.fixture
def pane(page: Page, charger_id: str) -> Locator:
    open_view(page, f"/dashboard/chargers/{charger_id}")
    pane = page.locator("section.frames")
    expect(rows(pane, "GetConfiguration").first).to_be_visible(timeout=WITHIN_MS)
    return pane


def rows(pane: Locator, action: str) -> Locator:
    return pane.locator(".frame-row").filter(has=pane.page.get_by_role("button", name=action, exact=True))


def test_exchanges_come_as_they_happen(pane: Locator) -> None:
    boot = rows(pane, "BootNotification")
    statuses = rows(pane, "StatusNotification")

    expect(boot).to_contain_text(re.compile(r"Accepted ([7-9][0-9]{2} ms|[0-9.]+ s)"), timeout=WITHIN_MS)
    expect(statuses.first).to_contain_text("CALLERROR InternalError", timeout=WITHIN_MS)
    expect(statuses.nth(1)).to_contain_text(re.compile(r"no answer, [0-9]+ s"), timeout=WITHIN_MS)
    expect(rows(pane, "GetConfiguration").first.locator(".frame-arrow")).to_contain_text("from the CSMS")
    statuses.first.get_by_role("button", name="StatusNotification").click()
    expect(statuses.first.locator("pre").last).to_contain_text(HOSTILE)
    expect(pane.locator("img, script")).to_have_count(0)


def test_a_paused_log_collects_what_comes_and_then_shows_it(page: Page, pane: Locator) -> None:
    expect(pane.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    page.keyboard.press("p")
    expect(pane.get_by_role("button", name="Resume")).to_be_visible()
    shown = pane.locator(".frame-row").count()

    expect(pane.get_by_role("button", name=MORE)).to_be_visible(timeout=WITHIN_MS)
    assert pane.locator(".frame-row").count() == shown
    pane.get_by_role("button", name=MORE).click()

    expect(pane.locator(".frame-row").nth(shown)).to_be_attached()
    expect(pane.get_by_role("button", name="Pause", exact=True)).to_be_visible()


def test_scrolling_up_pauses_and_reaching_the_end_goes_on(page: Page, pane: Locator) -> None:
    expect(rows(pane, "GetConfiguration").nth(20)).to_be_attached(timeout=WITHIN_MS)
    pane.locator(".frames-box").hover()

    page.mouse.wheel(0, -400)
    expect(pane.get_by_role("button", name="Resume")).to_be_visible()
    expect(pane.get_by_role("button", name=MORE)).to_be_visible(timeout=WITHIN_MS)
    page.mouse.wheel(0, 5000)

    expect(pane.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    expect(pane.get_by_role("button", name=MORE)).to_be_hidden()
