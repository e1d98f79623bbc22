"""What is done at a running charger from its view: cables, tokens, faults, messages, misbehaviour."""

import re

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.browser import Complaints, open_view
from tests.dashboard.chargers import accepted, act, charge, read
from tests.support.stack import RememberingCsms
from tests.support.waiting import wait_until

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])


@pytest.fixture(scope="module")
def charger_id(client: httpx.Client, csms: RememberingCsms) -> str:
    """A charger for the tests that leave it as it was."""
    return accepted(client, csms.url)[0]


def open_charger(page: Page, charger_id: str, query: str = "") -> None:
    open_view(page, f"/dashboard/chargers/{charger_id}{query}")


def actions(page: Page) -> Locator:
    return page.get_by_role("region", name="Actions", exact=True)


def choose(page: Page, title: str) -> Locator:
    """Shows the form of an action."""
    actions(page).get_by_role("combobox", name="Action", exact=True).select_option(title)
    return actions(page).locator("form")


@VERSIONS
def test_a_car_charges_from_the_page_and_its_energy_grows(
    page: Page, client: httpx.Client, csms: RememberingCsms, version: str
) -> None:
    charger_id, _ = accepted(client, csms.url, ocpp_version=version)
    open_charger(page, charger_id)
    card = page.get_by_role("article", name="Connector 1" if version == "OCPP1.6" else "EVSE 1")
    page.get_by_label("Token to present").fill("CARD-7")

    card.get_by_role("button", name="Plug in").click()
    expect(card.get_by_role("button", name="Unplug")).to_be_visible()
    card.get_by_role("button", name="Present token").click()

    expect(card).to_contain_text("CARD-7")
    expect(card).to_contain_text(re.compile(r"Power[\d.]+ kW"))
    energy = card.locator("dl").get_by_text(re.compile(r"^[\d.]+ Wh$")).first
    first = energy.inner_text()
    expect(energy).not_to_have_text(first)
    expect(card.get_by_role("img", name=re.compile("Power, last .* now"))).to_be_visible()
    expect(card.get_by_role("img", name=re.compile("Energy of the transaction, last"))).to_be_visible()

    card.get_by_role("button", name="Stop transaction").click()
    expect(card).to_contain_text("Transactionnone")
    card.get_by_role("button", name="Unplug").click()
    expect(card).to_contain_text("Available")


def test_a_fault_is_shown_and_cleared_where_it_is(page: Page, charger_id: str) -> None:
    open_charger(page, charger_id)
    form = choose(page, "Inject fault")
    form.get_by_label("Fault type").fill("GroundFault")
    form.get_by_label("Connector").select_option("Connector 1")
    form.get_by_role("button", name="Inject fault").click()

    card = page.get_by_role("article", name="Connector 1")
    expect(card).to_contain_text("Faulted")
    expect(card).to_contain_text("GroundFailure")
    card.get_by_role("button", name="Clear fault").click()

    expect(card).to_contain_text("Available")


def test_what_an_action_answered_is_shown_and_kept_in_the_timeline(page: Page, charger_id: str) -> None:
    open_charger(page, charger_id, "?show=actions")
    form = choose(page, "Authorize id tag")
    form.get_by_label("Token", exact=True).fill("CARD-9")
    form.get_by_role("button", name="Authorize id tag").click()

    expect(actions(page).get_by_role("status").first).to_contain_text("applied, the CSMS says Accepted")
    newest = page.locator(".timeline > li").first
    expect(newest).to_contain_text("authorize id tag")
    expect(newest).to_contain_text("applied")


def test_what_the_api_refuses_of_an_action_stands_beside_its_field(
    page: Page, charger_id: str, complaints: Complaints
) -> None:
    complaints.allow("422")
    open_charger(page, charger_id)
    form = choose(page, "Plug connector")
    form.get_by_label("Phases").fill("9")
    form.get_by_role("button", name="Plug connector").click()
    expect(form.get_by_label("Phases")).to_have_attribute("aria-invalid", "true")

    form = choose(page, "Proxy message")
    form.get_by_label("Payload").fill("{")
    form.get_by_role("button", name="Proxy message").click()
    expect(form.get_by_label("Payload")).to_have_attribute("aria-invalid", "true")
    expect(form).to_contain_text("This is no JSON")


