"""Reservations: whom they let in, what they leave free, and how they end."""

import json
import time

import pytest

from simulator.station.model import Reservation, Token
from tests.simulator.station.both import (
    answer_authorize,
    change_availability,
    request_start,
    reserve,
    show,
    started,
    token,
)
from tests.simulator.talk import Talk, in_seconds
from tests.support.waiting import wait_until_async


def ids(talk: Talk) -> list[int]:
    return list(talk.model.station.reservations.by_id)


def updates(talk: Talk) -> set[tuple[int, str]]:
    return {
        (payload["reservation_id"], payload["reservation_update_status"])
        for payload in talk.link.all("ReservationStatusUpdate")
    }


async def test_a_token_of_the_reserved_group_is_let_in_when_the_csms_knows_it(talk: Talk) -> None:
    """OCPP 1.6 part 1, 5.13; 2.0.1, H03 S2."""
    answer_authorize(talk, HERS=("Accepted", "family"), THEIRS=("Accepted", "OTHERS"))
    assert await reserve(talk, 5, 1, "HIS", group="FAMILY") == "Accepted"
    await talk.perform("PlugIn")

    await show(talk, "THEIRS")
    await wait_until_async(lambda: talk.link.all("Authorize") and not talk.connector.claimed)
    assert talk.connector.token is None
    await show(talk, "HERS")

    assert (await started(talk))["reservation_id"] == 5
    assert ids(talk) == []


async def test_a_token_is_turned_away_at_once_from_what_is_reserved_for_one_token(talk: Talk) -> None:
    await reserve(talk, 5, 1, "HIS")

    assert await show(talk, "HERS") == "Rejected"

    assert talk.link.all("Authorize") == []


@pytest.mark.charger(configuration='{"AuthorizeRemoteTxRequests": "true"}')
async def test_a_remote_start_may_belong_to_the_group_of_a_reservation(talk: Talk) -> None:
    answer_authorize(talk, HERS=("Accepted", "FAMILY"), THEIRS="Accepted")
    await reserve(talk, 5, 1, "HIS", group="FAMILY")

    assert await request_start(talk, "THEIRS", 1) == "Accepted"
    await wait_until_async(lambda: talk.link.all("Authorize") and not talk.connector.claimed)
    assert talk.connector.token is None
    assert await request_start(talk, "HERS", 1) == "Accepted"

    assert (await started(talk))["reservation_id"] == 5


async def test_the_same_connector_is_not_promised_twice(talk: Talk) -> None:
    """2.0.1, H01; OCPP 1.6 part 1, 5.13. The charger has two connectors."""
    assert await reserve(talk, 1, 0, "A") == "Accepted"
    assert await reserve(talk, 2, 1, "B") == "Accepted"

    assert await reserve(talk, 3, 2, "C") == "Occupied"
    assert await reserve(talk, 4, 0, "D") == "Occupied"
    assert await reserve(talk, 5, 1, "E") == "Occupied"

    assert ids(talk) == [1, 2]
    assert await request_start(talk, "A") == "Accepted"
    assert await request_start(talk, "B") == "Accepted"


async def test_a_reservation_with_the_same_id_replaces_the_first(talk: Talk) -> None:
    """2.0.1, H01.FR.02. One that cannot be made leaves the first as it was."""
    await reserve(talk, 5, 1, "A")
    await talk.status("Reserved", connector_id=1)

    assert await reserve(talk, 5, 2, "A") == "Accepted"

    await talk.status("Available", connector_id=1)
    await talk.status("Reserved", connector_id=2)
    assert await reserve(talk, 6, 1, "B") == "Accepted"
    assert await reserve(talk, 5, 1, "A") == "Occupied"
    assert talk.model.station.reservations.by_id[5].connector_number == 2


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [("Fault", "Fault", "Faulted"), ("Fault", "Inoperative", "Unavailable"), ("Fault", "PlugIn", "Occupied")],
)
async def test_without_a_free_connector_the_answer_names_the_least_trouble(
    talk: Talk, first: str, second: str, status: str
) -> None:
    """2.0.1, H01.FR.11 to .13."""
    for connector, trouble in ((1, first), (2, second)):
        if trouble == "Inoperative":
            await change_availability(talk, connector, trouble)
        else:
            await talk.perform(trouble, f'{{"connector": {connector}}}')

    assert await reserve(talk, 5, 0) == status


