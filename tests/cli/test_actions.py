"""Actions from the command line: what a driver, a car or a tester does at a charger."""

import pytest

from chargehand.actions import SHORT_NAMES, action_commands, with_dashes
from shared.fleet.actions.table import load_kinds
from tests.cli.conftest import Run, run_with


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
