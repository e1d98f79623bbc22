"""Texts that try to become HTML or code, in every field that a client, a charger or a CSMS can set: they stay texts."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.dashboard.browser import Complaints, axe, evaluate, open_view
from tests.dashboard.conftest import NewPage, StackToken
from tests.support.fleet import NEW_CHARGER, NEW_LOCATION
from tests.support.http import PLAIN_HTTP
from tests.support.stack import RememberingCsms, Stack
from tests.support.waiting import wait_until

ORGANIZATION = "hostile"
IDENTITY = "X=1|-alert(1)".replace("(", ":").replace(")", "@")  # the worst that an identity may be
HOSTILE = "\"'><img src=/x onerror=alert(1)><script>alert(2)</script><b style='color:red'>${alert(3)}{{4*4}}"
SHORT = "<img src=x onerror"  # where 20 characters are allowed


@pytest.fixture(scope="module")
def charger_id(stack: Stack, csms: RememberingCsms, stack_token: StackToken) -> Iterator[str]:
    """A charger with hostile texts in each field, whose CSMS has sent it some, too."""
    body = NEW_CHARGER | {
        "identity": IDENTITY,
        "ws_url": f"{csms.url}/{quote(HOSTILE, safe='')}",
        "charge_point_name": HOSTILE,
        "location_name": HOSTILE,
        "serial_number": SHORT,
        "firmware_version": HOSTILE[:50],
        "iccid": SHORT,
        "imsi": SHORT,
        "visitors": {"every_s": 86_400, "id_tag": SHORT},
        "scenario": [{"do": "plug_connector"}, {"do": "present_token", "with": {"id_tag": SHORT}}],
    }
    headers = {"Authorization": f"Bearer {stack_token(ORGANIZATION)}"}
    with httpx.Client(base_url=stack.api_url, headers=headers, timeout=60, **PLAIN_HTTP) as client:

        def send(method: str, path: str, **more: Any) -> Any:
            answer = client.request(method, path, **more)
            assert answer.is_success, answer.text
            return answer.json()

        body["location_id"] = send("POST", "/ocpp/locations", json=NEW_LOCATION | {"name": HOSTILE})["id"]
        created = send("POST", "/ocpp/chargers", json=body, params={"wait": 50, "until": "accepted"})
        found: str = created["charger_id"]
        csms.call(IDENTITY, "DataTransfer", {"vendorId": HOSTILE, "messageId": HOSTILE[:50], "data": HOSTILE})
        csms.call(IDENTITY, "ChangeConfiguration", {"key": SHORT, "value": HOSTILE})
        logs = f"/ocpp/chargers/{found}/logs"
        wait_until(
            lambda: any(
                "alert(2)" in str(entry) for entry in send("GET", logs, params={"limit": 100})["data"]
            ),
            20,
        )
        lost = NEW_CHARGER | {"identity": "LOST", "ws_url": f"ws://127.0.0.1:1/{quote(HOSTILE, safe='')}"}
        send("POST", "/ocpp/chargers", json=lost | {"charge_point_name": HOSTILE}, params={"wait": 50})
        yield found


@pytest.fixture
def hostile_page(new_page: NewPage, stack_token: StackToken, charger_id: str) -> Page:
    return new_page(stack_token(ORGANIZATION, subject=HOSTILE))


def check_that_texts_stayed_texts(page: Page) -> None:
    """No element came from a text. Dialogs, console errors and foreign requests fail the test by `complaints`."""
    for selector in (
        "img",
        "iframe",
        "object",
        "embed",
        "b[style]",
        "main script",
        "[onerror]",
        "[style*=red]",
    ):
        expect(page.locator(selector)).to_have_count(0)


Q = quote(HOSTILE, safe="")


@pytest.mark.parametrize(
    "path",
    [
        "/dashboard",
        f"/dashboard?q={Q}",
        f"/dashboard?location_id={Q}&observed={Q}&ocpp_state={Q}&status={Q}&sort={Q}&page={Q}&{Q}={Q}",
        f"/dashboard?organization={Q}",
        "/dashboard/chargers/{id}",
        f"/dashboard/chargers/{{id}}?q={Q}&action={Q}&direction={Q}&kind={Q}",
        f"/dashboard/chargers/{Q}",
        "/dashboard/jobs",
        f"/dashboard/jobs?status={Q}",
        f"/dashboard/jobs/{Q}",
        "/dashboard/operations",
        f"/dashboard/{Q}",
    ],
)
def test_a_view_shows_hostile_texts_as_texts(
    hostile_page: Page, complaints: Complaints, charger_id: str, path: str
) -> None:
    complaints.allow("404 (NOT FOUND)", "422 (UNPROCESSABLE")  # answers to what no charger or filter has

    open_view(hostile_page, path.format(id=charger_id))

    check_that_texts_stayed_texts(hostile_page)


def test_the_name_is_shown_as_it_is(hostile_page: Page) -> None:
    open_view(hostile_page)

    expect(hostile_page.get_by_role("main").get_by_text(HOSTILE).first).to_be_visible()
    expect(hostile_page.get_by_role("link", name=IDENTITY)).to_be_visible()
    check_that_texts_stayed_texts(hostile_page)
    assert axe(hostile_page) == []


def test_frames_are_shown_as_they_are(hostile_page: Page, charger_id: str) -> None:
    open_view(hostile_page, f"/dashboard/chargers/{charger_id}")

    seen = hostile_page.get_by_role("main").get_by_text("DataTransfer").filter(visible=True)
    expect(seen.first).to_be_visible(timeout=15_000)
    check_that_texts_stayed_texts(hostile_page)


@pytest.mark.parametrize(
    ("view", "status"),
    [
        ("/dashboard", 422),
        ("/dashboard", 503),
        ("/dashboard/chargers/dep-1", 403),
        ("/dashboard/chargers/dep-1", 500),
        ("/dashboard/jobs", 403),
        ("/dashboard/jobs/1", 429),
        ("/dashboard/operations", 400),
    ],
)
def test_a_hostile_error_of_the_api_is_shown_as_text(
    hostile_page: Page, complaints: Complaints, view: str, status: int
) -> None:
    """As from a proxy that has been taken over: our own API does not answer so."""
    complaints.allow(f"status of {status}")
    detail: Any = HOSTILE if status != 422 else [{"loc": ["query", HOSTILE], "msg": HOSTILE, "type": HOSTILE}]

    def refuse(route: Route) -> None:
        if route.request.url.endswith("/ocpp/me"):
            route.continue_()
        else:
            headers = {"X-Request-Id": HOSTILE, "Retry-After": "60"}
            route.fulfill(status=status, json={"detail": detail}, headers=headers)

    hostile_page.route("**/ocpp/**", refuse)
    hostile_page.goto(view)

    expect(hostile_page.get_by_role("main").get_by_text(HOSTILE).first).to_be_visible()
    check_that_texts_stayed_texts(hostile_page)


@pytest.mark.parametrize(
    "expression",
    [
        "document.body.innerHTML = '<b>text</b>'",
        "document.write('<b>text</b>')",
        "eval('1')",
        "new Function('return 1')()",
        "document.createElement('script').src = '/x.js'",
    ],
)
def test_the_policy_refuses_what_the_code_avoids(page: Page, complaints: Complaints, expression: str) -> None:
    """So a mistake in the code is an error on the console, and no hole."""
    complaints.allow("TrustedHTML", "TrustedScript", "Content Security Policy", "unsafe-eval")
    open_view(page)

    refused = evaluate(
        page, f"(() => {{ try {{ {expression}; return 'done' }} catch (error) {{ return error.name }} }})()"
    )

    assert re.fullmatch("TypeError|EvalError", refused)
