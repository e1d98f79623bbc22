"""The view of one charger: its states, its commands, and what is done with it."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.browser import PHONE, Complaints, axe_in_both_themes, open_view, width_of_content
from tests.dashboard.chargers import accepted, act, charge, created, read
from tests.dashboard.conftest import NewPage
from tests.support.proxy import TcpProxy
from tests.support.stack import RememberingCsms, Stack

WITHIN_MS = 20_000  # a charger starts or stops

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'`"


@pytest.fixture(scope="module")
def idle(client: httpx.Client, csms: RememberingCsms) -> tuple[str, str]:
    """Id and identity of a charger that the tests leave as it is."""
    return accepted(client, csms.url)


@pytest.fixture
def ecs_is_away(stack: Stack) -> Iterator[Callable[[], None]]:
    """No service can be changed until the function is called."""
    stack.set_faults({"kind": "error", "status": 503, "action": "UpdateService"})
    yield stack.set_faults
    stack.set_faults()


@pytest.fixture
def proxy(stack: Stack) -> Iterator[TcpProxy]:
    """A line to the API that can be cut."""
    made = TcpProxy(urlsplit(stack.api_url).port or 0)
    yield made
    made.close()


def open_charger(page: Page, charger_id: str, query: str = "") -> None:
    open_view(page, f"/dashboard/chargers/{charger_id}{query}")
    expect(states(page)).to_be_visible()


def states(page: Page) -> Locator:
    return page.get_by_role("region", name="States")


def entry(page: Page, title: str) -> Locator:
    """The newest command or action of this title, with its steps."""
    return page.locator(".timeline > li").filter(has=page.get_by_text(title, exact=True)).first


def test_a_new_charger_is_followed_until_its_csms_has_accepted_it(
    page: Page, client: httpx.Client, csms: RememberingCsms
) -> None:
    charger_id, identity = created(client, csms.url)

    open_charger(page, charger_id)

    expect(states(page)).to_contain_text(
        f"{identity} runs, as desired, and its CSMS has accepted it.", timeout=WITHIN_MS
    )
    expect(states(page)).to_contain_text("generation 1 applied")
    steps = entry(page, "create").get_by_role("listitem")
    expect(steps).to_contain_text(["accepted", "ECS accepted it", "succeeded"])
    expect(page).to_have_title(f"{identity} · Chargehand")


def test_a_charger_with_a_wrong_address_says_why_and_is_mended_from_the_page(
    page: Page, client: httpx.Client, csms: RememberingCsms
) -> None:
    charger_id, identity = created(client, "ws://127.0.0.1:9/ocpp")
    open_charger(page, charger_id)
    expect(states(page)).to_contain_text("nothing listens on 127.0.0.1:9", timeout=WITHIN_MS)

    page.get_by_role("button", name="Change the CSMS address").click()
    dialog = page.get_by_role("dialog", name=f"Edit {identity}")
    dialog.get_by_label("CSMS address").fill(csms.url)
    dialog.get_by_label("Name").fill("Bay A07")
    dialog.get_by_role("button", name="Save").click()

    expect(states(page)).to_contain_text("its CSMS has accepted it", timeout=WITHIN_MS)
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{identity} Bay A07")
    expect(page.get_by_role("region", name="Settings")).to_contain_text(csms.url)
    expect(page.get_by_role("region", name="Settings")).to_contain_text("follows revision", timeout=WITHIN_MS)


def test_labels_lead_to_the_chargers_that_have_them_and_the_end_of_its_time_is_shown(
    page: Page, client: httpx.Client, csms: RememberingCsms
) -> None:
    charger_id, identity = accepted(client, csms.url, labels={"run": "a: 1/2"}, ttl_seconds=7200)
    accepted(client, csms.url, labels={"run": "other"})
    open_charger(page, charger_id)
    facts = page.get_by_role("region", name="Settings")
    expect(facts).to_contain_text(re.compile(r"Goes awayin (2 h|1 h)"))

    facts.get_by_role("link", name="run: a: 1/2").click()

    expect(page.get_by_role("button", name="Remove the filter label: run:a: 1/2")).to_be_visible()
    expect(page.locator(".fleet-table tbody tr")).to_have_count(1)
    expect(page.locator(".fleet-table tbody tr")).to_contain_text(identity)


def test_what_the_api_refuses_of_an_edit_stands_beside_its_field(
    page: Page, idle: tuple[str, str], complaints: Complaints
) -> None:
    complaints.allow("422")  # the browser writes it to its console
    open_charger(page, idle[0])
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("CSMS address").fill("http://csms.test")

    dialog.get_by_role("button", name="Save").click()

    expect(dialog.get_by_label("CSMS address")).to_have_attribute("aria-invalid", "true")
    expect(dialog.locator(".field-error")).to_contain_text("ws or wss")


def test_a_stop_during_a_transaction_says_what_ends_and_asks(
    page: Page, client: httpx.Client, csms: RememberingCsms
) -> None:
    charger_id, identity = accepted(client, csms.url)
    charge(client, charger_id)
    open_charger(page, charger_id)
    stop = page.get_by_role("group", name="Charger").get_by_role("button", name="Stop", exact=True)

    stop.click()
    dialog = page.get_by_role("dialog", name=f"Stop {identity}?")
    expect(dialog).to_contain_text(re.compile(rf"{identity} is charging \([\d.]+ kW, [\d.]+ k?Wh\)"))
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    assert read(client, charger_id)["runtime"]["desired"] == "running"
    stop.click()
    dialog.get_by_role("button", name=f"Stop {identity}").click()

    expect(states(page)).to_contain_text(f"{identity} is stopped, as desired", timeout=WITHIN_MS)
    expect(entry(page, "stop")).to_contain_text("succeeded", timeout=WITHIN_MS)
    expect(page.get_by_role("button", name="Unplug")).to_be_disabled()
    expect(page.get_by_role("region", name="Connectors")).to_contain_text("The charger is stopped")
    expect(page.get_by_role("region", name="Settings")).to_contain_text(
        "not connected since", timeout=WITHIN_MS
    )


def test_a_command_that_waits_says_for_what_and_a_superseded_one_names_its_successor(
    page: Page, client: httpx.Client, csms: RememberingCsms, ecs_is_away: Callable[[], None]
) -> None:
    charger_id, _ = accepted(client, csms.url)
    open_charger(page, charger_id)
    buttons = page.get_by_role("group", name="Charger")
    expect(entry(page, "create")).to_be_visible()

    buttons.get_by_role("button", name="Stop", exact=True).click()
    expect(entry(page, "stop").locator("summary")).to_contain_text("waits: ", timeout=WITHIN_MS)
    buttons.get_by_role("button", name="Start", exact=True).click()
    expect(entry(page, "start")).to_be_visible()
    ecs_is_away()

    expect(entry(page, "stop")).to_contain_text("superseded", timeout=WITHIN_MS)
    expect(entry(page, "start")).to_contain_text("succeeded", timeout=WITHIN_MS)
    entry(page, "stop").locator("summary").click()
    entry(page, "stop").get_by_role("link", name="a newer command").click()
    expect(entry(page, "start").locator("summary")).to_be_focused()


def test_a_charger_that_ecs_cannot_run_says_why_and_what_to_do(
    page: Page, client: httpx.Client, csms: RememberingCsms, stack: Stack
) -> None:
    stack.set_faults({"kind": "cannot_pull_image", "service": "*"})
    try:
        charger_id, identity = created(client, csms.url)
        open_charger(page, charger_id)

        expect(states(page)).to_contain_text(
            f"{identity} should be running and is starting", timeout=WITHIN_MS
        )
        expect(states(page).get_by_role("link", name="image_unavailable")).to_be_visible(timeout=WITHIN_MS)
        expect(states(page)).to_contain_text("Correct ECS_IMAGE")
    finally:
        stack.set_faults()


def test_older_actions_are_loaded_on_request_and_the_timeline_has_no_gap(
    page: Page, client: httpx.Client, csms: RememberingCsms
) -> None:
    charger_id, _ = accepted(client, csms.url)
    for _ in range(21):
        client.get("/ocpp/commands/fault-status", params={"charger_id": charger_id})
    open_charger(page, charger_id)
    entries = page.locator(".timeline > li")
    expect(entries).to_have_count(
        20
    )  # what is older than them is not known yet, so the create is not shown either

    page.get_by_role("button", name="Load older").click()

    expect(entries).to_have_count(22)
    expect(entries.last).to_contain_text("create")
    expect(page.get_by_role("button", name="Load older")).to_be_hidden()
    page.get_by_role("button", name="Commands", exact=True).click()
    expect(entries).to_have_count(1)


def test_a_charger_that_is_deleted_while_it_is_shown_stays_readable_and_says_so(
    page: Page, client: httpx.Client, csms: RememberingCsms, complaints: Complaints
) -> None:
    complaints.allow("404")  # read once more, before the page hears of the end
    charger_id, identity = accepted(client, csms.url)
    open_charger(page, charger_id)

    client.delete(f"/ocpp/chargers/{charger_id}")

    expect(page.get_by_role("alert")).to_contain_text(f"{identity} has been deleted", timeout=WITHIN_MS)
    expect(page.get_by_role("button", name="Restart")).to_be_disabled()
    expect(states(page)).to_be_visible()
    expect(page.get_by_text("could not be read")).to_have_count(0)


def test_a_charger_is_deleted_when_its_identity_is_typed(
    page: Page, client: httpx.Client, csms: RememberingCsms
) -> None:
    charger_id, identity = accepted(client, csms.url)
    open_charger(page, charger_id)

    page.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("dialog", name=f"Delete {identity}?")
    expect(dialog.get_by_role("button", name=f"Delete {identity}")).to_be_disabled()
    dialog.get_by_label("Type").fill(identity)
    dialog.get_by_role("button", name=f"Delete {identity}").click()

    expect(page.get_by_role("heading", name="Fleet", level=1)).to_be_visible()
    listed = client.get("/ocpp/chargers", params={"identity": identity}).json()
    assert listed["data"] == []


def test_an_unknown_charger_is_named_with_the_way_back(page: Page, complaints: Complaints) -> None:
    complaints.allow("404")

    open_view(page, "/dashboard/chargers/dep-nowhere")

    expect(page.get_by_role("heading", name="No such charger in demo")).to_be_visible()
    page.get_by_role("link", name="To the fleet").click()
    expect(page.get_by_role("heading", name="Fleet", level=1)).to_be_visible()


def test_hostile_texts_stay_texts(page: Page, client: httpx.Client, csms: RememberingCsms) -> None:
    charger_id, _ = accepted(client, csms.url, charge_point_name=HOSTILE, serial_number=HOSTILE[:25])
    act(client, charger_id, "present-token", id_tag=HOSTILE[:20])

    open_charger(page, charger_id)

    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE)
    expect(page.get_by_role("region", name="Settings")).to_contain_text(HOSTILE[:25])
    assert page.locator("main img, main script").count() == 0


def test_keys_ask_before_they_act(page: Page, idle: tuple[str, str], client: httpx.Client) -> None:
    charger_id, identity = idle
    open_charger(page, charger_id)

    for key, verb in (("s", "Stop"), ("t", "Start"), ("r", "Restart")):
        page.keyboard.press(key)
        dialog = page.get_by_role("dialog", name=f"{verb} {identity}?")
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()

    assert read(client, charger_id)["runtime"]["generation"] == 1


def test_what_is_known_stays_while_chargehand_is_away_and_goes_on_afterwards(
    new_page: NewPage, client: httpx.Client, csms: RememberingCsms, proxy: TcpProxy, complaints: Complaints
) -> None:
    complaints.allow("Failed to load resource")
    complaints.origin = f"http://127.0.0.1:{proxy.port}"
    charger_id, identity = accepted(client, csms.url)
    page = new_page(base_url=complaints.origin)
    open_charger(page, charger_id)
    expect(page.locator("#header")).to_contain_text("live")

    proxy.cut()
    expect(page.get_by_text("What is here is the last that was known")).to_be_visible()
    expect(states(page)).to_contain_text("its CSMS has accepted it")
    expect(page.get_by_role("button", name="Restart")).to_be_disabled()
    client.post(f"/ocpp/chargers/{charger_id}/stop-charger", params={"wait": 20}, timeout=30)
    proxy.heal()

    expect(states(page)).to_contain_text(f"{identity} is stopped, as desired", timeout=WITHIN_MS)
    expect(page.get_by_role("button", name="Restart")).to_be_enabled()


@pytest.mark.parametrize("tab", ["frames", "actions", "settings"])
def test_each_part_of_the_view_fits_a_phone_and_has_no_serious_violation(
    new_page: NewPage, idle: tuple[str, str], tab: str
) -> None:
    page = new_page(viewport=PHONE)

    open_charger(page, idle[0], f"?tab={tab}")
    expect(page.get_by_role("article", name="Connector 1")).to_be_visible()

    assert axe_in_both_themes(page) == []
    assert width_of_content(page) <= PHONE["width"]
