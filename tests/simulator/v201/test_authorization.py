"""OCPP 2.0.1: tokens, the local list and reservations."""

import pytest

from simulator.clock import format_time
from tests.simulator.talk import TOKEN, Talk, in_seconds
from tests.support.csms import Payload
from tests.support.waiting import wait_until_async


@pytest.mark.charger(configuration='{"AuthCtrlr.LocalPreAuthorize": "true"}')
async def test_a_local_list_authorizes_without_asking(talk: Talk) -> None:
    entries = [{"id_token": TOKEN, "id_token_info": {"status": "Accepted"}}]
    answer = await talk.call(
        "SendLocalList", version_number=3, update_type="Full", local_authorization_list=entries
    )
    assert answer.status == "Accepted"
    assert (await talk.call("GetLocalListVersion")).version_number == 3

    await talk.perform("PlugIn")
    await talk.perform("PresentToken", '{"idToken": "TAG"}')

    await talk.event("Started", "Authorized")
    assert talk.link.all("Authorize") == []
    stale = await talk.call("SendLocalList", version_number=3, update_type="Differential")
    assert stale.status == "VersionMismatch"


@pytest.mark.parametrize("kind", ["KeyCode", "Local", "eMAID"])
async def test_a_token_is_authorized_with_its_type(talk: Talk, kind: str) -> None:
    """C03, C04, C06."""
    await talk.perform("PlugIn")
    await talk.perform("PresentToken", f'{{"idToken": "1234", "type": "{kind}"}}')

    assert (await talk.link.next("Authorize"))["id_token"] == {"id_token": "1234", "type": kind}
    assert (await talk.event("Started"))["id_token"]["type"] == kind


async def test_a_token_that_needs_no_authorization_is_not_asked_about(talk: Talk) -> None:
    """C02: a start button."""
    await talk.perform("PlugIn")
    await talk.perform("PresentToken", '{"idToken": "BUTTON", "type": "NoAuthorization"}')

    assert (await talk.event("Started"))["id_token"]["type"] == "NoAuthorization"
    assert talk.link.all("Authorize") == []
    assert talk.model.authorizer.cache == {}


async def test_customer_information_is_reported_and_cleared(talk: Talk) -> None:
    await talk.perform("PresentToken", '{"idToken": "TAG"}')
    await wait_until_async(lambda: "tag" in talk.model.authorizer.cache)

    request: Payload = {"id_token": TOKEN, "report": True, "clear": True}
    assert (await talk.call("CustomerInformation", request_id=1, **request)).status == "Accepted"
    assert "TAG: Accepted" in (await talk.link.next("NotifyCustomerInformation"))["data"]
    assert talk.model.authorizer.cache == {}
    assert (await talk.call("CustomerInformation", request_id=2, **request)).status == "Accepted"
    assert (await talk.link.next("NotifyCustomerInformation"))["data"] == ""
    neither: Payload = {"id_token": TOKEN, "report": False, "clear": False}
    assert (await talk.call("CustomerInformation", request_id=3, **neither)).status == "Rejected"
    assert (
        await talk.call("CustomerInformation", request_id=4, report=True, clear=False)
    ).status == "Invalid"


async def test_the_cache_is_cleared(talk: Talk) -> None:
    await talk.perform("PresentToken", '{"idToken": "TAG"}')
    await wait_until_async(lambda: talk.model.authorizer.cache)

    assert (await talk.call("ClearCache")).status == "Accepted"

    assert talk.model.authorizer.cache == {}


async def test_a_reservation_keeps_an_evse_for_its_token(talk: Talk) -> None:
    fields = {"id": 5, "expiry_date_time": in_seconds(600), "id_token": TOKEN, "evse_id": 1}
    assert (await talk.call("ReserveNow", **fields)).status == "Accepted"
    await talk.status("Reserved")
    other = {"id_token": "OTHER", "type": "ISO14443"}

    assert (
        await talk.call("RequestStartTransaction", id_token=other, remote_start_id=1, evse_id=1)
    ).status == "Rejected"
    assert (await talk.start())["reservation_id"] == 5
    assert (await talk.call("CancelReservation", reservation_id=5)).status == "Rejected"


async def test_a_reservation_is_cancelled_or_expires(talk: Talk) -> None:
    fields = {"id": 5, "id_token": TOKEN, "evse_id": 1}
    await talk.call("ReserveNow", expiry_date_time=in_seconds(600), **fields)
    assert (await talk.call("CancelReservation", reservation_id=5)).status == "Accepted"
    soon = format_time(talk.model.clock.now() + 0.2)

    assert (await talk.call("ReserveNow", expiry_date_time=soon, **fields)).status == "Accepted"

    update = await talk.link.next("ReservationStatusUpdate")
    assert (update["reservation_id"], update["reservation_update_status"]) == (5, "Expired")
    assert (await talk.call("ReserveNow", expiry_date_time="soon", **fields)).status == "Rejected"
