"""What is done with chargers from the fleet: they are created, started, stopped, restarted and deleted, one and many."""

import re
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.browser import Complaints, axe, open_view
from tests.support.fleet import NEW_CHARGER, NEW_LOCATION
from tests.support.stack import RememberingCsms
from tests.support.waiting import wait_until

WITHIN_MS = 20_000  # a charger starts or stops


@pytest.fixture
def prefix() -> str:
    """Of the identities of a test, so that its search finds its own chargers only."""
    return f"F{uuid4().hex[:6]}-"


def create(client: httpx.Client, csms: RememberingCsms, identity: str) -> str:
    """A charger that its CSMS has accepted. Returns its id."""
    body = NEW_CHARGER | {"identity": identity, "ws_url": csms.url}
    answer = client.post("/ocpp/chargers", json=body, params={"wait": 60, "until": "accepted"}, timeout=70)
    assert answer.status_code == 200, answer.text
    charger_id: str = answer.json()["charger_id"]
    return charger_id


def row(page: Page, identity: str) -> Locator:
    link = page.get_by_role("link", name=identity, exact=True)
    return page.locator(".fleet-table tbody tr").filter(has=link)


def test_a_charger_is_created_with_one_press_and_seen_until_its_csms_accepts_it(
    page: Page, client: httpx.Client, csms: RememberingCsms, prefix: str
) -> None:
    location = client.post("/ocpp/locations", json=NEW_LOCATION | {"name": prefix}).json()["id"]
    open_view(page, f"/dashboard?q={prefix}")
    page.get_by_role("button", name="Create", exact=True).click()
    dialog = page.get_by_role("dialog", name="Create a charger")
    dialog.get_by_label("Identity", exact=True).fill(f"{prefix}1")
    dialog.get_by_label("CSMS").fill(csms.url)
    offered = dialog.locator("#fleet-create-locations option").first
    expect(offered).to_have_text(f"{prefix}, Paris")
    dialog.get_by_label("Location", exact=True).fill(offered.get_attribute("value") or "")
    assert axe(page) == []

    dialog.get_by_role("button", name="Create").click()

    expect(page.get_by_role("status").filter(has_text=f"{prefix}1 is created")).to_be_visible()
    expect(row(page, f"{prefix}1").locator(".fleet-link")).to_contain_text("accepted", timeout=WITHIN_MS)
    csms.wait_for_boot(f"{prefix}1")
    assert client.get("/ocpp/chargers", params={"location_id": location}).json()["total"] == 1


def test_several_chargers_have_numbered_identities(
    page: Page, client: httpx.Client, csms: RememberingCsms, prefix: str
) -> None:
    open_view(page, f"/dashboard?q={prefix}")
    page.get_by_role("button", name="Create", exact=True).click()
    dialog = page.get_by_role("dialog", name="Create a charger")
    dialog.get_by_label("Identity", exact=True).fill(f"{prefix}09")
    dialog.get_by_label("How many").fill("2")
    dialog.get_by_label("CSMS").fill(csms.url)
    expect(dialog.get_by_text(f"{prefix}09 to {prefix}10")).to_be_visible()

    dialog.get_by_role("button", name="Create").click()

    expect(page.get_by_role("status").filter(has_text="2 chargers are created")).to_be_visible()
    expect(row(page, f"{prefix}10")).to_be_visible()
    found = client.get("/ocpp/chargers", params={"q": prefix, "sort": "identity"}).json()["data"]
    assert [charger["identity"] for charger in found] == [f"{prefix}09", f"{prefix}10"]


def test_what_the_api_refuses_stands_beside_its_field(
    page: Page, complaints: Complaints, prefix: str
) -> None:
    complaints.allow("422")  # the browser writes it to its console
    open_view(page, f"/dashboard?q={prefix}")
    page.get_by_role("button", name="Create", exact=True).click()
    dialog = page.get_by_role("dialog", name="Create a charger")
    dialog.get_by_label("CSMS").fill("http://csms.test")

    dialog.get_by_role("button", name="Create").click()

    expect(dialog.get_by_text("URL scheme should be ws or wss")).to_be_visible()
    expect(dialog.get_by_label("CSMS")).to_have_attribute("aria-invalid", "true")