@pytest.mark.parametrize("trouble", ["fault", "connector", "charger"])
async def test_a_reservation_ends_when_its_connector_goes_out_of_service(talk: Talk, trouble: str) -> None:
    """OCPP 1.6 part 1, 5.13; 2.0.1 reports it as Removed. A reservation of any connector needs one in service."""
    await reserve(talk, 5, 1, "A")
    await reserve(talk, 6, 0, "B")

    if trouble == "fault":
        await talk.perform("Fault")
    else:
        await change_availability(talk, 1 if trouble == "connector" else 0, "Inoperative")

    kept = [] if trouble == "charger" else [6]
    assert ids(talk) == kept
    if not talk.is_16:
        ended = {(number, "Removed") for number in (5, 6) if number not in kept}
        await wait_until_async(lambda: updates(talk) == ended)
    await talk.perform("ClearFault")
    await change_availability(talk, 0, "Operative")
    await change_availability(talk, 1, "Operative")
    assert await request_start(talk, "C", 1) == "Accepted"


async def test_a_reservation_of_any_connector_ends_with_the_last_one_in_service(talk: Talk) -> None:
    await talk.start()
    assert await reserve(talk, 5, 0) == "Accepted"
    await change_availability(talk, 2, "Inoperative")
    await change_availability(talk, 1, "Inoperative")
    assert ids(talk) == [5]

    await talk.perform("Unplug")

    await talk.status("Unavailable", connector_id=1)
    assert ids(talk) == []


@pytest.mark.parametrize("version", ["OCPP2.0.1"])
async def test_the_last_free_evses_are_reserved_for_reservations_of_any(talk: Talk) -> None:
    """H01.FR.09 and H02.FR.06: as many reservations as EVSEs are free."""
    await reserve(talk, 5, 0, "A")
    await request_start(talk, "OTHER", 1)
    await talk.status("Reserved", connector_id=2)

    await talk.call("CancelReservation", reservation_id=5)

    await talk.status("Available", connector_id=2)


@pytest.mark.charger(configuration=json.dumps({"TxCtrlr.TxStartPoint": "EVConnected"}))
@pytest.mark.parametrize("version", ["OCPP2.0.1"])
async def test_a_car_without_a_token_does_not_use_up_a_reservation(talk: Talk) -> None:
    """G01.FR.09 and H03 S1: the EVSE stays Reserved until the reservation's token is shown."""
    await reserve(talk, 5, 1, "MINE")
    await talk.status("Reserved")
    await talk.perform("PlugIn")

    assert "reservation_id" not in await talk.event("Started", "CablePluggedIn")
    assert await show(talk, "OTHER") == "Rejected"
    assert ids(talk) == [5]
    await show(talk, "MINE")

    assert (await talk.event("Updated", "Authorized"))["reservation_id"] == 5
    await talk.status("Occupied")
    assert ids(talk) == []


@pytest.mark.parametrize("version", ["OCPP2.0.1"])
async def test_a_requested_start_with_the_group_of_a_reservation_is_let_in(talk: Talk) -> None:
    """F01 with groupIdToken: the group counts for the reservation, and for who may end the transaction."""
    await reserve(talk, 5, 1, "HIS", group="FAMILY")

    assert await request_start(talk, "HERS", 1, group_id_token=token("OTHERS")) == "Rejected"
    assert await request_start(talk, "HERS", 1, group_id_token=token("FAMILY")) == "Accepted"

    assert (await started(talk))["reservation_id"] == 5
    answer_authorize(talk, CHILD=("Accepted", "FAMILY"))
    await show(talk, "CHILD")
    assert (await talk.event("Ended", "StopAuthorized"))["id_token"]["id_token"] == "CHILD"


@pytest.mark.charger(configuration=json.dumps({"ReservationCtrlr.Enabled": "false"}))
async def test_nothing_is_reserved_where_that_is_configured(talk: Talk) -> None:
    """2.0.1, H01.FR.01."""
    assert await reserve(talk, 5, 1) == "Rejected"


@pytest.mark.charger(connectors=100)
async def test_many_reservations_of_many_connectors_take_no_long_time(talk: Talk) -> None:
    """The other chargers of the process wait meanwhile."""
    reservations, now = talk.model.station.reservations, talk.model.clock.now()
    for number in range(1, 100, 2):
        reservation = Reservation(number, number, Token(f"T{number}"), None, now + 600)
        assert reservations.reserve(reservation) == "Accepted"
    for number in range(100, 110):
        reservation = Reservation(number, 0, Token(f"T{number}"), None, now + 600)
        began_s = time.process_time()
        assert reservations.reserve(reservation) == "Accepted"
        assert time.process_time() - began_s < 0.3

    assert await request_start(talk, "T100") == "Accepted"


@pytest.mark.parametrize("version", ["OCPP2.0.1"])
@pytest.mark.parametrize(
    ("kind", "status"), [("sType2", "Accepted"), ("Unknown", "Accepted"), ("cCCS2", "Rejected")]
)
async def test_only_a_type_of_connector_that_is_there_is_reserved(talk: Talk, kind: str, status: str) -> None:
    """H01, TC_H_15. The charger has connectors of Type2."""
    answer = await talk.call(
        "ReserveNow", id=5, expiry_date_time=in_seconds(600), id_token=token("MINE"), connector_type=kind
    )

    assert answer.status == status
