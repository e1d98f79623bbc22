"""What is desired of the chargers of a host reaches it, and what it says of them reaches their rows."""

from dataclasses import replace

import httpx
import pytest
import redis
from websockets.exceptions import ConnectionClosed

from link.process import Link
from shared.fleet.control import HINTS
from shared.settings import Settings
from tests.link.conftest import Connect
from tests.support.control_hosts import HostRows, next_desired, observe, say_hello, start
from tests.support.control_link import ControlRows, ScriptedProcess, running_link
from tests.support.http import PLAIN_HTTP
from tests.support.waiting import wait_until


@pytest.fixture
def hosts(rows: ControlRows) -> HostRows:
    return HostRows(rows.sessions)


def test_after_a_hello_a_host_gets_the_row_of_each_of_its_chargers(
    rows: ControlRows, hosts: HostRows, connect: Connect
) -> None:
    host_id = hosts.host()
    on, off = rows.charger("CP-1"), rows.charger("CP-2")
    rows.specify(on, settings={"security": {"password": "geheim-1"}})
    hosts.place(host_id, on, generation=7, restart_generation=5)
    hosts.place(host_id, off, generation=3, desired_count=0, seen_generation=3)
    host = connect(host_id)

    welcome = say_hello(host)
    by_id = {each["charger"]: each for each in next_desired(host, 2)}

    assert welcome["chargers"] == []
    spec = by_id[on].pop("spec")
    assert spec["revision"] == 1
    assert spec["environment"]["CHARGER_PASSWORD"] == "geheim-1"
    assert by_id[on] == {
        **{"charger": on, "generation": 7, "desired_count": 1, "restart_generation": 5},
        **{"leaving": False, "memory": None},
    }
    assert by_id[off] == {
        **{"charger": off, "generation": 3, "desired_count": 0, "restart_generation": 1},
        "leaving": False,
    }


def test_what_runs_in_a_host_without_a_row_is_to_end(
    rows: ControlRows, hosts: HostRows, connect: Connect
) -> None:
    host_id, mine, moved = hosts.host(), rows.charger("CP-1"), rows.charger("CP-2")
    hosts.place(host_id, mine)
    host = connect(host_id)

    say_hello(host, mine, moved)

    [parting, staying] = next_desired(host, 2)
    assert parting == {"charger": moved, "generation": 0, "desired_count": 0, "leaving": True}
    assert staying["charger"] == mine


def test_a_decision_is_sent_once_with_and_without_a_hint(
    rows: ControlRows, hosts: HostRows, connect: Connect, redis_url: str
) -> None:
    host_id, charger_id = hosts.host(), rows.charger()
    host = connect(host_id)
    say_hello(host)

    hosts.place(host_id, charger_id)
    start(host, charger_id)
    hosts.wait_for(charger_id, 1, running=True)
    hosts.decide(charger_id, 2, desired_count=0)
    client = redis.Redis.from_url(redis_url)
    for _ in range(10):
        client.publish(HINTS, "")
    client.close()

    [stop] = next_desired(host)
    assert (stop["generation"], stop["desired_count"]) == (2, 0)
    with pytest.raises(TimeoutError):
        next_desired(host, within_s=1)


def test_what_a_host_has_not_answered_is_sent_again_after_its_next_hello(
    rows: ControlRows, hosts: HostRows, connect: Connect
) -> None:
    host_id, charger_id = hosts.host(), rows.charger()
    hosts.place(host_id, charger_id)
    host = connect(host_id)
    say_hello(host)
    next_desired(host)

    host.socket.close()
    again = connect(host_id)
    say_hello(again)

    start(again, charger_id)
    assert hosts.wait_for(charger_id, 1, running=True).host_boot_id == "boot-1"


def test_the_row_shows_what_the_host_says_and_each_change_once(
    rows: ControlRows, hosts: HostRows, connect: Connect
) -> None:
    host_id, charger_id = hosts.host(), rows.charger()
    hosts.place(host_id, charger_id, generation=2)
    host = connect(host_id)
    say_hello(host)
    next_desired(host)

    observe(host, charger_id, 2, running=False, boot=None, fault="x" * 600)
    row = hosts.wait_for(charger_id, 2, running=False)
    assert (row.boot_id, row.fault, row.host_boot_id, row.noted) == (None, "x" * 500, "boot-1", False)
    observe(host, charger_id, 2)
    row = hosts.wait_for(charger_id, 2, running=True)
    assert (row.boot_id, row.fault, row.noted) == ("c1", None, False)
    hosts.note()
    observe(host, charger_id, 1, running=False)
    observe(host, charger_id, 2)
    observe(host, charger_id, 3, running=False)
    host.report_of(charger_id, csms={"state": "accepted"})

    wait_until(lambda: rows.is_connected(charger_id))
    wait_until(lambda: rows.report(charger_id).csms == {"state": "accepted"})
    row = hosts.placed(charger_id)
    assert row.noted, "a repeat, an older and an undecided generation change nothing"
    assert (row.seen_generation, row.running) == (2, True)
    observe(host, charger_id, 2, running=False)
    row = hosts.wait_for(charger_id, 2, running=False)
    assert row.boot_id == "c1", "the newest start stays known"