def test_a_press_on_stop_shows_the_request_and_then_what_became_of_it(
    page: Page, client: httpx.Client, csms: RememberingCsms, prefix: str
) -> None:
    create(client, csms, f"{prefix}1")
    open_view(page, f"/dashboard?q={prefix}")

    page.get_by_role("button", name=f"Stop {prefix}1").click()

    expect(page.get_by_role("status").filter(has_text=f"Stop requested for {prefix}1")).to_be_visible()
    expect(row(page, f"{prefix}1").locator(".fleet-state")).to_contain_text("stopped", timeout=WITHIN_MS)
    expect(row(page, f"{prefix}1")).to_contain_text("not connected: stopped", timeout=WITHIN_MS)
    expect(row(page, f"{prefix}1").locator(".fleet-command")).to_be_empty(timeout=WITHIN_MS)
    csms.wait_for_end(f"{prefix}1")


def test_a_stop_during_a_transaction_asks_first(
    page: Page, client: httpx.Client, csms: RememberingCsms, prefix: str
) -> None:
    charger_id = create(client, csms, f"{prefix}1")
    target = {"target": {"charger_id": charger_id}}
    client.post(
        "/ocpp/commands/plug-connector", params={"wait": 10}, json=target | {"event": {"connector_id": 1}}
    )
    client.post(
        "/ocpp/commands/start-session",
        params={"wait": 10},
        json=target | {"event": {"connector_id": 1, "id_tag": "TAG-1"}},
    )
    wait_until(
        lambda: any(
            connector["transaction_id"] is not None
            for connector in client.get(f"/ocpp/chargers/{charger_id}").json()["connectors"] or []
        )
    )
    open_view(page, f"/dashboard?q={prefix}")

    page.get_by_role("button", name=f"Stop {prefix}1").click()
    question = page.get_by_role("dialog", name=f"Stop {prefix}1?")
    expect(question).to_contain_text(f"{prefix}1 is charging")
    question.get_by_role("button", name="Cancel").click()

    expect(question).to_have_count(0)
    assert client.get(f"/ocpp/chargers/{charger_id}").json()["runtime"]["desired"] == "running"


def test_a_delete_has_its_identity_typed(
    page: Page, client: httpx.Client, csms: RememberingCsms, prefix: str
) -> None:
    create(client, csms, f"{prefix}1")
    open_view(page, f"/dashboard?q={prefix}")

    page.get_by_role("button", name=f"More for {prefix}1").click()
    page.get_by_role("menuitem", name="Delete …").click()
    question = page.get_by_role("dialog", name=f"Delete {prefix}1?")
    action = question.get_by_role("button", name=f"Delete {prefix}1")
    expect(action).to_be_disabled()
    question.get_by_role("textbox").fill(f"{prefix}1")
    action.click()

    expect(row(page, f"{prefix}1")).to_contain_text("removed")
    found = client.get("/ocpp/chargers", params={"q": prefix}).json()
    assert found["total"] == 0


def test_many_are_stopped_by_one_job_after_a_question_that_names_them(
    page: Page, client: httpx.Client, csms: RememberingCsms, prefix: str
) -> None:
    for number in (1, 2, 3):
        create(client, csms, f"{prefix}{number}")
    open_view(page, f"/dashboard?q={prefix}")
    expect(row(page, f"{prefix}3")).to_be_visible()

    page.get_by_role("checkbox", name="Select the page").check()
    page.get_by_role("toolbar", name="Selected chargers").get_by_role("button", name="Stop").click()
    question = page.get_by_role("dialog", name="Stop 3 chargers?")
    expect(question).to_contain_text(f"{prefix}1, {prefix}2, {prefix}3")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    assert axe(page) == []
    question.get_by_role("button", name="Stop 3 chargers").click()

    expect(page.get_by_role("link", name="Stop 3 chargers")).to_have_attribute(
        "href", re.compile("^/dashboard/jobs/")
    )
    for number in (1, 2, 3):
        expect(row(page, f"{prefix}{number}")).to_contain_text("not connected: stopped", timeout=WITHIN_MS)
