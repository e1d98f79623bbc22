"""Actions reach their charger in order, are applied once, and their results reach their rows."""

import pytest
from websockets.exceptions import ConnectionClosed

from link.process import Link
from shared.settings import Settings
from tests.link.conftest import Connect
from tests.support.control_link import ControlRows, cut_off_link, in_s
from tests.support.waiting import wait_until


def test_actions_reach_the_charger_in_the_order_of_their_ids(rows: ControlRows, connect: Connect) -> None:
    charger_id = rows.charger()
    process = connect(charger_id)
    process.hello()

    ids = [rows.action(charger_id, "plug_connector"), rows.action(charger_id, "unplug_connector")]
    sent = process.next_actions(2)

    assert [(action["id"], action["name"]) for action in sent] == [
        (ids[0], "plug_connector"),
        (ids[1], "unplug_connector"),
    ]
    assert sent[0]["charger"] == charger_id
    assert sent[0]["event"] == {"connector_id": 1}
    assert 25 < sent[0]["expires_in_s"] <= 30


def test_the_row_shows_what_came_of_an_action(rows: ControlRows, connect: Connect) -> None:
    charger_id = rows.charger()
    process = connect(charger_id)
    process.hello()
    applied, rejected = rows.action(charger_id), rows.action(charger_id)
    process.next_actions(2)

    process.answer(applied, "received")
    received = rows.wait_for(applied, "received")
    process.answer(applied, result={"transaction_id": "7"})
    process.answer(rejected, "rejected", reason="no such connector")

    assert received.received_at is not None
    assert rows.wait_for(applied, "applied").result == {"transaction_id": "7"}
    row = rows.wait_for(rejected, "rejected")
    assert (row.reason, row.reason_code) == ("no such connector", "action_rejected")
    assert row.finished_at is not None
    assert row.received_at is not None


def test_a_final_action_does_not_change_any_more(rows: ControlRows, connect: Connect) -> None:
    charger_id = rows.charger()
    process = connect(charger_id)
    process.hello()
    first, second = rows.action(charger_id), rows.action(charger_id)
    process.next_actions(2)

    process.answer(first, "applied")
    process.answer(first, "received")
    rows.wait_for(first, "applied")
    process.answer(first, "failed", reason="changed its mind")
    process.answer(second, "applied")
    rows.wait_for(second, "applied")

    assert rows.read(first).status == "applied"
    assert rows.read(first).reason is None


def test_after_a_reconnect_the_same_boot_gets_what_is_open_again(rows: ControlRows, connect: Connect) -> None:
    charger_id = rows.charger()
    process = connect(charger_id)
    process.hello()
    received, unconfirmed, finished = (rows.action(charger_id) for _ in range(3))
    process.next_actions(3)
    process.answer(received, "received")
    process.answer(finished, "applied")
    rows.wait_for(received, "received")
    rows.wait_for(finished, "applied")

    process.socket.close()
    again = connect(charger_id)
    again.hello()

    assert [action["id"] for action in again.next_actions(2)] == [received, unconfirmed]


def test_a_new_boot_gets_nothing_that_was_meant_for_the_old_one(rows: ControlRows, connect: Connect) -> None:
    charger_id = rows.charger()
    process = connect(charger_id)
    process.hello()
    received, queued = rows.action(charger_id), rows.action(charger_id)
    process.next_actions(2)
    process.answer(received, "received")
    rows.wait_for(received, "received")

    process.socket.close()
    wait_until(lambda: rows.is_connected(charger_id) is False)
    rebooted = connect(charger_id, boot="boot-2")
    rebooted.hello()

    for action_id in (received, queued):
        row = rows.wait_for(action_id, "failed")
        assert row.reason_code == "charger_restarted"
    fresh = rows.action(charger_id)
    assert [action["id"] for action in rebooted.next_actions()] == [fresh]


def test_an_action_whose_time_is_over_is_not_sent_and_expires(rows: ControlRows, connect: Connect) -> None:
    charger_id = rows.charger()
    process = connect(charger_id)
    process.hello()
    late = rows.action(charger_id, expires_at=in_s(-10))
    in_time = rows.action(charger_id)

    assert [action["id"] for action in process.next_actions()] == [in_time]
    row = rows.wait_for(late, "expired")
    assert row.reason_code == "action_expired"


def test_a_charger_that_never_answers_is_not_waited_for_long(rows: ControlRows, connect: Connect) -> None:
    charger_id = rows.charger()
    process = connect(charger_id)
    process.hello()

    silent = rows.action(charger_id, expires_at=in_s(0.5))
    process.next_actions()

    row = rows.wait_for(silent, "failed")
    assert row.reason_code == "no_answer"
    assert "may have been applied" in (row.reason or "")


def test_an_answer_that_its_link_cannot_write_for_a_while_still_counts(
    rows: ControlRows, connect: Connect, link: Link, settings: Settings
) -> None:
    """Neither that link gives up the action meanwhile, nor does another one, which reaches the database."""
    charger_id = rows.charger()
    with cut_off_link(settings) as (cut_off, proxy):
        process = connect(charger_id, url=cut_off.url)
        process.hello()
        action_id = rows.action(charger_id, expires_at=in_s(1))
        process.next_actions()
        proxy.cut()
        process.answer(action_id, "received")
        overdue = rows.action(rows.charger("CP-2"), expires_at=in_s(1.5))
        rows.wait_for(overdue, "expired")
        proxy.heal()

        rows.wait_for(action_id, "received")
        process.answer(action_id, "applied")
        rows.wait_for(action_id, "applied")


def test_a_received_action_of_a_charger_that_is_gone_fails(rows: ControlRows, link: Link) -> None:
    charger_id = rows.charger()
    gone = rows.action(charger_id, status="received", received_at=in_s(-61))
    recent = rows.action(charger_id, status="received", received_at=in_s(-30))

    row = rows.wait_for(gone, "failed")

    assert row.reason_code == "no_answer"
    assert rows.read(recent).status == "received"


def test_a_charger_that_was_deleted_is_refused(rows: ControlRows, connect: Connect) -> None:
    process = connect("dep-deleted")

    with pytest.raises(ConnectionClosed) as closed:
        process.hello()

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4004
