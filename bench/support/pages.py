"""Opens the dashboard in a real browser, and measures what a person would notice."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
OPEN_WITHIN_MS = 30_000
#: Notes when each mark, a name like t1790000000000 with the time at which it was committed, is on the screen.
OBSERVE = """() => {
    window.delays = [];
    const seen = new Set();
    const read = (node) => {
        for (const [mark, at] of (node.textContent ?? '').matchAll(/\\bt(\\d{13})\\b/g)) {
            if (seen.has(mark)) continue;
            seen.add(mark);
            requestAnimationFrame(() => delays.push(Date.now() - Number(at)));
        }
    };
    new MutationObserver((changes) => {
        for (const change of changes) [change.target, ...change.addedNodes].forEach(read);
    }).observe(document.querySelector('main'), { subtree: true, childList: true, characterData: true });
}"""


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Raises LookupError where there is none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise LookupError(f"none of {', '.join(NAMES)} is on the PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        yield browser
        browser.close()


def open_fleet(browser: Browser, api_url: str, token: str) -> tuple[Page, float]:
    """The fleet in a browser profile of its own, and the seconds until its first row is there and the filter takes text."""
    context = browser.new_context(base_url=api_url, viewport={"width": 1280, "height": 800})
    context.add_init_script(
        f"if (location.origin !== 'null') sessionStorage.setItem('chargehand.token', '{token}')"
    )
    page = context.new_page()
    started = monotonic()
    page.goto("/dashboard", timeout=OPEN_WITHIN_MS)
    page.locator("tbody tr").first.wait_for(timeout=OPEN_WITHIN_MS)
    page.keyboard.press("/")
    page.locator("input[type=search]:focus").wait_for(timeout=OPEN_WITHIN_MS)
    return page, monotonic() - started


def shown_ids(page: Page) -> list[str]:
    """Of the chargers on the page, from its top."""
    ids: list[str] = page.locator("tbody tr").evaluate_all("rows => rows.map(row => row.dataset.id)")
    return ids


def heap_bytes(page: Page) -> float:
    """What its scripts use after a collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return float(used)
