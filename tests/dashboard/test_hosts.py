"""Hosts in the dashboard: in the view "Operations", at a charger, in the list, and where a charger is created."""

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import delete, func, update

from shared.database.engine import Sessions, make_engine
from shared.ids import new_host_id
from shared.models import Charger, Host
from tests.dashboard.browser import PHONE, axe, open_view, width_of_content
from tests.dashboard.chargers import created, new_identity
from tests.dashboard.conftest import DEMO, NewPage
from tests.support.stack import RememberingCsms, Stack
from tests.support.waiting import wait_until

OPERATIONS = "/dashboard/operations"


@pytest.fixture
def sessions(stack: Stack) -> Iterator[Sessions]:
    engine = make_engine(stack.database_url, pool_size=2)
    yield Sessions(engine)
    engine.dispose()


@pytest.fixture
def host_id(sessions: Sessions) -> Iterator[str]:
    """A host that is late, as its process reported. No worker looks at it today."""
    host_id = new_host_id()
    with sessions.begin() as session:
        session.add(
            Host(
                id=host_id,
                organization_id=DEMO,
                capacity=1_000,
                chargers=1,
                empty_since=None,
                running=998,
                connected=990,
                lag_ms=812.0,
                memory_bytes=60 * 1024 * 1024,
                cpu_percent=24.5,
                lines_dropped=7,
                reported_at=func.now(),
                converge_at=func.now() + timedelta(days=1),
            )
        )
    yield host_id
    with sessions.begin() as session:
        session.execute(delete(Host).where(Host.id == host_id))


@pytest.fixture
def on_host(
    sessions: Sessions, client: httpx.Client, csms: RememberingCsms, host_id: str
) -> Iterator[tuple[str, str]]:
    """Id and identity of a stopped charger that is on the host."""
    charger_id, identity = created(client, csms.url, params={"wait": 30})
    client.post(f"/ocpp/chargers/{charger_id}/stop-charger", params={"wait": 30}, timeout=40)
    this = update(Charger).where(Charger.id == charger_id)
    with sessions.begin() as session:
        session.execute(this.values(placement="shared", host_id=host_id))
    yield charger_id, identity
    with sessions.begin() as session:
        session.execute(this.values(placement="dedicated", host_id=None))


def test_the_hosts_are_in_the_view_operations_and_lead_to_their_chargers(
    page: Page, host_id: str, on_host: tuple[str, str]
) -> None:
    open_view(page, OPERATIONS)

    row = page.locator(f'[data-host="{host_id}"]')
    expect(row).to_contain_text("starting")
    expect(row).to_contain_text("1 of 1,000")
    expect(row).to_contain_text("short of CPU: its timers are 812 ms late")
    expect(row).to_contain_text("60 MiB")
    assert axe(page) == []
    row.get_by_role("link").click()
    expect(page.get_by_role("link", name=on_host[1], exact=True)).to_be_visible()
    expect(page.locator(".fleet-table tbody tr")).to_have_count(1)
    expect(page.get_by_text(f"host: {host_id}")).to_be_visible()


@pytest.mark.usefixtures("host_id")
def test_the_table_of_hosts_fits_a_phone(new_page: NewPage) -> None:
    page = new_page(viewport=PHONE)
    open_view(page, OPERATIONS)
    expect(page.locator("#hosts-table")).to_be_visible()

    assert axe(page) == []
    assert width_of_content(page) <= PHONE["width"]


def test_a_charger_says_on_which_host_it_is_and_what_that_is_short_of(
    page: Page, host_id: str, on_host: tuple[str, str]
) -> None:
    open_view(page, f"/dashboard/chargers/{on_host[0]}")

    states = page.get_by_role("region", name="States")
    expect(states).to_contain_text(f"shared, on {host_id}")
    expect(states).to_contain_text("the host is short of CPU: its timers are 812 ms late")
    expect(page.get_by_role("region", name="Settings")).to_contain_text(host_id)
    assert axe(page) == []


def test_a_charger_moves_to_where_the_form_says(
    page: Page, client: httpx.Client, csms: RememberingCsms
) -> None:
    charger_id, identity = created(client, csms.url, params={"wait": 30})
    open_view(page, f"/dashboard/chargers/{charger_id}")
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog", name=f"Edit {identity}")
    expect(dialog.get_by_label("Placement")).to_have_value("dedicated")
    dialog.get_by_label("Placement").select_option("shared")

    dialog.get_by_role("button", name="Save").click()

    expect(page.get_by_role("region", name="States")).to_contain_text("shared, ")
    expect(page.get_by_role("region", name="Settings")).to_contain_text("Host")
    assert client.get(f"/ocpp/chargers/{charger_id}").json()["runtime"]["placement"] == "shared"
    client.delete(f"/ocpp/chargers/{charger_id}")


def test_a_charger_is_created_where_the_form_says(
    page: Page, client: httpx.Client, csms: RememberingCsms
) -> None:
    identity = new_identity()
    open_view(page, f"/dashboard?q={identity}")
    page.get_by_role("button", name="Create", exact=True).click()
    dialog = page.get_by_role("dialog", name="Create a charger")
    dialog.get_by_label("Identity", exact=True).fill(identity)
    dialog.get_by_label("CSMS").fill(csms.url)
    dialog.get_by_label("Placement").select_option("shared")

    dialog.get_by_role("button", name="Create").click()

    expect(page.get_by_role("status").filter(has_text=f"{identity} is created")).to_be_visible()
    found = wait_until(lambda: client.get("/ocpp/chargers", params={"identity": identity}).json()["data"])
    assert found[0]["runtime"]["placement"] == "shared"
    client.delete(f"/ocpp/chargers/{found[0]['id']}")
