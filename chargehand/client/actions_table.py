"""What the client knows of the actions beyond shared/actions.json. Imports nothing slow: commands are made from it."""

from collections.abc import Callable, Mapping
from typing import Any

from chargehand.client.failures import Failure
from shared.fleet.actions.table import ActionKind, load_kinds

Row = dict[str, Any]

#: Fields that have a value of their own at each charger, unless an event has one.
FROM_CHARGER: dict[str, Callable[[Mapping[str, Any]], object]] = {
    "ocpp_version": lambda charger: charger["ocpp_version"].lower(),
}


def action_named(name: str) -> ActionKind:
    """The action of that name. Raises Failure."""
    found = next((action for action in load_kinds() if action.name == name), None)
    if found is None:
        names = ", ".join(action.name for action in load_kinds())
        raise Failure(f"there is no action {name}; the actions are {names}")
    return found


def event_of_charger(action: ActionKind, charger: Mapping[str, Any]) -> Row:
    """The fields of the action's event that the charger has the values of."""
    fields = {field.name for field in action.fields}
    return {name: read(charger) for name, read in FROM_CHARGER.items() if name in fields}
