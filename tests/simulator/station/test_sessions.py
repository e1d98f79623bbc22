"""Drivers come and leave, whatever their tokens are worth, and nobody's claim stays."""

import json

import pytest

from tests.simulator.station.both import (
    answer_authorize,
    answer_start,
    info,
    info_key,
    request_start,
    request_stop,
    show,
    started,
    stopped,
)
from tests.simulator.talk import Talk
from tests.support.csms import Payload
from tests.support.waiting import wait_until_async

#: 3.6 MW is 1 kWh per second, so a driver who charges leaves soon, too.
SESSIONS = {
    "CHARGER_VISITOR_EVERY_S": 0.1,
    "CHARGER_VISITOR_ID_TAG": "DRIVER",
    "connectors": 1,
    "ev_unplug_s": 0,
    "ev_energy_wh": 50,
    "max_power_w": 3_600_000,
}


def configured(**options: str) -> pytest.MarkDecorator:
    return pytest.mark.charger(configuration=json.dumps(options))


async def visit(talk: Talk) -> None:
    """A car comes and leaves."""
    await wait_until_async(lambda: talk.connector.plugged)
    await wait_until_async(lambda: not talk.connector.plugged)


@pytest.mark.charger(**SESSIONS)
async def test_a_driver_whose_token_is_refused_leaves_and_the_next_one_comes(talk: Talk) -> None:
    answer_authorize(talk, DRIVER="Blocked")
    await wait_until_async(lambda: not talk.connector.plugged)
    talk.link.calls.clear()

    await talk.link.next("Authorize")
    await talk.link.next("Authorize")
    assert talk.link.all("StartTransaction") == talk.link.all("TransactionEvent") == []
    answer_authorize(talk, DRIVER="Accepted")

    await started(talk)


@pytest.mark.charger(**SESSIONS, call_timeout_s=1)
async def test_drivers_leave_when_the_csms_does_not_answer_or_is_away(talk: Talk) -> None:
    talk.csms.raw_answers["Authorize"] = None
    await visit(talk)

    talk.csms.kill()

    await visit(talk)
    await visit(talk)


@pytest.mark.charger(**SESSIONS | {"ev_energy_wh": 100_000})  # nobody leaves before the CSMS has answered
async def test_drivers_come_again_when_the_csms_refuses_transactions_that_have_begun(talk: Talk) -> None:
    answer_start(talk, "Blocked")

    assert (await stopped(talk))["reason"] == "DeAuthorized"
    assert (await stopped(talk))["reason"] == "DeAuthorized"


@pytest.mark.charger(
    **SESSIONS,
    configuration=json.dumps(
        {"StopTransactionOnEVSideDisconnect": "false", "TxCtrlr.TxStopPoint": "Authorized"}
    ),
)
async def test_a_driver_ends_a_transaction_that_would_go_on_without_the_cable(talk: Talk) -> None:
    """Otherwise the connector would be taken for ever by a car that is gone."""
    first, second = await stopped(talk), await stopped(talk)

    assert (first["reason"], first["token"]) == ("Local", "DRIVER")
    assert (second["reason"], second["token"]) == ("Local", "DRIVER")


@pytest.mark.charger(ev_plug_in_s=0.2, configuration=json.dumps({"TxCtrlr.TxStartPoint": "Authorized"}))
async def test_no_car_comes_for_a_transaction_that_was_stopped_before(talk: Talk) -> None:
    await request_start(talk, "TAG", 1)
    await started(talk)
    await wait_until_async(lambda: not talk.model.has_queued_messages(None))

    assert await request_stop(talk) == "Accepted"
    await stopped(talk)

    await request_start(talk, "TAG", 2)
    await wait_until_async(lambda: talk.model.station.connectors[1].plugged)
    assert not talk.connector.plugged


@pytest.mark.charger(
    ev_plug_in_s="never",
    configuration=json.dumps(
        {
            "TxCtrlr.TxStartPoint": "Authorized",
            "TxCtrlr.TxStopPoint": "EVConnected",
            "ConnectionTimeOut": "0",
        }
    ),
)
async def test_a_transaction_that_never_had_a_car_ends_with_its_authorization(talk: Talk) -> None:
    """TxStopPoint EVConnected: there is no cable to wait for."""
    await request_start(talk, "TAG", 1)
    await started(talk)
    await wait_until_async(lambda: not talk.model.has_queued_messages(None))

    assert await request_stop(talk) == "Accepted"

    assert (await stopped(talk))["reason"] == "Remote"
    assert await request_start(talk, "TAG", 1) == "Accepted"


