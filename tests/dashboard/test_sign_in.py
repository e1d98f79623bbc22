"""Signing in and out: what is refused, where the token is kept, and what happens when it expires."""

import re
from collections.abc import Callable

import jwt
import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.dashboard.browser import Complaints, evaluate, module, open_view
from tests.dashboard.conftest import NewPage, StackToken

AGAIN = "Sign in again"
EXPIRES = re.compile(r"Your token expires in \d")


def heading(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


def sign_in_by_hand(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").last.click()


@pytest.mark.parametrize("pasted", ["{}", "  {}\n", "Bearer {}", "Authorization: Bearer {}", '"{}"'])
def test_a_pasted_token_opens_the_view_of_the_address(
    new_page: NewPage, stack_token: StackToken, pasted: str
) -> None:
    page = new_page(None)
    open_view(page, "/dashboard/jobs?status=running")

    sign_in_by_hand(page, pasted.format(stack_token()))

    heading(page, "Jobs")
    expect(page).to_have_url(re.compile(r"/dashboard/jobs\?status=running$"))
    expect(page.get_by_text("Organization demo")).to_be_visible()


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ("", "Paste a token first."),
        ("abc", "This is not a token"),
        ("a.b", "This is not a token"),
        ("a b.c.d", "This is not a token"),
        (jwt.encode({"exp": 1_700_000_000}, "k" * 32), "This token expired at 14/11/2023"),
        (
            jwt.encode({"sub": "x", "role": "user", "organization_id": "demo", "exp": 4e9}, "k" * 32),
            "refused the token",
        ),
        ("a.b.c", "refused the token"),
    ],
)
def test_a_bad_token_is_refused_in_a_sentence(
    new_page: NewPage, complaints: Complaints, token: str, sentence: str
) -> None:
    complaints.allow("401 (UNAUTHORIZED)")
    page = new_page(None)
    open_view(page)

    sign_in_by_hand(page, token)

    expect(page.get_by_role("alert")).to_contain_text(sentence)
    expect(page.get_by_label("Token")).to_be_focused()


def test_the_token_is_nowhere_but_in_the_storage_of_the_tab(
    new_page: NewPage, stack_token: StackToken
) -> None:
    token, requests = stack_token(), list[str]()
    page = new_page(None)
    page.on("request", lambda request: requests.append(request.url))
    open_view(page)

    sign_in_by_hand(page, token)
    heading(page, "Fleet")

    assert evaluate(page, "sessionStorage.getItem('chargehand.token')") == token
    assert token not in evaluate(page, "JSON.stringify(localStorage)")
    assert page.context.cookies() == []
    assert not [url for url in requests if token in url]
    assert token not in page.content()


def test_another_tab_of_the_browser_is_signed_in_too(
    new_context: Callable[..., BrowserContext], stack_token: StackToken
) -> None:
    context = new_context()
    first, second = context.new_page(), context.new_page()
    open_view(first)
    sign_in_by_hand(first, stack_token())
    heading(first, "Fleet")

    second.goto("/dashboard/jobs")

    heading(second, "Jobs")


def test_signing_out_ends_the_session_of_every_tab(
    new_context: Callable[..., BrowserContext], stack_token: StackToken
) -> None:
    context = new_context()
    first, second = context.new_page(), context.new_page()
    open_view(first)
    sign_in_by_hand(first, stack_token())
    heading(first, "Fleet")
    second.goto("/dashboard/jobs")
    heading(second, "Jobs")

    second.get_by_role("button", name="Sign out").click()

    for page in (first, second):
        heading(page, "Sign in")
        assert evaluate(page, "sessionStorage.length") == 0
    first.reload()
    heading(first, "Sign in")


def test_a_token_that_expires_is_announced_and_its_successor_keeps_the_view(
    new_page: NewPage, stack_token: StackToken
) -> None:
    page = new_page(stack_token(ttl_s=120))
    open_view(page, "/dashboard/jobs")
    expect(page.get_by_text(EXPIRES)).to_be_visible()
    mark_view(page)

    page.get_by_role("button", name=AGAIN).click()
    sign_in_by_hand(page.get_by_role("dialog").page, stack_token())

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text(EXPIRES)).to_have_count(0)
    check_view_was_kept(page)


