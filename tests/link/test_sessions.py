"""Who may connect, whose session counts, and how sessions end."""

from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from link.process import Link
from link.rows.sessions import (
    Arrival,
    ArrivedCharger,
    Departure,
    adopt_chargers,
    end_sessions,
    take_sessions,
)
from shared.auth.control_tokens import ControlTokens
from shared.settings import Settings
from tests.link.conftest import Connect
from tests.support.control_link import (
    CONTROL_SECRET,
    ControlRows,
    ScriptedProcess,
    cut_off_link,
    refusal,
    running_link,
)
from tests.support.http import PLAIN_HTTP
from tests.support.waiting import wait_until


def hello_refused(connected: ScriptedProcess, /, **changes: Any) -> int:
    """The code with which the link closes the connection instead of a welcome."""
    with pytest.raises(ConnectionClosed) as closed:
        connected.hello(**changes)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def test_a_connected_charger_is_connected_until_its_process_goes(rows: ControlRows, connect: Connect) -> None:
    charger_id = rows.charger()
    assert not rows.is_connected(charger_id)

    process = connect(charger_id)
    process.hello()
    assert rows.is_connected(charger_id)

    process.socket.close()
    wait_until(lambda: not rows.is_connected(charger_id))


def test_the_welcome_has_a_token_that_is_good_for_this_boot_only(
    rows: ControlRows, connect: Connect, tokens: ControlTokens
) -> None:
    charger_id = rows.charger()
    welcome = connect(charger_id).hello()

    assert welcome["token_expires_in_s"] == 3600
    connect(charger_id, token=welcome["token"]).hello()
    assert hello_refused(connect(charger_id, token=welcome["token"], boot="boot-2")) == 4001


