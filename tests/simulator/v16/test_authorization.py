"""OCPP 1.6: tokens, the local list and reservations."""

import pytest

from simulator.clock import format_time
from tests.simulator.talk import Talk, in_seconds
from tests.support.csms import Payload
from tests.support.waiting import wait_until_async


@pytest.mark.charger(configuration='{"LocalPreAuthorize": "true"}')
async def test_a_local_list_authorizes_without_asking(talk: Talk) -> None:
    entries = [
        {"id_tag": "GOOD", "id_tag_info": {"status": "Accepted"}},
        {"id_tag": "BAD", "id_tag_info": {"status": "Blocked"}},
    ]
    answer = await talk.call(
        "SendLocalList", list_version=3, update_type="Full", local_authorization_list=entries
    )
    assert answer.status == "Accepted"
    assert (await talk.call("GetLocalListVersion")).list_version == 3

    await talk.perform("PlugIn")
    await talk.perform("PresentToken", '{"idToken": "good"}')

    await talk.link.next("StartTransaction")
    assert talk.link.all("Authorize") == []


async def test_a_local_list_is_updated_in_steps(talk: Talk) -> None:
    async def send(version: int, kind: str, *entries: Payload) -> str:
        answer = await talk.call(
            "SendLocalList", list_version=version, update_type=kind, local_authorization_list=list(entries)
        )
        return str(answer.status)

    good = {"id_tag": "GOOD", "id_tag_info": {"status": "Accepted"}}
    assert await send(3, "Full", good) == "Accepted"
    assert await send(3, "Differential", good) == "VersionMismatch"
    assert await send(4, "Differential", {"id_tag": "GOOD"}) == "Accepted"
    assert talk.model.authorizer.local_list == {}
    too_many = [{"id_tag": f"T{n}", "id_tag_info": {"status": "Accepted"}} for n in range(1001)]
    assert await send(5, "Full", *too_many) == "Failed"
    await talk.call("ChangeConfiguration", key="LocalAuthListEnabled", value="false")
    assert await send(6, "Full") == "NotSupported"
    assert (await talk.call("GetLocalListVersion")).list_version == -1


@pytest.mark.charger(configuration='{"LocalPreAuthorize": "true"}')
async def test_a_cached_tag_is_not_authorized_again_until_the_cache_is_cleared(talk: Talk) -> None:
    await talk.perform("PresentToken", '{"idToken": "CARD"}')
    await talk.link.next("Authorize")
    await wait_until_async(lambda: "card" in talk.model.authorizer.cache)

    await talk.perform("PresentToken", '{"idToken": "CARD", "connector": 2}')
    await wait_until_async(lambda: talk.model.station.connectors[1].token)
    assert len(talk.link.all("Authorize")) == 1
    assert (await talk.call("ClearCache")).status == "Accepted"

    assert talk.model.authorizer.cache == {}
    await talk.call("ChangeConfiguration", key="AuthorizationCacheEnabled", value="false")
    assert (await talk.call("ClearCache")).status == "Rejected"


async def test_a_card_of_the_same_group_ends_a_transaction(talk: Talk) -> None:
    info = {"status": "Accepted", "parent_id_tag": "FAMILY"}
    talk.csms.answers["Authorize"] = {"id_tag_info": info}
    entries = [{"id_tag": "CHILD", "id_tag_info": info}]
    await talk.call("SendLocalList", list_version=1, update_type="Full", local_authorization_list=entries)
    await talk.perform("PlugIn")
    await talk.perform("PresentToken", '{"idToken": "PARENT"}')
    await talk.link.next("StartTransaction")

    assert await talk.perform("PresentToken", '{"idToken": "CHILD"}') == "Accepted"

    assert (await talk.link.next("StopTransaction"))["id_tag"] == "CHILD"


async def test_a_reservation_keeps_a_connector_for_its_tag(talk: Talk) -> None:
    fields = {"connector_id": 1, "expiry_date": in_seconds(600), "id_tag": "MINE", "reservation_id": 5}
    assert (await talk.call("ReserveNow", **fields)).status == "Accepted"
    await talk.status("Reserved")

    assert (await talk.call("RemoteStartTransaction", id_tag="THEIRS", connector_id=1)).status == "Rejected"
    assert (await talk.call("ReserveNow", **fields | {"reservation_id": 6})).status == "Occupied"
    assert (await talk.call("RemoteStartTransaction", id_tag="MINE", connector_id=1)).status == "Accepted"

    assert (await talk.link.next("StartTransaction"))["reservation_id"] == 5
    assert talk.model.station.reservations.by_id == {}


async def test_a_reservation_is_cancelled_once(talk: Talk) -> None:
    fields = {"connector_id": 1, "expiry_date": in_seconds(600), "id_tag": "MINE", "reservation_id": 5}
    await talk.call("ReserveNow", **fields)
    await talk.status("Reserved")

    assert (await talk.call("CancelReservation", reservation_id=5)).status == "Accepted"

    await talk.status("Available")
    assert (await talk.call("CancelReservation", reservation_id=5)).status == "Rejected"


async def test_a_reservation_expires(talk: Talk) -> None:
    fields = {"connector_id": 1, "id_tag": "MINE", "reservation_id": 5}
    assert (await talk.call("ReserveNow", expiry_date=in_seconds(-1), **fields)).status == "Rejected"
    soon = format_time(talk.model.clock.now() + 0.3)

    assert (await talk.call("ReserveNow", expiry_date=soon, **fields)).status == "Accepted"

    await talk.status("Reserved")
    await talk.status("Available")


@pytest.mark.charger(connectors=2)
async def test_a_reservation_of_any_connector_leaves_one_for_its_tag(talk: Talk) -> None:
    fields = {"connector_id": 0, "expiry_date": in_seconds(600), "id_tag": "MINE", "reservation_id": 5}
    assert (await talk.call("ReserveNow", **fields)).status == "Accepted"

    assert (await talk.call("RemoteStartTransaction", id_tag="ONE")).status == "Accepted"
    assert (await talk.call("RemoteStartTransaction", id_tag="TWO")).status == "Rejected"
    assert (await talk.call("RemoteStartTransaction", id_tag="MINE")).status == "Accepted"


@pytest.mark.parametrize(
    ("prepare", "status"),
    [("Fault", "Faulted"), ("PlugIn", "Occupied"), ("", "Unavailable")],
)
async def test_a_connector_that_is_not_free_cannot_be_reserved(talk: Talk, prepare: str, status: str) -> None:
    if prepare:
        await talk.perform(prepare)
    else:
        await talk.call("ChangeAvailability", connector_id=1, type="Inoperative")

    answer = await talk.call(
        "ReserveNow", connector_id=1, expiry_date=in_seconds(600), id_tag="MINE", reservation_id=5
    )

    assert answer.status == status
