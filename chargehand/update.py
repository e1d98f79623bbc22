"""`chargehand chargers update`: changes what a charger is."""

from typing import Any

import click

from chargehand.lifecycle import finish
from chargehand.options import (
    Duration,
    as_json,
    charger_names,
    complete_locations,
    connect,
    ids_only,
    labels_option,
)

#: The options that clear a value, and the key of the API's body that becomes null.
CLEARED = {"no_location": "location_id", "no_label": "labels", "no_ttl": "ttl_seconds"}


@click.command()
@charger_names
@click.option("--ws-url", help="Another CSMS.")
@click.option("--ocpp-version", help="OCPP1.6 or OCPP2.0.1; 1.6 is short for OCPP1.6.")
@click.option("--connector", "connector_type", help="Another connector of the model.")
@click.option("--name", "charge_point_name", help="Display name.")
@click.option(
    "--location", "location_id", shell_complete=complete_locations, help="The id, slug or name of a location."
)
@click.option("--no-location", is_flag=True, help="It belongs to no location.")
@labels_option
@click.option("--no-label", is_flag=True, help="It has no labels.")
@click.option("--ttl", "ttl_seconds", type=Duration(), help="It is deleted after this time, from now.")
@click.option("--no-ttl", is_flag=True, help="It stays until it is deleted.")
@click.option(
    "--placement", type=click.Choice(["dedicated", "shared"]),
    help="It moves to an ECS service of its own, or to a host.",
)  # fmt: skip
@ids_only
@as_json
def update(*, names: tuple[str, ...], quiet: bool, as_json: bool, **given: Any) -> None:
    """Change chargers: those values that are given. --label replaces all labels that they have.

    Returns when the changes are stored. A running charger follows within a second or so, or is redeployed;
    `chargers wait` waits for one that moves.
    """
    from chargehand.client.creating import version_of
    from chargehand.client.finding import find_chargers
    from chargehand.client.locations import id_of_location
    from chargehand.client.waiting import Task, update_all

    if not names:
        raise click.UsageError("name chargers by their id or identity")
    changes = changes_of(given)
    if "ocpp_version" in changes:
        changes["ocpp_version"] = version_of(changes["ocpp_version"])
    with connect() as client:
        if changes.get("location_id"):
            changes["location_id"] = id_of_location(client, changes["location_id"])
        tasks = [Task(row["identity"], charger_id=row["id"]) for row in find_chargers(client, names)]
        update_all(client, tasks, changes)
    finish(tasks, as_json=as_json, quiet=quiet, single=len(names) == 1)


def changes_of(given: dict[str, Any]) -> dict[str, Any]:
    """The body of the update. Raises UsageError if it is empty, or if a value is both set and cleared."""
    changes = {key: value for key, value in given.items() if value is not None and key not in CLEARED}
    for option, key in CLEARED.items():
        if given[option]:
            if key in changes:
                positive = option.removeprefix("no_")
                raise click.UsageError(f"--{positive} and --no-{positive} exclude each other")
            changes[key] = None
    if not changes:
        raise click.UsageError("say what to change")
    return changes