def test_a_charger_that_starts_after_the_hello_is_connected_until_it_stops(
    rows: ControlRows, hosts: HostRows, connect: Connect
) -> None:
    host_id, charger_id = hosts.host(), rows.charger()
    host = connect(host_id)
    say_hello(host)
    hosts.place(host_id, charger_id)
    start(host, charger_id)
    host.report_of(charger_id, csms={"state": "accepted"})
    wait_until(lambda: rows.is_connected(charger_id))

    action_id = rows.action(charger_id)
    [action] = host.next_actions()
    assert (action["charger"], action["id"]) == (charger_id, action_id)
    host.say("results", results=[{"charger": charger_id, "id": action_id, "status": "applied"}])
    rows.wait_for(action_id, "applied")
    wait_until(lambda: rows.report(charger_id).csms == {"state": "accepted"})
    rows.specify(charger_id, ws_url="ws://other.test/ocpp")
    assert host.hear("specs")["specs"][0]["charger"] == charger_id

    host.say("memories", memories=[{"charger": charger_id, "memory": {"register_wh": 7}}])
    observe(host, charger_id, running=False)
    wait_until(lambda: not rows.is_connected(charger_id))
    assert rows.memory(charger_id) == {"register_wh": 7}, "its memory comes before its end"
    hosts.decide(charger_id, 2)
    [entry] = next_desired(host)
    assert entry["memory"] == {"register_wh": 7}


def test_a_restarted_charger_gets_nothing_that_was_meant_for_its_earlier_start(
    rows: ControlRows, hosts: HostRows, connect: Connect
) -> None:
    host_id, charger_id = hosts.host(), rows.charger()
    hosts.place(host_id, charger_id)
    host = connect(host_id)
    say_hello(host)
    start(host, charger_id)
    wait_until(lambda: rows.is_connected(charger_id))
    open_action = rows.action(charger_id)
    host.next_actions()
    host.say("results", results=[{"charger": charger_id, "id": open_action, "status": "received"}])
    rows.wait_for(open_action, "received")

    hosts.decide(charger_id, 2, restart_generation=2)
    next_desired(host)
    observe(host, charger_id, 2, boot="c2")
    wait_until(lambda: rows.report(charger_id).boot_id == "c2")
    fresh = rows.action(charger_id)

    assert [action["id"] for action in host.next_actions()] == [fresh]


def test_the_chargers_that_a_new_boot_of_the_host_does_not_name_do_not_run(
    rows: ControlRows, hosts: HostRows, connect: Connect
) -> None:
    host_id = hosts.host()
    gone, named = rows.charger("CP-1"), rows.charger("CP-2")
    hosts.place(host_id, gone, named)
    host = connect(host_id)
    say_hello(host)
    for charger_id in (gone, named):
        observe(host, charger_id)
    wait_until(lambda: rows.is_connected(gone) and rows.is_connected(named))
    hosts.note()
    host.socket.close()
    wait_until(lambda: not rows.is_connected(named))

    say_hello(connect(host_id, boot="boot-2"), named)

    row = hosts.placed(gone)
    assert (row.running, row.noted, row.host_boot_id) == (False, False, "boot-2")
    assert not rows.is_connected(gone)
    assert hosts.placed(named).running
    assert rows.is_connected(named)


def test_a_second_boot_of_a_host_is_refused_while_the_first_one_is_connected(
    hosts: HostRows, connect: Connect
) -> None:
    host_id = hosts.host()
    say_hello(connect(host_id))

    assert refused(connect(host_id, boot="boot-2")) == 4009


def test_a_host_that_does_not_exist_or_was_deleted_is_refused(hosts: HostRows, connect: Connect) -> None:
    deleted = hosts.host()
    hosts.delete(deleted)

    assert refused(connect(deleted)) == 4004
    assert refused(connect("host-unknown")) == 4004


def refused(host: ScriptedProcess) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        say_hello(host)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


