"""A real browser on the dashboard: finding it, noting what it complains about, and judging a page with axe-core."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import (
    Browser,
    BrowserContext,
    CDPSession,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    WebError,
    expect,
    sync_playwright,
)

NAMES = ("chromium", "chromium-browser", "google-chrome")
#: Set by .ci/run, which installs a browser: without one the tests fail. Elsewhere they are skipped.
REQUIRED = "BROWSER_REQUIRED"
OPTIONS = (
    "--no-sandbox",  # it runs as root in a container; it opens our own pages only
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 380, "height": 780}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
#: How long `expect` waits, in ms: the machine may be busy with other tests.
expect.set_options(timeout=15_000)

#: What axe-core finds at these levels fails a test.
SERIOUS = {"serious", "critical"}


def find_chromium() -> str | None:
    """The path of the browser."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def chromium() -> str:
    """The path of the browser. Where there is none, skips the test, or fails it if REQUIRED is set."""
    found = find_chromium()
    if found is not None:
        return found
    missing = f"none of {', '.join(NAMES)} is on the PATH (Debian and Ubuntu: apt-get install chromium)"
    if os.environ.get(REQUIRED):
        pytest.fail(missing)
    pytest.skip(missing)


@contextmanager
def running_browser(path: str, *options: str) -> Iterator[Browser]:
    expect.set_options(timeout=15_000)  # ms; a busy machine takes seconds to load a view
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*OPTIONS, *options])
        yield browser
        browser.close()


@dataclass
class Complaints:
    """What no page may cause: errors on the console, a request to another host, a violated policy, a dialog of the browser."""

    origin: str
    found: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def allow(self, *texts: str) -> None:
        """Complaints that contain one of the texts, in any case of letters, are expected: the test causes them."""
        self.allowed += texts

    def listen(self, context: BrowserContext) -> None:
        context.on("console", self._note_message)
        context.on("weberror", self._note_error)
        context.on("request", self._note_request)
        context.on("dialog", self._note_dialog)

    def check(self) -> None:
        unexpected = [
            text
            for text in self.found
            if not any(allowed.lower() in text.lower() for allowed in self.allowed)
        ]
        assert not unexpected

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.found.append(message.text)

    def _note_error(self, error: WebError) -> None:
        self.found.append(f"uncaught: {error.error}")

    def _note_request(self, request: Request) -> None:
        split = urlsplit(request.url)
        if split.scheme not in ("blob", "data") and f"{split.scheme}://{split.netloc}" != self.origin:
            self.found.append(f"foreign request: {request.url}")

    def _note_dialog(self, dialog: Dialog) -> None:
        self.found.append(f"dialog: {dialog.message}")
        dialog.dismiss()


def open_view(page: Page, path: str = "/dashboard") -> None:
    """Open a path of the dashboard, and wait until its view has its heading."""
    page.goto(path)
    expect(page.locator("main h1").first).to_be_visible()


def axe(page: Page) -> list[str]:
    """The serious violations on the page as it is, each as a line; empty when there is none.

    The scripts are evaluated over the debugging protocol, because the page's policy forbids eval.
    """
    session = page.context.new_cdp_session(page)
    try:
        if not _evaluate(session, "'axe' in window"):
            _evaluate(session, _axe_script())
        violations = _evaluate(session, "axe.run().then(results => results.violations)")
    finally:
        session.detach()
    return [
        f"{found['id']}: {node['html']} ({node['failureSummary']})"
        for found in violations
        if found["impact"] in SERIOUS
        for node in found["nodes"]
    ]


def axe_in_both_themes(page: Page) -> list[str]:
    """The serious violations on the page in the light and in the dark theme, which differ in their colours only."""
    violations = []
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        violations += [f"{theme}: {violation}" for violation in axe(page)]
    return violations


def width_of_content(page: Page) -> int:
    """How wide the page is, in CSS pixels; more than the window is wide means that it scrolls sideways."""
    return int(evaluate(page, "document.documentElement.scrollWidth"))


def evaluate(page: Page, expression: str) -> Any:
    """The value of the expression in the page, awaited. Playwright's own evaluate needs eval, which the policy forbids."""
    session = page.context.new_cdp_session(page)
    try:
        return _evaluate(session, expression)
    finally:
        session.detach()


def module(page: Page, name: str) -> str:
    """An expression that imports one of the page's own modules, such as "client.js": the one that the page uses."""
    src = page.locator("script[type=module]").get_attribute("src")
    assert src is not None
    return f"(await import('{src.replace('app.js', name)}'))"


def _evaluate(session: CDPSession, expression: str) -> Any:
    answer = session.send(
        "Runtime.evaluate",
        {
            "expression": expression,
            "awaitPromise": True,
            "returnByValue": True,
            "allowUnsafeEvalBlockedByCSP": False,
        },
    )
    assert "exceptionDetails" not in answer, answer["exceptionDetails"]
    return answer["result"].get("value")


def _axe_script() -> str:
    script: str = AXE_FILE_PATH.read_text(encoding="utf-8")
    return script + "; true"