@configured(**{"TxCtrlr.TxStopPoint": "PowerPathClosed", "TxCtrlr.StopTxOnEVSideDisconnect": "false"})
async def test_a_transaction_that_needs_the_power_path_ends_with_the_cable(talk: Talk) -> None:
    """2.0.1, E06: TxStopPoint PowerPathClosed; without a car the path is open."""
    await talk.start()

    await talk.perform("Unplug")

    assert (await stopped(talk))["reason"] == "EVDisconnected"


@pytest.mark.charger(
    configuration=json.dumps(
        {
            "TxCtrlr.TxStartPoint": "EVConnected",
            "TxCtrlr.TxStopPoint": "Authorized",
            "TxCtrlr.StopTxOnEVSideDisconnect": "false",
        }
    )
)
@pytest.mark.parametrize("version", ["OCPP2.0.1"])
async def test_a_transaction_without_a_token_ends_with_the_cable(talk: Talk) -> None:
    """Nobody could end it otherwise."""
    await talk.perform("PlugIn")
    await talk.event("Started", "CablePluggedIn")

    await talk.perform("Unplug")

    await talk.event("Ended", "EVCommunicationLost")


@configured(**{"TxCtrlr.TxStopPoint": "Authorized", "StopTransactionOnEVSideDisconnect": "false"})
async def test_a_transaction_goes_on_without_the_cable_until_its_token_ends_it(talk: Talk) -> None:
    """OCPP 1.6 part 1, 9.1 StopTransactionOnEVSideDisconnect; 2.0.1, StopTxOnEVSideDisconnect."""
    await talk.start()

    await talk.perform("Unplug")
    assert talk.connector.charging_state == "Idle"
    assert await request_start(talk, "OTHER", 1) == "Rejected"
    await talk.perform("PlugIn")
    await wait_until_async(lambda: talk.connector.charging_state == "Charging")
    await talk.perform("Unplug")
    await show(talk, "TAG")

    assert (await stopped(talk))["token"] == "TAG"


@pytest.mark.charger(connectors=3, ev_plug_in_s="never", configuration='{"ConnectionTimeOut": "1"}')
async def test_a_connector_is_free_again_when_no_car_comes_in_time(talk: Talk) -> None:
    """OCPP 1.6 part 1, ConnectionTimeOut; 2.0.1, E03 and F02: EVConnectionTimeOut."""
    connectors = talk.model.station.connectors
    await show(talk, "TAG", 1)
    await request_start(talk, "TAG", 2)
    talk.model.options.set("authorize_remote_start", "true")
    await request_start(talk, "TAG", 3)
    await wait_until_async(lambda: all(connector.token for connector in connectors))

    await wait_until_async(lambda: not any(connector.token for connector in connectors))

    for number in (1, 2, 3):
        assert await request_start(talk, "TAG", number) == "Accepted"


@pytest.mark.parametrize("version", ["OCPP2.0.1"])
@pytest.mark.parametrize("point", ["PowerPathClosed", "EVConnected"])
@configured(AuthorizeRemoteTxRequests="true")
async def test_a_car_that_leaves_while_its_request_is_checked_does_not_take_the_request_with_it(
    talk: Talk, point: str
) -> None:
    """F02.FR.01: the next transaction has the remoteStartId, also where the car has begun one that ends with it."""
    talk.model.options.set("tx_start_point", point)
    await talk.perform("PlugIn")
    await wait_until_async(lambda: talk.model.station.is_busy == (point == "EVConnected"))

    def answer(_: Payload) -> Payload:
        talk.model.data_transfer.perform("Unplug", None)
        return {info_key(talk): info(talk, "Accepted")}

    talk.csms.answers["Authorize"] = answer

    await talk.start()
    started = talk.link.all("TransactionEvent")[-1]
    assert started["transaction_info"]["remote_start_id"] == 7
