"""The product as processes, and a browser in which somebody is signed in to its dashboard."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from shared.auth.tokens import make_token
from shared.settings import TokenSettings
from tests.dashboard.browser import DESKTOP, Complaints, chromium, running_browser
from tests.support.environment import JWT_SECRET
from tests.support.http import PLAIN_HTTP
from tests.support.stack import RememberingCsms, Stack, running_stack

#: Makes tokens that the stack accepts: `stack_token("acme")`, `stack_token(role="admin")`, `stack_token(ttl_s=60)`.
StackToken = Callable[..., str]
#: Makes a page in a browser of its own: `new_page(token)`, `new_page(None)` for one that is not signed in.
NewPage = Callable[..., Page]

DEMO = "demo"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with running_browser(chromium()) as running:
        yield running


@pytest.fixture(scope="package")
def stack(
    browser: Browser, server_folder: Path, new_database: Callable[[], str], redis_url: str
) -> Iterator[Stack]:
    """One for all tests that do not break it. On its own database of the broker. Not started without a browser."""
    folder = server_folder / "dashboard"
    with running_stack(folder, new_database(), f"{redis_url.removesuffix('/0')}/2") as running:
        yield running


@pytest.fixture(scope="package")
def csms() -> Iterator[RememberingCsms]:
    with RememberingCsms() as running:
        yield running


@pytest.fixture(scope="package")
def stack_token() -> StackToken:
    tokens = TokenSettings(
        algorithm="HS256", secret=JWT_SECRET, public_key="", jwks_url="", issuer="", audience="", max_age_s=0
    )

    def make(
        organization: str = DEMO, *, role: str = "user", ttl_s: int = 3600, subject: str = "tester"
    ) -> str:
        organization_id = None if role == "admin" else organization
        return make_token(tokens, subject=subject, organization_id=organization_id, role=role, ttl_s=ttl_s)

    return make


@pytest.fixture(scope="package")
def client(stack: Stack, stack_token: StackToken) -> Iterator[httpx.Client]:
    """The API, as a user of the organization that `page` shows. An answer of 400 or more raises."""

    def check(response: httpx.Response) -> None:
        if response.is_error:
            response.read()
            pytest.fail(
                f"{response.request.method} {response.request.url}: {response.status_code} {response.text}"
            )

    headers = {"Authorization": f"Bearer {stack_token()}"}
    with httpx.Client(
        base_url=stack.api_url, headers=headers, event_hooks={"response": [check]}, **PLAIN_HTTP
    ) as client:
        yield client


@pytest.fixture
def complaints(stack: Stack) -> Iterator[Complaints]:
    """What the pages of the test have complained about; after the test there may be none that it has not allowed."""
    split = urlsplit(stack.api_url)
    noted = Complaints(f"{split.scheme}://{split.netloc}")
    yield noted
    noted.check()


@pytest.fixture
def new_context(
    browser: Browser, stack: Stack, complaints: Complaints
) -> Iterator[Callable[..., BrowserContext]]:
    """Makes a browser of its own, with the options of Playwright's new_context; closed after the test."""
    made: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(**{"base_url": stack.api_url, "viewport": DESKTOP, **options})
        context.set_default_timeout(10_000)
        complaints.listen(context)
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()


@pytest.fixture
def new_page(new_context: Callable[..., BrowserContext], stack_token: StackToken) -> NewPage:
    def make(token: str | None = "", **options: Any) -> Page:
        context = new_context(**options)
        if token is not None:
            sign_in(context, token or stack_token())
        return context.new_page()

    return make


@pytest.fixture
def page(new_page: NewPage) -> Page:
    """A page that is signed in as a user of DEMO, 1280 px wide, not yet opened: use open_view."""
    return new_page()


def sign_in(context: BrowserContext, token: str) -> None:
    """Sign in each new tab of the browser, as a tab is that was signed in before a reload."""
    context.add_init_script(
        "if (location.origin !== 'null' && !sessionStorage.getItem('chargehand.token'))"  # about:blank has no storage
        f" sessionStorage.setItem('chargehand.token', '{token}')"
    )