def test_an_expired_token_keeps_the_view_behind_a_dialog(new_page: NewPage, stack_token: StackToken) -> None:
    page = new_page(stack_token(ttl_s=5))
    open_view(page, "/dashboard/jobs")
    mark_view(page)

    expect(page.get_by_role("dialog", name=AGAIN)).to_be_visible(timeout=10_000)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name=AGAIN)).to_be_visible()
    sign_in_by_hand(page, stack_token())

    expect(page.get_by_role("dialog")).to_have_count(0)
    check_view_was_kept(page)


def test_a_request_that_was_refused_is_repeated_once_with_the_new_token(
    page: Page, stack_token: StackToken, complaints: Complaints
) -> None:
    complaints.allow("401 (UNAUTHORIZED)")
    open_view(page, "/dashboard/jobs")
    sent: list[str] = []
    refuse_once(page, "**/ocpp/catalog/brands", sent)
    evaluate(
        page,
        f"(async () => {{ globalThis.found = {module(page, 'client.js')}.api.get('/ocpp/catalog/brands') }})()",
    )

    renewed = stack_token(ttl_s=1800)
    expect(page.get_by_role("dialog", name=AGAIN)).to_be_visible()
    sign_in_by_hand(page, renewed)

    assert evaluate(page, "found.then(page => page.total)") > 0
    assert sent[1:] == [f"Bearer {renewed}"]


def test_a_request_of_one_person_is_not_repeated_as_another(
    page: Page, stack_token: StackToken, complaints: Complaints
) -> None:
    complaints.allow("401 (UNAUTHORIZED)")
    open_view(page, "/dashboard/jobs")
    sent: list[str] = []
    refuse_once(page, "**/ocpp/catalog/brands", sent)
    evaluate(
        page,
        f"(async () => {{ globalThis.found = {module(page, 'client.js')}.api.get('/ocpp/catalog/brands')"
        ".then(() => 'repeated', error => error.name) })()",
    )

    expect(page.get_by_role("dialog", name=AGAIN)).to_be_visible()
    sign_in_by_hand(page, stack_token("another"))

    assert evaluate(page, "found") == "AbortError"
    assert len(sent) == 1
    expect(page.get_by_text("Organization another")).to_be_visible()


def test_an_admin_chooses_an_organization_which_stays_in_the_address(
    new_page: NewPage, stack_token: StackToken
) -> None:
    page = new_page(stack_token(role="admin"))
    open_view(page, "/dashboard")
    heading(page, "Choose an organization")

    field = page.get_by_role("main").get_by_role("combobox", name="Organization")
    field.fill("demo")
    field.press("Enter")
    heading(page, "Fleet")
    expect(page).to_have_url(re.compile(r"organization=demo"))
    page.get_by_role("link", name="Jobs").click()
    heading(page, "Jobs")
    page.reload()

    heading(page, "Jobs")
    expect(page).to_have_url(re.compile(r"/dashboard/jobs\?organization=demo$"))


def test_an_admin_sees_the_operations_of_all_organizations(
    new_page: NewPage, stack_token: StackToken
) -> None:
    page = new_page(stack_token(role="admin"))

    open_view(page, "/dashboard/operations")

    heading(page, "Operations")


def mark_view(page: Page) -> None:
    """Mark the view's element; a view that is shown again has another one."""
    evaluate(page, "document.querySelector('main > *').dataset.marked = 'yes'")


def check_view_was_kept(page: Page) -> None:
    expect(page.locator("main > [data-marked=yes]")).to_be_visible()


def refuse_once(page: Page, url: str, sent: list[str]) -> None:
    """Answer the first request with 401, as after a change of the server's key. Notes what each request was sent with."""

    def answer(route: Route) -> None:
        sent.append(route.request.headers["authorization"])
        if len(sent) == 1:
            route.fulfill(status=401, json={"detail": "The token is not valid"})
        else:
            route.continue_()

    page.route(url, answer)
