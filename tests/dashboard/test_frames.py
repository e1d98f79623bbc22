"""The pane of a charger's log on an API without workers: exchanges, filters, search, older pages, copies, hostile text."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect
from sqlalchemy import Engine, text

from shared.database.engine import Sessions, make_engine
from tests.dashboard.browser import DESKTOP, PHONE, axe_in_both_themes, open_view, width_of_content
from tests.dashboard.conftest import NewPage
from tests.dashboard.rows import insert_rows
from tests.support.api_server import running_api
from tests.support.log_entries import Row, connection, frame, remark, write_entries
from tests.support.stack import Stack
from worker.logs.partitions import ensure_partitions

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
HOUR = 3600
#: Lets the stream begin again, with a snapshot, from the module that the page itself uses.
STREAM_AGAIN = """async (watched) => {
    const app = document.querySelector('script[type="module"]').src;
    const { live } = await import(new URL('live.js', app));
    live.watch(watched, {});
}"""


@pytest.fixture(scope="module")
def engine(new_database: Callable[[], str]) -> Iterator[Engine]:
    engine = make_engine(new_database())
    insert_rows(engine, 4, prefix="FR-", runs=True, link="accepted")
    with Sessions(engine).begin() as session:
        ensure_partitions(session, {(datetime.now(UTC) - timedelta(days=days)).date() for days in (-1, 0, 1)})
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def stack(engine: Engine, redis_url: str, server_folder: Path) -> Iterator[Stack]:
    """The API alone: no worker writes more."""
    folder = server_folder / "frames"
    database_url = engine.url.render_as_string(hide_password=False)
    broker_url = f"{redis_url.removesuffix('/0')}/4"
    with running_api(database_url, broker_url, folder) as url:
        yield Stack(url, "", database_url, broker_url, {}, folder)


class Written:
    """The log of a charger of these tests."""

    def __init__(self, engine: Engine, identity: str) -> None:
        self.identity = identity
        self._sessions = Sessions(engine)
        with engine.connect() as found:
            query = text("SELECT id FROM chargers WHERE identity = :identity")
            self.charger_id: str = found.scalars(query, {"identity": identity}).one()

    @property
    def path(self) -> str:
        return f"/dashboard/chargers/{self.charger_id}"

    def write(self, *rows: tuple[float, Row]) -> None:
        """Store rows, each with its age in seconds, as the log reader does."""
        now = datetime.now(UTC)
        aged = [row | {"timestamp": now - timedelta(seconds=age_s)} for age_s, row in rows]
        write_entries(self._sessions, self.charger_id, aged)
        with self._sessions.begin() as session:
            session.execute(
                text(
                    "INSERT INTO log_cursors (log_group, read_until_ms, read_through) VALUES ('group', 1, now())"
                    " ON CONFLICT (log_group) DO UPDATE SET updated_at = now(), read_through = now()"
                )
            )


def call(id_: str, action: str, payload: Any, *, to_csms: bool = True) -> Row:
    return frame(0, f"call-{id_}", json.dumps([2, id_, action, payload]), action=action, to_csms=to_csms)


def result(id_: str, action: str, payload: Any, *, to_csms: bool = False) -> Row:
    return frame(0, f"result-{id_}", json.dumps([3, id_, payload]), action=action, to_csms=to_csms)


def error(id_: str, action: str, code: str, description: str = "", *, to_csms: bool = False) -> Row:
    message = json.dumps([4, id_, code, description, {}])
    return frame(0, f"error-{id_}", message, action=action, to_csms=to_csms)


@pytest.fixture(scope="module")
def story(engine: Engine) -> Written:
    """A charger that boots, gets an error, a late answer and none at all, and is disconnected."""
    log = Written(engine, "FR-0001")
    log.write(
        (HOUR, connection(0, "up", "connected")),
        (HOUR - 1, call("b", "BootNotification", {"chargePointModel": HOSTILE, "text": "x" * 9000})),
        (HOUR - 1.041, result("b", "BootNotification", {"status": "Accepted", "interval": 300})),
        (HOUR - 2, call("h", "Heartbeat", {})),
        (HOUR - 2.5, result("h", "Heartbeat", {"currentTime": "2026-04-09T12:00:00Z"})),
        (HOUR - 3, call("r", "RemoteStartTransaction", {"idTag": HOSTILE}, to_csms=False)),
        (HOUR - 3.2, error("r", "RemoteStartTransaction", "NotSupported", HOSTILE, to_csms=True)),
        (HOUR - 4, remark(0, "warn", "warning", f"the answer is not valid: {HOSTILE}")),
        (HOUR - 5, call("d", "DataTransfer", {"vendorId": "late"})),
        (HOUR - 17, result("d", "DataTransfer", {"status": "Accepted"})),
        (20, call("s", "StatusNotification", {"connectorId": 1})),
        (19, connection(0, "down", "disconnected", "http_401")),
    )
    return log


def pane(page: Page) -> Locator:
    return page.locator("section.frames")


def rows(page: Page) -> Locator:
    return pane(page).locator(".frame-row")


def row(page: Page, action: str) -> Locator:
    return rows(page).filter(has=page.get_by_role("button", name=action, exact=True))


def query_of(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_a_call_stands_with_its_answer_and_its_latency(page: Page, story: Written) -> None:
    open_view(page, story.path)

    expect(rows(page)).to_have_count(8)
    expect(row(page, "BootNotification")).to_contain_text("Accepted 41 ms")
    expect(row(page, "BootNotification").locator(".frame-arrow")).to_contain_text("to the CSMS")
    expect(row(page, "RemoteStartTransaction")).to_contain_text("CALLERROR NotSupported 200 ms")
    expect(row(page, "RemoteStartTransaction").locator(".frame-arrow")).to_contain_text("from the CSMS")
    expect(row(page, "DataTransfer")).to_contain_text("Accepted 12 s")
    expect(rows(page).first).to_contain_text("connected")
    expect(rows(page).last).to_contain_text("disconnected http_401")
    expect(rows(page).nth(4)).to_contain_text("warning the answer is not valid")


def test_a_call_without_an_answer_counts_on(page: Page, story: Written) -> None:
    open_view(page, story.path)
    status = row(page, "StatusNotification").locator(".frame-status")

    expect(status).to_have_text(re.compile(r"no answer, (\d+ min )?\d+ s"))
    before = status.text_content() or ""

    expect(status).not_to_have_text(before)


def test_a_frame_opens_as_text_whatever_it_contains(page: Page, story: Written) -> None:
    open_view(page, story.path)

    row(page, "BootNotification").get_by_role("button", name="BootNotification").click()

    block = row(page, "BootNotification").locator(".frame-block").first
    expect(block.locator("pre")).to_contain_text(f'"chargePointModel": "{HOSTILE}"')
    expect(block.locator("pre")).not_to_contain_text("x" * 8000)
    block.get_by_role("button", name=re.compile("Show all [0-9,]+ characters")).click()
    expect(block.locator("pre")).to_contain_text("x" * 9000)
    expect(pane(page).locator("img, script")).to_have_count(0)
    expect(pane(page).get_by_role("button", name=re.compile("jump to now"))).to_be_visible()


def test_filters_stand_in_the_address_and_search_the_history(page: Page, story: Written) -> None:
    open_view(page, story.path)

    pane(page).get_by_label("Action").select_option("Heartbeat")
    expect(rows(page)).to_have_count(1)
    expect(row(page, "Heartbeat")).to_contain_text("500 ms")
    assert query_of(page)["event"] == ["Heartbeat"]

    pane(page).get_by_label("Action").select_option("")
    pane(page).get_by_label("Calls").select_option("csms")
    expect(rows(page)).to_have_count(1)
    expect(row(page, "RemoteStartTransaction")).to_be_visible()

    page.reload()
    expect(rows(page)).to_have_count(1)
    pane(page).get_by_role("button", name="Clear filters").click()
    expect(rows(page)).to_have_count(8)
    assert not query_of(page)

    pane(page).get_by_role("button", name="Errors only").click()
    expect(rows(page)).to_have_count(2)
    expect(rows(page).first).to_contain_text("CALLERROR NotSupported")
    page.go_back()


def test_a_late_answer_for_the_filters_of_before_adds_nothing(page: Page, story: Written) -> None:
    open_view(page, story.path)
    expect(rows(page)).to_have_count(8)
    unfiltered = re.compile(r"/logs\?(?!.*event=)")
    held = hold(page, unfiltered)
    with page.expect_request(unfiltered):
        page.evaluate(STREAM_AGAIN, story.charger_id)

    pane(page).get_by_label("Action").select_option("Heartbeat")
    expect(rows(page)).to_have_count(1)
    release(held)
    with page.expect_response(re.compile(r"/logs\?.*event=Heartbeat")):
        page.evaluate(STREAM_AGAIN, story.charger_id)

    expect(rows(page)).to_have_count(1)


def hold(page: Page, url: re.Pattern[str]) -> list[Route]:
    """The requests that the page sends to such URLs from now on, which get no answer yet."""
    held: list[Route] = []

    def note(route: Route) -> None:
        held.append(route)

    page.route(url, note)
    return held


def release(held: list[Route]) -> None:
    """Let requests that were held go on."""
    for route in held:
        route.continue_()


def test_often_repeated_actions_are_hidden_with_one_click(page: Page, story: Written) -> None:
    open_view(page, story.path)

    pane(page).get_by_role("button", name="Hide Heartbeat and MeterValues").click()

    expect(row(page, "Heartbeat")).to_have_count(0)
    expect(rows(page)).to_have_count(7)
    assert query_of(page)["hide"] == ["Heartbeat,MeterValues"]


def test_the_answer_that_a_filter_leaves_out_is_found(page: Page, story: Written) -> None:
    """The text is in the call alone, so nothing is said of its answer."""
    open_view(page, f"{story.path}?q=vendorId")

    expect(rows(page)).to_have_count(1)
    expect(row(page, "DataTransfer").locator(".frame-status")).to_have_text("")
    row(page, "DataTransfer").get_by_role("button", name="DataTransfer").click()
    row(page, "DataTransfer").get_by_role("button", name=re.compile("Show its answer")).click()

    expect(row(page, "DataTransfer").locator("pre").last).to_contain_text('"status": "Accepted"')


def test_an_empty_filter_says_how_much_it_hides(page: Page, story: Written) -> None:
    open_view(page, story.path)

    pane(page).get_by_label("Text").fill("nowhere to be found")

    expect(pane(page)).to_contain_text("No entry matches; 12 are hidden.")
    pane(page).locator(".frames-empty").get_by_role("button", name="Clear filters").click()
    expect(rows(page)).to_have_count(8)


def test_nothing_yet_says_when_the_logs_were_read(page: Page, engine: Engine) -> None:
    open_view(page, Written(engine, "FR-0002").path)

    expect(pane(page)).to_contain_text(
        re.compile(r"No frame yet\. (Logs are read every|The charger's log comes)")
    )


def test_remarks_alone_are_a_filter(page: Page, story: Written) -> None:
    open_view(page, f"{story.path}?kind=remark")

    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text(f"the answer is not valid: {HOSTILE}")
    expect(pane(page).get_by_label("Show")).to_have_value("remark")


@pytest.fixture(scope="module")
def long_log(engine: Engine) -> Written:
    log = Written(engine, "FR-0003")
    log.write(*((HOUR - number, call(f"{number:04}", "Heartbeat", {"n": number})) for number in range(1200)))
    return log


def test_older_entries_are_loaded_a_page_at_a_time(page: Page, long_log: Written) -> None:
    open_view(page, long_log.path)
    older = pane(page).get_by_role("button", name="Load 500 older")

    expect(rows(page)).to_have_count(500)
    older.click()
    expect(rows(page)).to_have_count(1000)
    older.click()
    expect(rows(page)).to_have_count(1200)

    expect(older).to_have_count(0)
    expect(rows(page).first).to_contain_text('"n":0')
    expect(rows(page).last).to_contain_text('"n":1199')


def test_a_late_page_of_older_entries_adds_nothing_to_other_filters(page: Page, long_log: Written) -> None:
    open_view(page, long_log.path)
    expect(rows(page)).to_have_count(500)
    older = re.compile(r"/logs\?.*cursor=")
    held = hold(page, older)
    with page.expect_request(older):
        pane(page).get_by_role("button", name="Load 500 older").click()

    pane(page).get_by_label("Text").fill('"n": 11')
    expect(rows(page)).to_have_count(111)
    release(held)
    with page.expect_response(re.compile(r"/logs\?.*q=")):
        page.evaluate(STREAM_AGAIN, long_log.charger_id)

    expect(rows(page)).to_have_count(111)


def test_what_matches_is_downloaded_as_lines_of_json(page: Page, long_log: Written) -> None:
    open_view(page, f"{long_log.path}?q=%22n%22%3A+11")
    expect(rows(page)).to_have_count(111)

    with page.expect_download() as download:
        pane(page).get_by_role("button", name="Download all that match").click()

    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert download.value.suggested_filename == "FR-0003.ndjson"
    assert [json.loads(json.loads(line)["message"])[3]["n"] for line in lines] == [
        11,
        *range(110, 120),
        *range(1100, 1200),
    ]


def test_a_frame_is_copied_by_key_and_as_json(
    new_context: Callable[..., BrowserContext], new_page: NewPage, story: Written
) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    open_view(page, story.path)
    name = row(page, "Heartbeat").get_by_role("button", name="Heartbeat")
    name.focus()

    page.keyboard.press("y")
    expect(page.locator("#toasts")).to_contain_text("Copied the frame.")
    assert (clipboard(page) or "").splitlines()[0] == '[2, "h", "Heartbeat", {}]'

    name.click()
    row(page, "Heartbeat").get_by_role("button", name="Copy as JSON").first.click()
    expect(page.locator("#toasts")).to_contain_text("Copied the entry as JSON.")
    assert json.loads(clipboard(page) or "")["message_id"] == "h"


def clipboard(page: Page) -> str | None:
    found: str | None = page.evaluate("navigator.clipboard.readText()")
    return found


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_pane_is_accessible_and_fits(new_page: NewPage, story: Written, size: dict[str, int]) -> None:
    page = new_page(viewport=size)
    open_view(page, f"{story.path}?tab=frames")
    row(page, "RemoteStartTransaction").get_by_role("button", name="RemoteStartTransaction").click()

    assert axe_in_both_themes(page) == []
    assert width_of_content(page) <= size["width"]
