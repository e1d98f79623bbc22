"""Every view, in both themes, on a desk and on a phone: axe-core finds nothing serious, and nothing scrolls sideways."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.browser import DESKTOP, PHONE, axe_in_both_themes, open_view, width_of_content
from tests.dashboard.conftest import NewPage, StackToken
from tests.support.fleet import NEW_CHARGER
from tests.support.http import PLAIN_HTTP
from tests.support.stack import RememberingCsms, Stack

ORGANIZATION = "views"

#: The path of each view, and a text of it that comes last; {id} is a charger that is accepted, {job} a job.
VIEWS = {
    "fleet": ("/dashboard", "VIEW-2"),
    "charger": ("/dashboard/chargers/{id}", "VIEW-1"),
    "jobs": ("/dashboard/jobs", "Jobs"),
    "job": ("/dashboard/jobs/{job}", ""),
    "operations": ("/dashboard/operations", "Operations"),
    "unknown": ("/dashboard/no/such/page", "no page at"),
    "missing charger": ("/dashboard/chargers/dep-missing", ""),
}


@pytest.fixture(scope="module")
def paths(stack: Stack, csms: RememberingCsms, stack_token: StackToken) -> Iterator[dict[str, str]]:
    """What the paths of VIEWS name: a charger that is accepted, one that cannot connect, and a job."""
    headers = {"Authorization": f"Bearer {stack_token(ORGANIZATION)}"}
    with httpx.Client(base_url=stack.api_url, headers=headers, timeout=60, **PLAIN_HTTP) as client:

        def post(path: str, body: dict[str, Any], **query: Any) -> dict[str, Any]:
            answer = client.post(path, json=body, params=query)
            assert answer.is_success, answer.text
            found: dict[str, Any] = answer.json()
            return found

        first = post(
            "/ocpp/chargers",
            NEW_CHARGER | {"identity": "VIEW-1", "ws_url": csms.url, "charge_point_name": "Bay 1"},
            wait=50,
            until="accepted",
        )
        lost = NEW_CHARGER | {"identity": "VIEW-2", "ws_url": "ws://127.0.0.1:1/ocpp"}
        second = post("/ocpp/chargers", lost, wait=50)
        job = post("/ocpp/chargers/stop", {"charger_ids": [second["charger_id"]]})
        yield {"id": first["charger_id"], "job": job["job_id"]}


@pytest.fixture
def open_as(new_page: NewPage, stack_token: StackToken, paths: dict[str, str]) -> Callable[..., Page]:
    """Opens a view, when its last text is there."""

    def open_it(view: str, *, viewport: dict[str, int]) -> Page:
        page = new_page(stack_token(ORGANIZATION), viewport=viewport)
        path, text = VIEWS[view]
        open_view(page, path.format(**paths))
        if text:
            expect(page.get_by_role("main").get_by_text(text).first).to_be_visible()
        return page

    return open_it


every_view = pytest.mark.parametrize("view", VIEWS)
every_width = pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desk", "phone"])


@pytest.fixture(autouse=True)
def missing_is_expected(request: pytest.FixtureRequest) -> None:
    if "missing" in request.node.name:
        request.getfixturevalue("complaints").allow("404 (NOT FOUND)")


@every_view
@every_width
def test_a_view_has_no_serious_violation_and_does_not_scroll_sideways(
    open_as: Callable[..., Page], view: str, viewport: dict[str, int]
) -> None:
    """And it has one heading of the first level, and a title of its own."""
    page = open_as(view, viewport=viewport)

    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page).not_to_have_title("Chargehand")
    assert axe_in_both_themes(page) == []
    assert width_of_content(page) <= viewport["width"]


@every_width
def test_the_sign_in_form_has_no_serious_violation(new_page: NewPage, viewport: dict[str, int]) -> None:
    page = new_page(None, viewport=viewport)
    open_view(page)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Where do I get a token?").click()
    expect(page.get_by_role("alert")).to_contain_text("Paste a token first.")

    assert axe_in_both_themes(page) == []
    assert width_of_content(page) <= viewport["width"]


def test_the_help_has_no_serious_violation(open_as: Callable[..., Page]) -> None:
    page = open_as("fleet", viewport=PHONE)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Help")).to_be_visible()

    assert axe_in_both_themes(page) == []
