"""What the SDK makes of our answers: status codes, shapes, pages."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest
from ocpplab import (
    BrandResponse,
    ChargerAcceptedResponse,
    ChargerLogListResponse,
    ChargerResponse,
    ChargerStatusResponse,
    ModelResponse,
    QueuedCommandResponse,
)
from sqlalchemy import text

from shared.database.engine import Sessions
from shared.models import ChargerLog
from tests.contract.http.conftest import SITES, Sdk
from tests.support.environment import Token
from tests.support.http import PLAIN_HTTP

SITE, OTHER_SITE = SITES

WALLBOX = {
    "identity": "CP-TEST-001",
    "brand_slug": "wallbox",
    "model_slug": "wallbox-pulsar-plus",
    "connector_type": "Type2",
    "ws_url": "wss://ocpp-toolkit-api.monta.app",
    "ocpp_version": "OCPP1.6",
    "charge_point_name": "Bay A01",
    "location_id": SITE,
    "location_name": "La Defense Charging Hub",
}
ABB = {
    "identity": "CP-FAST-201",
    "brand_slug": "abb",
    "model_slug": "terra-184",
    "connector_type": "CCS2",
    "ws_url": "wss://example-ocpp-backend.test/ws",
    "ocpp_version": "OCPP2.0.1",
    "charge_point_name": "Fast Bay 01",
}

pytestmark = pytest.mark.usefixtures("backend", "sites")


@pytest.fixture
def charger_id(sdk: Sdk, make_ready: Callable[[str], None], sites: None) -> str:
    """The published example, provisioned."""
    created: str = sdk("chargers.create", **WALLBOX).charger_id
    make_ready(created)
    return created


def test_a_create_is_202_and_pending(sdk: Sdk) -> None:
    answer = sdk("chargers.with_raw_response.create", **WALLBOX)

    accepted = answer.data
    assert answer.status_code == 202
    assert isinstance(accepted, ChargerAcceptedResponse)
    assert (accepted.identity, accepted.status) == ("CP-TEST-001", "PENDING")
    assert accepted.status_url == f"/ocpp/chargers/{accepted.charger_id}/status"
    assert answer.headers["location"] == accepted.status_url
    assert accepted.workflow_run_id


def test_the_published_create_examples_make_the_chargers_that_they_describe(sdk: Sdk) -> None:
    wallbox = sdk("chargers.get", charger_id=sdk("chargers.create", **WALLBOX).charger_id)
    abb = sdk("chargers.get", charger_id=sdk("chargers.create", **ABB).charger_id)

    assert isinstance(wallbox, ChargerResponse)
    assert (wallbox.vendor_name, wallbox.model, wallbox.name) == ("Wallbox", "Pulsar Plus", "Bay A01")
    assert (wallbox.max_charging_power, wallbox.number_of_connectors) == (22000, 1)
    assert wallbox.location_id == SITE
    assert (abb.vendor_name, abb.model, abb.connector_type) == ("ABB", "Terra 184", "CCS2")
    assert (abb.ocpp_version, abb.location_id) == ("OCPP2.0.1", None)
    assert wallbox.created_at is not None
    assert wallbox.created_at.utcoffset() == timedelta()


def test_a_create_repeated_by_a_client_that_lost_the_answer_is_the_same(sdk: Sdk) -> None:
    first, second = sdk("chargers.create", **WALLBOX), sdk("chargers.create", **WALLBOX)

    assert first == second


def test_the_status_of_a_new_charger(sdk: Sdk) -> None:
    accepted = sdk("chargers.create", **WALLBOX)

    status = sdk("chargers.get_status", charger_id=accepted.charger_id)

    assert isinstance(status, ChargerStatusResponse)
    assert (status.charger_id, status.status) == (accepted.charger_id, "PENDING")
    assert (status.workflow_run_id, status.error, status.provisioned_at) == (
        accepted.workflow_run_id,
        None,
        None,
    )


def test_the_status_of_a_ready_charger(sdk: Sdk, charger_id: str) -> None:
    status = sdk("chargers.get_status", charger_id=charger_id)

    assert status.status == "READY"
    assert status.provisioned_at.utcoffset() == timedelta()


@pytest.mark.parametrize(
    ("action", "desired_count"), [("start", 1), ("stop", 0), ("reset", 1)], ids=["start", "stop", "restart"]
)
@pytest.mark.parametrize("request_", [{}, None, {"key": "value"}], ids=["{}", "no body", "any object"])
def test_a_lifecycle_call_is_202_with_the_providers_view(
    sdk: Sdk, charger_id: str, action: str, desired_count: int, request_: dict[str, str] | None
) -> None:
    method = f"chargers.with_raw_response.{action}_runtime"

    answer = sdk(method, charger_id=charger_id, request=request_)

    queued = answer.data
    assert answer.status_code == 202
    assert isinstance(queued, QueuedCommandResponse)
    assert (queued.id, queued.event_type, queued.ocpp_version) == (charger_id, f"{action}_charger", "OCPP1.6")
    assert queued.payload == {
        "provider": "aws",
        "runtime_kind": "ecs_service",
        "service_name": charger_id,
        "desired_count": desired_count,
        "status": "ACTIVE",
    }


def test_where_a_command_is_to_be_watched_is_in_the_answer(sdk: Sdk, charger_id: str) -> None:
    answer = sdk("chargers.with_raw_response.stop_runtime", charger_id=charger_id, request={})

    status_url = answer.headers["location"]
    command = httpx.get(
        f"{sdk.base_url}{status_url}", headers={"Authorization": f"Bearer {sdk.token}"}, **PLAIN_HTTP
    )

    assert command.json()["id"] == answer.data.command_id
    assert command.json()["event_type"] == "stop_charger"
    assert status_url == answer.data.status_url


def test_an_update_gives_the_charger_after_the_change(sdk: Sdk, charger_id: str) -> None:
    before = sdk("chargers.get", charger_id=charger_id)

    answer = sdk(
        "chargers.with_raw_response.update",
        charger_id=charger_id,
        charge_point_name="Bay A02",
        connector_type="Type2",
        location_id=OTHER_SITE,
    )

    after = answer.data
    assert answer.status_code == 200
    assert (after.name, after.location_id) == ("Bay A02", OTHER_SITE)
    assert after.created_at == before.created_at
    assert after.updated_at > before.updated_at
    assert after.identity == before.identity


def test_an_argument_that_is_none_clears_and_one_left_out_does_not(sdk: Sdk, charger_id: str) -> None:
    cleared = sdk("chargers.update", charger_id=charger_id, name=None)

    assert cleared.name is None
    assert cleared.location_id == WALLBOX["location_id"]


def test_a_delete_is_204_without_content(sdk: Sdk, charger_id: str) -> None:
    answer = sdk("chargers.with_raw_response.delete", charger_id=charger_id)

    assert (answer.status_code, answer.data) == (204, None)
    assert sdk("chargers.list").total == 0


def test_chargers_come_in_pages_newest_first(sdk: Sdk) -> None:
    ids = [sdk("chargers.create", **WALLBOX | {"identity": f"CP-{number}"}).charger_id for number in range(3)]

    pages = [sdk("chargers.list", limit=2, page=page) for page in (1, 2, 3)]

    assert [charger.id for page in pages for charger in page.data] == ids[::-1]
    assert [(page.total, page.page, page.limit, len(page.data)) for page in pages] == [
        (3, 1, 2, 2),
        (3, 2, 2, 1),
        (3, 3, 2, 0),
    ]


def test_chargers_of_one_location(sdk: Sdk) -> None:
    here = sdk("chargers.create", **WALLBOX).charger_id
    sdk("chargers.create", **ABB)

    page = sdk("chargers.list", location_id=WALLBOX["location_id"])

    assert [charger.id for charger in page.data] == [here]
    assert (page.total, page.page, page.limit) == (1, 1, 50)


def test_an_admin_acts_for_an_organization(sdk: Sdk, token: Token, charger_id: str) -> None:
    admin = Sdk(sdk.base_url, token(role="admin"), sdk.form, organization_id="acme")

    assert admin("chargers.get", charger_id=charger_id).id == charger_id


@pytest.fixture
def frames(backend: Sessions, charger_id: str) -> Iterator[None]:
    """Three frames, a minute apart."""
    with backend.begin() as session:
        session.execute(
            text(
                "CREATE TABLE frames_of_that_day PARTITION OF charger_logs "
                "FOR VALUES FROM ('2026-04-09T00:00:00Z') TO ('2026-04-10T00:00:00Z')"
            )
        )
        for minute, action in enumerate(["BootNotification", "StatusNotification", "Heartbeat"]):
            session.add(
                ChargerLog(
                    charger_id=charger_id,
                    timestamp=datetime(2026, 4, 9, 9, minute, tzinfo=UTC),
                    event_id=str(minute),
                    direction="cp_to_csms",
                    action=action,
                    message=f'[2,"{minute}","{action}",{{}}]',
                )
            )
    yield
    with backend.begin() as session:
        session.execute(text("DROP TABLE frames_of_that_day"))


@pytest.mark.usefixtures("frames")
def test_logs_are_listed_newest_first(sdk: Sdk, charger_id: str) -> None:
    logs = sdk("chargers.get_logs", charger_id=charger_id)

    assert isinstance(logs, ChargerLogListResponse)
    assert [entry.action for entry in logs.data] == ["Heartbeat", "StatusNotification", "BootNotification"]
    boot = logs.data[2]
    assert (boot.direction, boot.message) == ("cp_to_csms", '[2,"0","BootNotification",{}]')
    assert boot.timestamp == datetime(2026, 4, 9, 9, tzinfo=UTC)
    assert (logs.total, logs.limit, logs.offset) == (3, 1000, 0)


@pytest.mark.usefixtures("frames")
def test_logs_are_filtered_by_time_in_any_zone_by_event_and_cut(sdk: Sdk, charger_id: str) -> None:
    paris = timezone(timedelta(hours=2))

    of_time = sdk(
        "chargers.get_logs",
        charger_id=charger_id,
        start_date=datetime(2026, 4, 9, 11, 1, tzinfo=paris),
        end_date=datetime(2026, 4, 9, 9, 1, tzinfo=UTC),
    )
    of_event = sdk("chargers.get_logs", charger_id=charger_id, event="BootNotification")
    cut = sdk("chargers.get_logs", charger_id=charger_id, limit=1, offset=1)

    assert [entry.action for entry in of_time.data] == ["StatusNotification"]
    assert [entry.action for entry in of_event.data] == ["BootNotification"]
    assert [entry.action for entry in cut.data] == ["StatusNotification"]
    assert (cut.total, cut.limit, cut.offset) == (3, 1, 1)


def test_the_catalog_can_be_walked(sdk: Sdk) -> None:
    brands = sdk("catalog.list_brands", limit=100)
    models = sdk("catalog.list_models", brand_slug="wallbox")
    model = sdk("catalog.get_model", brand_slug="wallbox", model_slug="wallbox-pulsar-plus")

    assert all(isinstance(brand, BrandResponse) for brand in brands.data)
    assert brands.total == len(brands.data) >= 12
    assert model in models.data
    assert isinstance(model, ModelResponse)
    assert (model.name, model.connector_count, model.current_type) == ("Pulsar Plus", 1, "ac")
    assert (model.supported_kwh, model.connector_types) == ([7.4, 22], ["Type2"])
    assert model.brand_id == next(brand.id for brand in brands.data if brand.slug == "wallbox")


def test_health_and_the_landing_page_need_no_token(sdk: Sdk) -> None:
    anonymous = Sdk(sdk.base_url, "none", sdk.form)

    assert anonymous("health.health_check")["status"] == "ok"
    assert "<h1>Chargehand</h1>" in anonymous("health.landing_page")
