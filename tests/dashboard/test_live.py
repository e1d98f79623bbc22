"""The stream of changes in the page: one for all tabs, and honest about what it does not hear."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from tests.dashboard.browser import Complaints, open_view
from tests.dashboard.conftest import StackToken, sign_in
from tests.support.fleet import NEW_CHARGER
from tests.support.proxy import TcpProxy
from tests.support.stack import Stack
from tests.support.waiting import wait_until

#: Notes what a tab hears, from the module that the page itself uses.
LISTEN = """async (watched) => {
    const app = document.querySelector('script[type="module"]').src;
    const { live } = await import(new URL('live.js', app));
    window.heard = { rows: {}, removed: [], ready: [], kinds: [], snapshots: [], commands: [], summary: null };
    live.subscribe({
        charger: (row) => { heard.rows[row.id] = row.name; },
        removed: (id) => { delete heard.rows[id]; heard.removed.push(id); },
        ready: ({ resumed }) => heard.ready.push(resumed),
        summary: (summary) => { heard.summary = summary; },
        status: ({ kind }) => heard.kinds.push(kind),
    });
    for (const id of watched) {
        live.watch(id, {
            snapshot: ({ charger_id }) => heard.snapshots.push(charger_id),
            command: ({ charger_id, status }) => heard.commands.push([charger_id, status]),
        });
    }
}"""
#: As a tab that is behind another one.
HIDE = """(hidden) => {
    Object.defineProperty(document, 'hidden', { get: () => hidden, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
}"""


class Streams:
    """The requests for streams that the tabs of a browser have sent."""

    def __init__(self, context: BrowserContext) -> None:
        self.sent: list[Request] = []
        self.open: set[Request] = set()
        context.on("request", self._note)
        context.on("requestfinished", self._note_end)
        context.on("requestfailed", self._note_end)

    def _note_end(self, request: Request) -> None:
        self.open.discard(request)

    def _note(self, request: Request) -> None:
        if urlsplit(request.url).path == "/ocpp/events":
            self.sent.append(request)
            self.open.add(request)


@pytest.fixture
def proxy(stack: Stack) -> Iterator[TcpProxy]:
    made = TcpProxy(urlsplit(stack.api_url).port or 0)
    yield made
    made.close()


@pytest.fixture
def context(
    proxy: TcpProxy,
    new_context: Callable[..., BrowserContext],
    complaints: Complaints,
    stack_token: StackToken,
) -> BrowserContext:
    """A browser that reaches the API through a line that can be cut, and is closed before that."""
    complaints.origin = f"http://127.0.0.1:{proxy.port}"
    made = new_context(base_url=complaints.origin)
    sign_in(made, stack_token())
    return made


@pytest.fixture
def streams(context: BrowserContext) -> Streams:
    return Streams(context)


def create(client: httpx.Client) -> str:
    charger_id: str = client.post(
        "/ocpp/chargers", json=NEW_CHARGER | {"identity": f"CP-{uuid4().hex[:12]}"}
    ).json()["charger_id"]
    return charger_id


def rename(client: httpx.Client, charger_id: str, name: str) -> None:
    client.put(f"/ocpp/chargers/{charger_id}", json={"name": name})


def tab(context: BrowserContext, *watched: str) -> Page:
    page = context.new_page()
    open_view(page, "/dashboard/jobs")
    page.evaluate(LISTEN, list(watched))
    return page


def heard(page: Page, what: str) -> Any:
    return page.evaluate(f"heard.{what}")


def until_live(page: Page, within_s: float = 10) -> None:
    wait_until(lambda: heard(page, "kinds.at(-1)") == "live", within_s)


def until_heard(page: Page, charger_id: str, name: str) -> None:
    wait_until(lambda: heard(page, "rows").get(charger_id) == name)


def test_the_tabs_of_a_browser_share_one_stream(
    context: BrowserContext, streams: Streams, client: httpx.Client
) -> None:
    charger_id = create(client)
    tabs = [tab(context) for _ in range(3)]
    for page in tabs:
        until_live(page)

    rename(client, charger_id, "Bay 1")

    for page in tabs:
        until_heard(page, charger_id, "Bay 1")
        assert heard(page, "summary")["total"] >= 1
    assert len(streams.open) == 1
    assert not any("eyJ" in request.url for request in streams.sent)


def test_another_tab_takes_over_without_a_lost_change(
    context: BrowserContext, streams: Streams, client: httpx.Client
) -> None:
    chargers = [create(client) for _ in range(3)]
    leader = tab(context)
    until_live(leader)
    other = tab(context)
    until_live(other)
    for charger_id in chargers:
        rename(client, charger_id, "before")
    until_heard(other, chargers[-1], "before")

    rename(client, chargers[0], "meanwhile")
    leader.close()
    rename(client, chargers[1], "meanwhile")
    until_heard(other, chargers[0], "meanwhile")
    until_heard(other, chargers[1], "meanwhile")

    assert len(streams.sent) == 2
    assert heard(other, "ready") == [True]


def test_an_outage_is_said_and_nothing_of_it_is_lost(
    context: BrowserContext, complaints: Complaints, client: httpx.Client, proxy: TcpProxy
) -> None:
    complaints.allow("Failed to load resource")
    kept, gone = create(client), create(client)
    page = tab(context)
    until_live(page)
    rename(client, kept, "before")
    until_heard(page, kept, "before")

    proxy.cut()
    expect(page.get_by_text("not connected since")).to_be_visible()
    rename(client, kept, "meanwhile")
    client.delete(f"/ocpp/chargers/{gone}")
    assert heard(page, "rows")[kept] == "before"
    proxy.heal()

    until_heard(page, kept, "meanwhile")
    wait_until(lambda: gone in heard(page, "removed"))
    expect(page.get_by_text("not connected since")).to_be_hidden()
    assert heard(page, "ready.at(-1)") is True


def test_where_a_proxy_holds_streams_back_changes_come_by_requests_that_wait(
    context: BrowserContext, client: httpx.Client
) -> None:
    charger_id = create(client)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    context.route("**/ocpp/events*", hold)
    page = tab(context, charger_id)
    until_live(page, within_s=15)

    rename(client, charger_id, "Bay 1")
    until_heard(page, charger_id, "Bay 1")

    wait_until(lambda: charger_id in heard(page, "snapshots"))
    assert held


def test_the_chargers_that_tabs_watch_share_the_stream(
    context: BrowserContext, streams: Streams, client: httpx.Client
) -> None:
    one, other = create(client), create(client)
    first = tab(context, one)
    wait_until(lambda: one in heard(first, "snapshots"))
    second = tab(context, other)
    wait_until(lambda: other in heard(second, "snapshots"))

    client.delete(f"/ocpp/chargers/{other}")
    wait_until(lambda: [other, "queued"] in heard(second, "commands"))

    assert len(streams.open) == 1
    [last] = streams.open
    assert set(parse_qs(urlsplit(last.url).query)["charger_id"][0].split(",")) == {one, other}
    assert other not in [charger_id for charger_id, _ in heard(first, "commands")]


def test_a_charger_that_is_gone_does_not_end_the_stream(
    context: BrowserContext, complaints: Complaints, client: httpx.Client
) -> None:
    complaints.allow("404")
    charger_id = create(client)
    page = tab(context, "dep-unknown")
    until_live(page)

    rename(client, charger_id, "Bay 1")

    until_heard(page, charger_id, "Bay 1")


def test_the_stream_pauses_when_no_tab_is_visible_and_goes_on(
    context: BrowserContext, streams: Streams, client: httpx.Client
) -> None:
    charger_id = create(client)
    page = context.new_page()
    page.clock.install()
    open_view(page, "/dashboard/jobs")
    page.evaluate(LISTEN, [])
    until_live(page)

    page.evaluate(HIDE, True)
    page.clock.fast_forward(61_000)
    wait_until(lambda: heard(page, "kinds.at(-1)") == "paused")
    assert not streams.open
    rename(client, charger_id, "meanwhile")
    page.evaluate(HIDE, False)

    until_heard(page, charger_id, "meanwhile")
    assert heard(page, "kinds.at(-1)") == "live"
