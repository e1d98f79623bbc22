"""Whole sessions, raw transactions, and what the CSMS says to them."""

import pytest

from tests.simulator.station.both import answer_authorize, answer_start, started, stopped
from tests.simulator.talk import Talk
from tests.support.waiting import wait_until_async


async def test_a_session_begins_and_ends_at_the_csms(talk: Talk) -> None:
    began = await talk.act("start_session", id_tag="TAG", connector_id=1)

    assert began.status == "applied"
    assert began.result is not None
    assert (began.result["token_status"], began.result["plugged"]) == ("Accepted", True)
    assert talk.link.all("Authorize")
    await started(talk)

    ended = await talk.act("stop_session")

    assert ended.result is not None
    assert ended.result["transaction_id"] == began.result["transaction_id"]
    assert (await stopped(talk))["reason"] == "Local"
    assert not talk.connector.plugged
    assert (await talk.act("stop_session")).status == "rejected"


@pytest.mark.charger(meter_start_wh=0)
async def test_a_session_ends_with_its_energy(talk: Talk) -> None:
    await talk.act("start_session", id_tag="TAG", target_energy_kwh=0.001)

    assert (await stopped(talk))["reason"] == "Local"
    assert talk.connector.energy_wh == pytest.approx(1, abs=0.02)
    assert not talk.connector.plugged


@pytest.mark.charger(configuration='{"TxCtrlr.TxStopPoint": "EVConnected"}')
async def test_a_session_ends_with_its_energy_also_where_only_the_cable_ends_a_transaction(
    talk: Talk,
) -> None:
    await talk.act("start_session", id_tag="TAG", target_energy_kwh=0.001)

    await stopped(talk)
    assert not talk.connector.plugged


@pytest.mark.charger(ev_energy_wh=1)
async def test_the_car_of_a_session_requests_as_much_as_the_session_wants(talk: Talk) -> None:
    await talk.act("start_session", id_tag="TAG", target_energy_kwh=30)

    assert talk.connector.ev is not None
    assert talk.connector.ev.wanted_wh == 30_000


async def test_a_session_ends_after_its_time_and_the_next_one_does_not(talk: Talk) -> None:
    await talk.act("start_session", id_tag="TAG", duration_seconds=1)
    await talk.act("stop_session")
    await talk.act("start_session", id_tag="TAG", duration_seconds=1)
    second = talk.connector.transaction

    assert second is not None
    await wait_until_async(lambda: talk.connector.transaction is None)

    assert talk.model.clock.now() - second.started_at >= 1
    assert not talk.connector.plugged


async def test_a_driver_whose_token_is_refused_leaves_again(talk: Talk) -> None:
    answer_authorize(talk, TAG="Blocked")

    outcome = await talk.act("start_session", id_tag="TAG")

    assert (outcome.status, outcome.reason) == ("rejected", "the token is Blocked")
    assert not talk.connector.plugged
    assert talk.connector.token is None


async def test_no_session_begins_where_one_runs(talk: Talk) -> None:
    await talk.act("start_session", id_tag="TAG", connector_id=1)

    outcome = await talk.act("start_session", id_tag="OTHER", connector_id=1)

    assert outcome.status == "rejected"
    assert "connector 1 is not free" in str(outcome.reason)


async def test_a_raw_transaction_needs_no_cable_and_no_check(talk: Talk) -> None:
    began = await talk.act("start_transaction", id_tag="RAW", connector_id=2)

    assert began.status == "applied"
    assert began.result is not None
    assert began.result["answer"] == (
        {"transactionId": 4711, "idTagInfo": {"status": "Accepted"}} if talk.is_16 else {}
    )
    assert not talk.link.all("Authorize")
    assert not talk.model.station.connectors[1].plugged
    assert (began.result["transaction_id"] == "4711") == talk.is_16

    ended = await talk.act("stop_transaction", transaction_id=began.result["transaction_id"].upper())

    assert ended.status == "applied"
    assert (await stopped(talk))["reason"] == "Local"
    assert (await talk.act("stop_transaction", transaction_id="4711")).status == "rejected"


async def test_a_car_that_comes_to_a_raw_transaction_charges(talk: Talk) -> None:
    await talk.act("start_transaction", id_tag="RAW")

    await talk.act("plug_connector")

    assert talk.connector.power_w > 0


async def test_the_verdict_on_a_start_is_in_its_result(talk: Talk) -> None:
    answer_start(talk, "Invalid")

    outcome = await talk.act("start_transaction", id_tag="RAW")

    assert (outcome.status, outcome.reason) == ("rejected", "the CSMS answered Invalid")
    assert outcome.result is not None
    assert outcome.result["token_status"] == "Invalid"


async def test_a_transaction_begins_while_the_csms_is_away(talk: Talk) -> None:
    await talk.csms.stop()
    await wait_until_async(lambda: not talk.model.online)

    outcome = await talk.act("start_transaction", id_tag="RAW")

    assert outcome.status == "applied"
    assert "offline" in str(outcome.reason)
    assert talk.connector.transaction is not None
    assert (await talk.act("authorize_id_tag", id_tag="RAW")).status == "failed"


async def test_authorize_claims_no_connector_and_shows_the_verdict(talk: Talk) -> None:
    answer_authorize(talk, GOOD="Accepted", BAD="Blocked")

    good = await talk.act("authorize_id_tag", id_tag="GOOD")
    bad = await talk.act("authorize_id_tag", id_tag="BAD")

    assert good.result is not None
    assert good.result["answer"] == {"idTagInfo" if talk.is_16 else "idTokenInfo": {"status": "Accepted"}}
    assert (good.status, bad.status, bad.reason) == ("applied", "rejected", "the CSMS answered Blocked")
    assert talk.connector.is_free
    assert not talk.link.all("StatusNotification")


@pytest.mark.charger(call_timeout_s=0.2)
async def test_a_csms_that_does_not_answer_fails_the_question(talk: Talk) -> None:
    talk.csms.raw_answers["Authorize"] = None

    outcome = await talk.act("authorize_id_tag", id_tag="TAG")

    assert outcome.status == "failed"
    assert "not answered" in str(outcome.reason)


async def test_an_accepted_token_starts_a_transaction(talk: Talk) -> None:
    answer_authorize(talk, GOOD="Accepted", BAD="Blocked")

    refused = await talk.act("authorize_and_start", id_tag="BAD")
    assert (refused.status, talk.connector.transaction) == ("rejected", None)

    outcome = await talk.act("authorize_and_start", id_tag="GOOD")

    assert outcome.status == "applied"
    await started(talk)


async def test_a_token_that_is_refused_is_a_rejected_action(talk: Talk) -> None:
    answer_authorize(talk, GOOD="Accepted", BAD="Blocked")
    await talk.act("plug_connector")

    bad = await talk.act("present_token", id_tag="BAD")
    good = await talk.act("present_token", id_tag="GOOD")
    again = await talk.act("present_token", id_tag="GOOD")

    assert (bad.status, good.status, again.status) == ("rejected", "applied", "applied")
    await stopped(talk)


async def test_nothing_starts_at_a_charger_that_is_about_to_reboot(talk: Talk) -> None:
    await talk.act("reboot", type="Soft" if talk.is_16 else "Immediate")

    for action in ("start_session", "start_transaction", "authorize_and_start"):
        outcome = await talk.act(action, id_tag="TAG")
        assert (outcome.status, outcome.reason) == ("rejected", "the charger is about to reboot")
