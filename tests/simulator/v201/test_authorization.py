"""OCPP 2.0.1, tokens, the local list and reservations: the answer, the effect on the model, and the messages that follow."""

import pytest

from simulator.clock import format_time
from tests.simulator.csms import Payload, until
from tests.simulator.talk import TOKEN, Talk, in_seconds


@pytest.mark.charger(configuration='{"AuthCtrlr.LocalPreAuthorize": "true"}')
async def test_a_local_list_authorizes_without_asking(talk: Talk) -> None:
    entries = [{"id_token": TOKEN, "id_token_info": {"status": "Accepted"}}]
    answer = await talk.ask(
        "SendLocalList", version_number=3, update_type="Full", local_authorization_list=entries
    )
    assert answer.status == "Accepted"
    assert (await talk.ask("GetLocalListVersion")).version_number == 3

    await talk.script("PlugIn")
    await talk.script("PresentToken", '{"idToken": "TAG"}')

    await talk.event("Started", "Authorized")
    assert talk.link.all("Authorize") == []
    stale = await talk.ask("SendLocalList", version_number=3, update_type="Differential")
    assert stale.status == "VersionMismatch"


async def test_what_is_known_of_a_customer_is_told_and_forgotten(talk: Talk) -> None:
    await talk.script("PresentToken", '{"idToken": "TAG"}')
    await until(lambda: "tag" in talk.model.authorizer.cache)

    wish: Payload = {"id_token": TOKEN, "report": True, "clear": True}
    assert (await talk.ask("CustomerInformation", request_id=1, **wish)).status == "Accepted"
    assert "TAG: Accepted" in (await talk.link.next("NotifyCustomerInformation"))["data"]
    assert talk.model.authorizer.cache == {}
    assert (await talk.ask("CustomerInformation", request_id=2, **wish)).status == "Accepted"
    assert (await talk.link.next("NotifyCustomerInformation"))["data"] == ""
    neither: Payload = {"id_token": TOKEN, "report": False, "clear": False}
    assert (await talk.ask("CustomerInformation", request_id=3, **neither)).status == "Rejected"
    assert (await talk.ask("CustomerInformation", request_id=4, report=True, clear=False)).status == "Invalid"


async def test_the_cache_is_cleared(talk: Talk) -> None:
    await talk.script("PresentToken", '{"idToken": "TAG"}')
    await until(lambda: talk.model.authorizer.cache)

    assert (await talk.ask("ClearCache")).status == "Accepted"

    assert talk.model.authorizer.cache == {}


async def test_a_reservation_keeps_an_evse_for_its_token(talk: Talk) -> None:
    fields = {"id": 5, "expiry_date_time": in_seconds(600), "id_token": TOKEN, "evse_id": 1}
    assert (await talk.ask("ReserveNow", **fields)).status == "Accepted"
    await talk.status("Reserved")
    other = {"id_token": "OTHER", "type": "ISO14443"}

    assert (
        await talk.ask("RequestStartTransaction", id_token=other, remote_start_id=1, evse_id=1)
    ).status == "Rejected"
    assert (await talk.start())["reservation_id"] == 5
    assert (await talk.ask("CancelReservation", reservation_id=5)).status == "Rejected"


async def test_a_reservation_is_cancelled_or_expires(talk: Talk) -> None:
    fields = {"id": 5, "id_token": TOKEN, "evse_id": 1}
    await talk.ask("ReserveNow", expiry_date_time=in_seconds(600), **fields)
    assert (await talk.ask("CancelReservation", reservation_id=5)).status == "Accepted"
    soon = format_time(talk.model.clock.now() + 0.2)

    assert (await talk.ask("ReserveNow", expiry_date_time=soon, **fields)).status == "Accepted"

    update = await talk.link.next("ReservationStatusUpdate")
    assert (update["reservation_id"], update["reservation_update_status"]) == (5, "Expired")
    assert (await talk.ask("ReserveNow", expiry_date_time="soon", **fields)).status == "Rejected"