def test_what_the_charger_refuses_is_said_with_its_reason(
    page: Page, charger_id: str, complaints: Complaints
) -> None:
    complaints.allow("422")
    open_charger(page, charger_id)
    form = choose(page, "Inject fault")
    form.get_by_label("Fault type").fill("Nonsense")
    form.get_by_role("button", name="Inject fault").click()

    expect(actions(page)).to_contain_text("rejected: fault_type is not one of")


def test_every_action_of_the_document_has_a_form(page: Page, client: httpx.Client, charger_id: str) -> None:
    document = client.get("/openapi.json").json()
    operations = {
        operation["operationId"]
        for path, methods in document["paths"].items()
        if path.startswith("/ocpp/commands/") and "{" not in path
        for method, operation in methods.items()
        if method in ("get", "post", "delete")
    }

    open_charger(page, charger_id)
    select = actions(page).get_by_role("combobox", name="Action", exact=True)

    expect(select.locator("option")).to_have_count(len(operations))
    for name in operations:
        select.select_option(name)
        expect(actions(page).locator("form").get_by_role("button")).to_be_enabled()


def test_each_kind_of_misbehaviour_has_its_own_fields_and_what_is_armed_is_cleared_one_by_one(
    page: Page, client: httpx.Client, charger_id: str
) -> None:
    open_charger(page, charger_id)
    form = choose(page, "Misbehave")
    form.get_by_label("Kind").select_option("power_cut")
    expect(form.get_by_label("Code")).to_have_count(0)
    form.get_by_label("Kind").select_option("refuse_requests")
    form.get_by_label("Code").fill("GenericError")
    form.get_by_role("button", name="Misbehave").click()
    armed = actions(page).locator(".armed li")
    expect(armed).to_contain_text(["refuse requests"])
    act(client, charger_id, "misbehave", kind="lock_fails", connector_id=1)
    actions(page).get_by_role("button", name="Read what is armed").click()
    expect(armed).to_have_count(2)

    actions(page).get_by_role("button", name="Clear refuse requests").click()
    expect(armed).to_have_count(1)
    expect(armed).to_contain_text("lock fails")
    actions(page).get_by_role("button", name="Clear all").click()

    expect(armed).to_have_count(0)


def test_a_message_of_the_charger_is_sent_and_the_csms_answers(
    page: Page, csms: RememberingCsms, client: httpx.Client, charger_id: str
) -> None:
    identity = read(client, charger_id)["identity"]
    open_charger(page, charger_id, "?action=trigger_message")
    form = actions(page).locator("form")
    form.get_by_label("Message").fill("Heartbeat")
    before = len(csms.calls_of(identity))
    form.get_by_role("button", name="Trigger message").click()

    expect(actions(page).get_by_role("status").first).to_contain_text("applied")
    csms.wait_for_call(identity, "Heartbeat", after=before)


def test_a_charger_that_is_gone_from_the_control_link_gets_nothing_and_its_connectors_are_stale(
    page: Page, client: httpx.Client, csms: RememberingCsms
) -> None:
    charger_id, _ = accepted(client, csms.url)
    charge(client, charger_id)
    open_charger(page, charger_id)
    expect(page.get_by_role("article", name="Connector 1")).to_contain_text("Charging")

    client.post(f"/ocpp/chargers/{charger_id}/stop-charger", params={"wait": 20}, timeout=30)
    wait_until(lambda: not read(client, charger_id)["control"]["connected"], 10)

    connectors = page.get_by_role("region", name="Connectors")
    expect(connectors).to_contain_text("Stale: reported", timeout=15_000)
    expect(actions(page)).to_contain_text("The charger is stopped: start it")
    expect(actions(page).locator("form").get_by_role("button")).to_be_disabled()