def test_a_session_token_is_renewed_over_the_open_session(
    rows: ControlRows,
    connect: Connect,
    tokens: ControlTokens,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("link.work.upkeep.SESSION_TOKEN_TTL_S", 0)
    monkeypatch.setattr("link.work.upkeep.CHECK_S", 0.1)
    charger_id = rows.charger()
    with running_link(settings) as hasty:
        process = connect(charger_id, url=hasty.url)
        process.hello()

        renewed = process.hear("token")

    assert tokens.verify(renewed["token"]).process_id == charger_id


def test_without_a_good_token_nothing_is_upgraded(link: Link, tokens: ControlTokens) -> None:
    other = ControlTokens(["another-secret-of-another-installation-0"])

    assert refusal(link.url, "") == 401
    assert refusal(link.url, "nonsense") == 401
    assert refusal(link.url, other.first_token("dep-1")) == 401
    assert refusal(link.url.replace("/control", "/other"), tokens.first_token("dep-1")) == 404


def test_a_token_is_good_for_no_other_process_and_no_other_charger(
    rows: ControlRows, connect: Connect
) -> None:
    mine, others = rows.charger("CP-1"), rows.charger("CP-2", organization="globex")
    of_the_other = {"charger": others, "boot": "b", "spec": None, "has_memory": True}

    assert hello_refused(connect(mine), process=others) == 4003
    assert hello_refused(connect(mine), chargers=[of_the_other]) == 4003

    process = connect(mine)
    process.hello()
    action_id = rows.action(others)
    process.say("results", results=[{"charger": others, "id": action_id, "status": "applied"}])
    assert process.close_code() == 4003
    process = connect(mine)
    process.hello()
    process.answer(action_id, "applied")
    process.answer(rows.action(mine), "applied")
    wait_until(lambda: rows.count("applied") == 1)
    assert rows.read(action_id).status == "queued"


def test_another_boot_is_refused_while_the_first_one_is_connected(
    rows: ControlRows, connect: Connect
) -> None:
    charger_id = rows.charger()
    first = connect(charger_id)
    first.hello()

    assert hello_refused(connect(charger_id, boot="boot-2")) == 4009

    first.apply(rows.action(charger_id))
    first.socket.close()
    wait_until(lambda: not rows.is_connected(charger_id))
    connect(charger_id, boot="boot-2").hello()


def test_the_same_boot_takes_over_from_its_older_session(rows: ControlRows, connect: Connect) -> None:
    charger_id = rows.charger()
    older = connect(charger_id)
    older.hello()

    newer = connect(charger_id)
    newer.hello()

    assert older.close_code() == 4009
    newer.apply(rows.action(charger_id))
    assert rows.is_connected(charger_id), "the late end of the older session changes nothing"


def test_the_same_boot_takes_over_from_a_session_with_another_link(
    rows: ControlRows, connect: Connect, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("link.work.upkeep.CHECK_S", 0.2)
    charger_id = rows.charger()
    with running_link(settings) as other:
        older = connect(charger_id, url=other.url)
        older.hello()
        newer = connect(charger_id)
        newer.hello()

        assert older.close_code() == 4009
        newer.apply(rows.action(charger_id))
        assert rows.is_connected(charger_id)


def test_no_action_goes_over_an_older_session_of_the_process(
    rows: ControlRows, connect: Connect, link: Link
) -> None:
    """Another boot is registered, and the link does not know yet that the first one has gone."""
    charger_id = rows.charger()
    older = connect(charger_id)
    welcome = older.hello()
    with rows.sessions.begin() as session:
        end_sessions(session, [Departure(charger_id, welcome["session"])])
        take_sessions(session, link.id, [Arrival(charger_id, "newer", "boot-2", "0.1.0")])
        adopt_chargers(session, [ArrivedCharger(charger_id, charger_id, "newer", "boot-2", None)])

    rows.action(charger_id)

    with pytest.raises(TimeoutError):
        older.next_actions(within_s=1)


def test_refused_hellos_leave_nothing_to_write(
    rows: ControlRows, connect: Connect, settings: Settings
) -> None:
    charger_id = rows.charger()
    with cut_off_link(settings) as (cut_off, proxy):
        proxy.cut()
        codes = [hello_refused(connect(charger_id, url=cut_off.url)) for _ in range(3)]

        assert codes == [1013, 1013, 1013]
        wait_until(lambda: cut_off.connections == 0)
        assert len(cut_off.departures) == 0


def test_of_two_boots_at_once_one_is_taken(rows: ControlRows, connect: Connect, settings: Settings) -> None:
    """With two links, so that the database decides."""
    charger_ids = [rows.charger(f"CP-{number}") for number in range(10)]
    with running_link(settings) as other:
        pairs = [
            (connect(charger_id, boot="a"), connect(charger_id, boot="b", url=other.url))
            for charger_id in charger_ids
        ]
        for pair in pairs:
            for process in pair:
                process.send_hello()

        for pair in pairs:
            assert sorted(process.outcome() for process in pair) == ["4009", "welcome"]


def test_a_full_link_refuses_and_takes_processes_again_when_there_is_room(
    rows: ControlRows, settings: Settings, connect: Connect, tokens: ControlTokens
) -> None:
    charger_id = rows.charger()
    with running_link(settings, max_sessions=1) as small:
        process = connect(charger_id, url=small.url)
        process.hello()

        assert refusal(small.url, tokens.first_token("dep-2")) == 503
        process.socket.close()
        wait_until(lambda: refusal(small.url, tokens.first_token("dep-2")) == 101)


def test_a_link_that_ends_says_so_to_its_sessions(
    rows: ControlRows, settings: Settings, connect: Connect
) -> None:
    charger_id = rows.charger()
    with running_link(settings) as ending:
        process = connect(charger_id, url=ending.url)
        process.hello()
        action_id = rows.action(charger_id)
        process.next_actions()
        process.answer(action_id)

    assert process.close_code() == 1012
    assert not rows.is_connected(charger_id)
    assert rows.read(action_id).status == "applied"


def test_a_memory_comes_back_to_a_process_that_has_none(rows: ControlRows, connect: Connect) -> None:
    charger_id = rows.charger()
    process = connect(charger_id)
    assert process.hello()["chargers"][0]["memory"] is None

    process.say("memories", memories=[{"charger": charger_id, "memory": {"register_wh": 7}}])
    wait_until(lambda: rows.memory(charger_id) == {"register_wh": 7})

    assert connect(charger_id).hello()["chargers"][0]["memory"] == {"register_wh": 7}
    assert connect(charger_id).hello(has_memory=True)["chargers"][0]["memory"] is None


def test_the_next_boot_gets_the_last_memory(rows: ControlRows, connect: Connect) -> None:
    """Also when it was sent at the end of the process, just after another one."""
    charger_id = rows.charger()
    process = connect(charger_id)
    process.hello()
    remember(process, 1)
    wait_until(lambda: rows.memory(charger_id) == {"register_wh": 1})
    remember(process, 2)

    process.socket.close()
    wait_until(lambda: not rows.is_connected(charger_id))

    [welcomed] = connect(charger_id, boot="boot-2").hello()["chargers"]
    assert welcomed["memory"] == {"register_wh": 2}


def remember(process: ScriptedProcess, register_wh: int) -> None:
    process.say(
        "memories", memories=[{"charger": process.charger_id, "memory": {"register_wh": register_wh}}]
    )


def test_what_an_older_boot_reported_is_not_the_new_ones(rows: ControlRows, connect: Connect) -> None:
    charger_id = rows.charger()
    process = connect(charger_id)
    process.hello()
    process.report(csms={"state": "accepted"}, connectors=[{"connector_id": 1}], remark={"message": "x"})
    wait_until(lambda: rows.report(charger_id).csms == {"state": "accepted"})
    process.report(remark=None)
    wait_until(lambda: rows.report(charger_id).remark is None)
    assert rows.report(charger_id).connectors == [{"connector_id": 1}], "what was not sent is unchanged"

    again = connect(charger_id)
    again.hello()
    assert rows.report(charger_id).csms == {"state": "accepted"}, "the same boot"
    again.socket.close()
    wait_until(lambda: not rows.is_connected(charger_id))
    connect(charger_id, boot="boot-2").hello()

    report = rows.report(charger_id)
    assert (report.csms, report.connectors, report.reported_at) == (None, [], None)


def test_health_and_metrics_are_read_over_http(link: Link, rows: ControlRows, connect: Connect) -> None:
    base = link.url.replace("ws://", "http://").removesuffix("/control")
    connect(rows.charger()).hello()

    assert httpx.get(f"{base}/health", **PLAIN_HTTP).json() == {"status": "ok"}
    metrics = httpx.get(f"{base}/metrics", **PLAIN_HTTP).text
    assert "chargehand_link_sessions 1.0" in metrics
    assert 'chargehand_link_hellos_total{outcome="accepted"}' in metrics
    assert CONTROL_SECRET not in metrics
