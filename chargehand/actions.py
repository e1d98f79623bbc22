"""What happens at running chargers: a command of `chargehand chargers` for each row of shared/actions.json."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from chargehand.client.actions_table import FROM_CHARGER, event_of_charger
from chargehand.options import Number, as_json, charger_names, connect, read_pairs
from chargehand.output import print_json, print_table
from shared.fleet.actions.table import ActionKind, Field, load_kinds

if TYPE_CHECKING:
    from chargehand.client.actions import Result
    from chargehand.client.http import Client, Row

MAX_WAIT_S = 60  # of the API
DEFAULT_WAIT_S = 30

#: Shorter words than an action's own name. The other actions have their name, with dashes.
SHORT_NAMES = {
    "plug_connector": "plug",
    "unplug_connector": "unplug",
    "present_token": "tap",
    "inject_fault": "fault",
    "configuration": "config",
    "proxy_message": "send",
}
#: Shorter options than a field's own name.
SHORT_OPTIONS = {"connector_id": "connector", "evse_id": "evse", "fault_type": "type", "configuration": "set"}
JSON_TYPES = frozenset({"array", "object"})
SIMPLE_TYPES: dict[str, Callable[..., click.ParamType[Any]]] = {
    "integer": click.IntRange,
    "number": Number,
}


@cache
def action_commands() -> tuple[click.Command, ...]:
    """A command for each action."""
    return tuple(command_of(action) for action in load_kinds())


def command_of(action: ActionKind) -> click.Command:
    """The command that sends the action: `plug CHARGER... --connector 1`."""

    def perform_it(**given: Any) -> None:
        perform(action, given)

    name = with_dashes(action.name, SHORT_NAMES)
    command: Any = click.command(name, help=help_of(action), short_help=action.summary)
    decorators = [
        charger_names,
        *([location] if action.target == "charger_or_location" else []),
        *(option_of(field) for field in action.fields),
        *([wait_option] if action.answer == "queued" else []),
        timeout_option,
        as_json,
    ]
    function: Any = perform_it
    for decorate in reversed(decorators):
        function = decorate(function)
    made: click.Command = command(function)
    return made


def help_of(action: ActionKind) -> str:
    """The action in sentences, and its kinds with their fields."""
    kinds = "\n\n".join(
        f"{kind.name}: {kind.summary} Takes {', '.join(field.name for field in kind.fields)}."
        for kind in action.variants
    )
    return "\n\n".join(filter(None, (action.summary, action.description, kinds)))


def with_dashes(name: str, shorter: Mapping[str, str]) -> str:
    """The shorter word for the name if there is one; a word of the command line has dashes."""
    return shorter.get(name, name).replace("_", "-")


location = click.option(
    "--location", "location_id", help="All chargers of this location (its id, slug or name), in one request."
)
wait_option = click.option("--wait/--no-wait", default=True, help="Wait for the results (default).")
timeout_option = click.option(
    "--timeout", "timeout_s", type=Number(0, MAX_WAIT_S), default=DEFAULT_WAIT_S, show_default=True,
    help="Seconds to wait.",
)  # fmt: skip


def option_of(field: Field) -> Callable[[Any], Any]:
    """The option of a field: --connector NUMBER, --set KEY=VALUE, or JSON for what has parts."""
    name = field.name
    option = "--" + with_dashes(name, SHORT_OPTIONS)
    required = field.required and name not in FROM_CHARGER
    about: dict[str, Any] = {"required": required, "help": field.description}
    if field.type == "boolean":
        option += f"/--no-{option[2:]}"
        about["default"] = None  # so that the event lacks it unless it is given
    elif field.type == "map":
        about |= {"multiple": True, "metavar": "KEY=VALUE", "callback": read_pairs}
    elif field.type in JSON_TYPES:
        about |= {"metavar": "JSON", "callback": read_json}
    elif field.choices:
        about["type"] = click.Choice(field.choices, case_sensitive=False)
    elif field.type in SIMPLE_TYPES:
        about["type"] = SIMPLE_TYPES[field.type](field.minimum, field.maximum)
    return click.option(option, _parameter(name), **about)


def _parameter(name: str) -> str:
    return f"field_{name}"


def read_json(_: click.Context, __: click.Parameter, text: str | None) -> Any:
    """The value of the JSON text, or of the file in `@FILE`. Raises BadParameter."""
    if text is None:
        return None
    try:
        return orjson.loads(Path(text[1:]).read_bytes() if text.startswith("@") else text)
    except OSError as error:
        raise click.BadParameter(f"cannot read {text[1:]}: {error.strerror}") from error
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}") from error


def perform(action: ActionKind, given: dict[str, Any]) -> None:
    """Send the action to the chargers that are named, and print what came of it. Raises Failure."""
    from chargehand.client.actions import raise_unless_applied

    if bool(given["names"]) == bool(given.get("location_id")):
        or_location = ", or a --location" if "location_id" in given else ""
        raise click.UsageError(f"name chargers by their id or identity{or_location}")
    event = {
        field.name: value for field in action.fields if (value := given[_parameter(field.name)]) is not None
    }
    waits = given.get("wait", True)
    with connect() as client:
        results = _perform(client, action, given, event, given["timeout_s"] if waits else 0)
    if given["as_json"]:
        rows = [result.as_json() for result in results]
        print_json(rows[0] if len(given["names"]) == 1 and rows else rows)
    else:
        print_results(results)
    raise_unless_applied(results, waited=waits)


def _perform(
    client: "Client", action: ActionKind, given: dict[str, Any], event: "Row", wait_s: float
) -> "list[Result]":
    from chargehand.client.actions import act_at_chargers, act_at_location
    from chargehand.client.finding import find_chargers
    from chargehand.client.locations import id_of_location

    if given.get("location_id"):
        location_id = id_of_location(client, given["location_id"])
        return act_at_location(client, action, location_id, event, wait_s)
    events = [
        (charger, event_of_charger(action, charger) | event)
        for charger in find_chargers(client, given["names"])
    ]
    return act_at_chargers(client, action, events, wait_s)


def print_results(results: "Sequence[Result]") -> None:
    """Print a line for each charger."""
    print_table(
        ("ID", "Identity", "Action", "Status", "Result", "Reason"),
        (
            (each.charger_id, each.label, each.action, each.status, in_words(each.result), each.reason)
            for each in results
        ),
    )


def in_words(result: "Row | None") -> str:
    """The members of a result, as in `status=Accepted, transaction_id=7`; what has parts as JSON."""
    shown = ((name, value) for name, value in (result or {}).items() if value is not None)
    return ", ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in shown
    )
