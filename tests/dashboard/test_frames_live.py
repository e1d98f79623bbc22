"""The pane of a log while a charger exchanges frames with a CSMS that answers late, wrongly or never."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.browser import open_view
from tests.dashboard.chargers import created
from tests.dashboard.odd_csms import BOOT_ANSWERED_AFTER_S, HOSTILE, OddCsms

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


def boot_took_ms(client: httpx.Client, charger_id: str) -> int:
    """The time between the two log entries of the boot.

    An entry has the time at which ECS has read the line, as the log driver of Docker sets it. If it reads the call some
    milliseconds late, this is so much less than the CSMS has waited.
    """
    log = f"/ocpp/chargers/{charger_id}/logs?event=BootNotification"
    answered_at, called_at = (
        datetime.fromisoformat(entry["timestamp"]) for entry in client.get(log).json()["data"]
    )
    return round((answered_at - called_at) / timedelta(milliseconds=1))


def shown(duration_ms: int) -> str:
    return f"{duration_ms} ms" if duration_ms < 1000 else f"{(duration_ms + 50) // 100 / 10:g} s"


def test_exchanges_come_as_they_happen(pane: Locator, client: httpx.Client, charger_id: str) -> None:
    boot = rows(pane, "BootNotification")
    statuses = rows(pane, "StatusNotification")

    expect(boot).to_contain_text("Accepted", timeout=WITHIN_MS)
    took_ms = boot_took_ms(client, charger_id)
    assert took_ms > BOOT_ANSWERED_AFTER_S * 1000 / 2
    expect(boot).to_contain_text(f"Accepted {shown(took_ms)}")
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
