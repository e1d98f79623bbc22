"""Actions from the command line: what a driver, a car or a tester does at a charger."""

import re

import pytest

from chargehand.actions import SHORT_NAMES, action_commands, with_dashes
from shared.fleet.actions.table import load_kinds
from tests.cli.conftest import Run, run_with
from tests.support.waiting import wait_until


def test_every_action_of_the_table_is_a_command_with_its_fields() -> None:
    commands = {command.name: command for command in action_commands()}

    for action in load_kinds():
        command = commands[with_dashes(action.name, SHORT_NAMES)]
        parameters = {parameter.name for parameter in command.params}
        assert {f"field_{field.name}" for field in action.fields} <= parameters, command.name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plug",), "name chargers by their id or identity, or a --location"),
        (("plug", "CP-1", "--location", "hall-4"), "name chargers by their id or identity, or a --location"),
        (("fault", "--type", "OverCurrent"), "name chargers by their id or identity"),
        (("fault", "CP-1"), "Missing option '--type'"),
        (("plug", "CP-1", "--connector", "0"), "0 is not in the range"),
        (("config", "CP-1", "--set", "HeartbeatInterval"), "HeartbeatInterval is not KEY=VALUE"),
        (("send", "CP-1", "--action", "heartbeat", "--payload", "{"), "not JSON"),
        (("send", "CP-1", "--action", "heartbeat", "--payload", '{"a": NaN}'), "not JSON"),
        (("send", "CP-1", "--action", "heartbeat", "--payload", "@/nowhere"), "cannot read /nowhere"),
        (("power-update", "CP-1", "--power-w", "nan"), "nan is not a number"),
        (("plug", "CP-1", "--timeout", "nan"), "nan is not a number"),
    ],
)
def test_a_mistake_in_an_action_is_found_before_anything_is_sent(
    arguments: tuple[str, ...], message: str
) -> None:
    done = run_with({}, "chargers", *arguments)

    assert done.status == 2
    assert message in done.err.splitlines()[-1]


def test_an_action_of_a_stopped_charger_fails_with_the_reason(run: Run, name: str) -> None:
    run("chargers", "create", name, "--until", "final")
    run("chargers", "stop", name)

    plugged = run("chargers", "plug", name, "--json")
    configured = run("chargers", "config", name, "--set", "HeartbeatInterval=60", "--json")

    assert (plugged.status, configured.status) == (1, 1)
    assert [done.json["ok"] for done in (plugged, configured)] == [False, False]
    assert all("stopped" in done.json["reason"] for done in (plugged, configured))
    assert plugged.err.startswith(f"Error: {name} (dep-")


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_a_session_from_plug_to_unplug(run: Run, name: str, version: str) -> None:
    run("chargers", "create", name, "--ocpp-version", version)
    assert run("chargers", "plug", name).status == 0

    tapped = run("chargers", "tap", name, "--id-tag", "CARD-1", "--json").json
    unplugged = run("chargers", "unplug", name)

    assert (tapped["ok"], tapped["status"], tapped["identity"]) == (True, "applied", name)
    assert unplugged.status == 0
    assert "applied" in unplugged.out
    listed = run("actions", "list", name, "--status", "applied", "--json").json
    assert [row["event_type"] for row in listed] == ["unplug_connector", "present_token", "plug_connector"]
    wait_until(lambda: re.search("Connector 1 +Available", run("chargers", "get", name).out), 5)
    ended = "StopTransaction" if version == "1.6" else "TransactionEvent"
    wait_until(lambda: run("chargers", "logs", name, "--event", ended, "--json").json, 10)


def test_a_proxied_message_has_the_answer_of_the_csms_and_a_wrong_one_the_reason(run: Run, name: str) -> None:
    run("chargers", "create", name)

    sent = run("chargers", "send", name, "--action", "heartbeat", "--payload", "{}", "--json")
    wrong = run("chargers", "send", name, "--action", "no_such_action", "--payload", "{}")

    assert sent.json["ok"], sent.json
    assert "currentTime" in str(sent.json["result"])
    assert wrong.status == 1
    assert re.match(rf"Error: {name} \(dep-\w+\): rejected, .*no_such_action", wrong.err)


def test_a_location_is_reached_by_one_command(run: Run, name: str, site: str) -> None:
    run("chargers", "create", f"{name}-1", f"{name}-2", "--location", site)
    assert run("chargers", "plug", f"{name}-1", f"{name}-2").status == 0

    unplugged = run("chargers", "unplug", "--location", site, "--json")

    assert sorted(row["identity"] for row in unplugged.json) == [f"{name}-1", f"{name}-2"]
    assert {row["status"] for row in unplugged.json} == {"applied"}


def test_what_is_armed_is_shown_and_switched_off(run: Run, name: str) -> None:
    run("chargers", "create", name)

    run("chargers", "misbehave", name, "--kind", "clock_skew", "--offset-seconds", "-3600")
    armed = run("chargers", "get-misbehaviour", name, "--json").json["result"]["armed"]
    stopped = run("chargers", "stop-misbehaving", name, "--json").json["result"]

    assert [one["kind"] for one in armed] == ["clock_skew"]
    assert stopped == {"stopped": 1}