@pytest.mark.parametrize("organization", ["acme", "globex"])
def test_a_host_cannot_speak_for_a_charger_of_another_host(
    rows: ControlRows,
    hosts: HostRows,
    connect: Connect,
    organization: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    host_id, other_host_id = hosts.host(), hosts.host(organization)
    mine, others = rows.charger("CP-1"), rows.charger("CP-2", organization=organization)
    hosts.place(host_id, mine)
    hosts.place(other_host_id, others)
    other, hostile = connect(other_host_id), connect(host_id)
    say_hello(other)
    start(other, others)
    wait_until(lambda: rows.is_connected(others))
    action_id = rows.action(others)
    other.next_actions()

    say_hello(hostile, mine, others, boot="forged")
    observe(hostile, others, boot="forged", fault="forged")
    hostile.say("results", results=[{"charger": others, "id": action_id, "status": "applied"}])
    hostile.say("memories", memories=[{"charger": others, "memory": {"forged": 1}}])
    hostile.report_of(others, csms={"state": "forged"})
    observe(hostile, others, running=False)
    hostile.report_of(mine, csms={"state": "accepted"})
    wait_until(lambda: rows.report(mine).csms == {"state": "accepted"})

    row, report = hosts.placed(others), rows.report(others)
    assert (row.running, row.boot_id, row.fault) == (True, "c1", None)
    assert (report.process_id, report.boot_id, report.csms) == (other_host_id, "c1", None)
    assert rows.memory(others) is None
    assert rows.read(action_id).status == "queued"
    assert capfd.readouterr().out.count("control.not_of_this_host") == 1


def test_a_process_of_one_charger_can_neither_speak_as_a_host_nor_for_a_charger_on_a_host(
    rows: ControlRows, hosts: HostRows, connect: Connect
) -> None:
    dedicated, shared = rows.charger("CP-1"), rows.charger("CP-2")
    process = connect(dedicated)
    process.hello()
    observe(process, dedicated)
    assert process.close_code() == 4000

    hosts.place(hosts.host(), shared)
    with pytest.raises(ConnectionClosed) as closed:
        connect(shared).hello()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4004


def test_a_charger_without_a_readable_specification_is_not_started_and_its_row_says_why(
    rows: ControlRows, hosts: HostRows, connect: Connect, settings: Settings
) -> None:
    host_id, charger_id = hosts.host(), rows.charger()
    rows.specify(charger_id, settings={"security": {"password": "geheim-1"}})
    hosts.place(host_id, charger_id)
    with running_link(replace(settings, encryption_keys=())) as link:
        host = connect(host_id, url=link.url)
        say_hello(host)

        row = hosts.wait_for(charger_id, 1, running=False)
        assert "specification" in (row.fault or "")
        with pytest.raises(TimeoutError):
            next_desired(host, within_s=0.5)


def test_what_a_host_says_of_itself_is_on_its_row(hosts: HostRows, connect: Connect, link: Link) -> None:
    host_id = hosts.host()
    host = connect(host_id)
    say_hello(host)
    row = hosts.read(host_id)
    assert (row.boot_id, row.version, row.max_chargers) == ("boot-1", "0.1.0", 5_000)

    said = {"running": 998, "connected": 990, "lag_ms": 3, "memory_bytes": 6 * 10**9, "cpu_percent": 6.1}
    said |= {"memory_limit_bytes": 8 * 10**9}
    host.say("host", max_chargers=1_000, lines_dropped=2, **said)
    wait_until(lambda: hosts.read(host_id).reported_at is not None)

    row = hosts.read(host_id)
    assert (row.max_chargers, row.lines_dropped) == (1_000, 2)
    assert {name: getattr(row, name) for name in said} == said


def test_the_chargers_of_a_host_are_counted_as_they_come(
    rows: ControlRows, hosts: HostRows, connect: Connect, link: Link
) -> None:
    def counted() -> str:
        text = httpx.get(
            f"{link.url.replace('ws://', 'http://').removesuffix('/control')}/metrics", **PLAIN_HTTP
        ).text
        return next(line for line in text.splitlines() if line.startswith("chargehand_link_chargers "))

    host_id, charger_id = hosts.host(), rows.charger()
    hosts.place(host_id, charger_id)
    host = connect(host_id)
    say_hello(host)
    assert counted() == "chargehand_link_chargers 0.0"

    start(host, charger_id)
    wait_until(lambda: rows.is_connected(charger_id))
    assert counted() == "chargehand_link_chargers 1.0"

    observe(host, charger_id, running=False)
    wait_until(lambda: counted() == "chargehand_link_chargers 0.0")
