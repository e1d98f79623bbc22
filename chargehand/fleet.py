"""`chargehand fleet`: chargers that come, are waited for, and go together."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from chargehand.client.defaults import DEFAULT_BRAND, DEFAULT_MODEL
from chargehand.client.failures import Failure
from chargehand.lifecycle import timeout_option, wait_option
from chargehand.locations import confirm_and_delete, location_name, location_report
from chargehand.options import (
    Duration,
    Number,
    as_json,
    assume_yes,
    complete_locations,
    connect,
    ids_only,
    label_filter,
    labels_option,
    placement_option,
)
from chargehand.output import note, print_json, print_pairs, print_table
from chargehand.reports import report_command

if TYPE_CHECKING:
    from chargehand.client.fleet_plan import NewFleet
    from chargehand.client.http import Client, Row
    from chargehand.client.standing import Standing

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_TIMEOUT_S = 120
MAX_CHARGERS = 10_000
MAX_RATE = 1_000


def wait_options(command: Command) -> Command:
    """Adds what to wait for, and how long."""
    for option in (
        click.option(
            "--timeout", "timeout_s", type=Number(min=0), default=DEFAULT_TIMEOUT_S, show_default=True,
            help="Seconds to wait in all.",
        ),
        click.option(
            "--accepted-share", "share", type=Number(min=0, max=1), default=1.0, show_default=True,
            help="How many of the chargers have to be accepted: 0.95 is 95 of 100.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@click.group(short_help="Create many chargers at once, wait for them, and delete them.")
def fleet() -> None:
    """Create many chargers at once, wait until the CSMS accepted them, and delete them.

    A fleet is a location and its chargers: `chargehand locations` lists, starts and stops it. A FLEET is the id, the slug
    or the name of that location.
    """


@fleet.command(short_help="Create a location with chargers, and wait for them.")
@click.option(
    "--count", type=click.IntRange(1, MAX_CHARGERS), help="How many.  [default: 10, or the template's]"
)
@click.option("--name", help="Of the location.  [default: fleet- and six digits]")
@click.option("--template", help="A site of `chargehand templates`, whose chargers it gets.")
@click.option("--prefix", help="Of the identities: CI- makes CI-01 to CI-50.  [default: F- and six digits]")
@click.option("--ttl", "ttl_s", type=Duration(), help="The fleet goes away after this time: 90m, 1h, 2d.")
@labels_option
@click.option("--brand", "brand_slug", help=f"A brand of `chargehand catalog`.  [default: {DEFAULT_BRAND}]")
@click.option(
    "--model", "model_slug", help=f"A model of the brand.  [default: {DEFAULT_MODEL}, or the brand's first]"
)
@click.option("--connector", "connector_type", help="A connector of the model.  [default: the model's first]")
@click.option(
    "--ocpp-version",
    help="OCPP1.6 or OCPP2.0.1; 1.6 is short for OCPP1.6.  [default: OCPP1.6, or the template's]",
)
@click.option("--ws-url", help="The URL of the CSMS.  [default: the CSMS of the stack]")
@placement_option
@click.option("--rate", type=Number(min=0.01, max=MAX_RATE), help="A ramp: so many chargers per second.")
@wait_option
@wait_options
@click.option("--down-on-interrupt", is_flag=True, help="Ctrl-C during the wait deletes the fleet.")
@ids_only
@as_json
def up(
    *,
    wait: bool,
    share: float,
    timeout_s: float,
    down_on_interrupt: bool,
    labels: dict[str, str] | None,
    quiet: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Create a location with chargers, and wait until the CSMS accepted them.

    Prints those that it did not accept, and why: exit status 1 if they failed, 3 if the time was up. The fleet stays until
    `fleet down`, or until its --ttl is over.
    """
    from chargehand.client.fleet_plan import Plan, create_fleet

    if given["template"] and (given["brand_slug"] or given["model_slug"] or given["connector_type"]):
        raise click.UsageError("a template says which models its chargers have")
    with connect() as client:
        made = create_fleet(client.within(timeout_s), Plan(labels=labels or {}, **given))
        if not wait:
            print_fleet(made, as_json=as_json, quiet=quiet)
            return
        try:
            follow(client, made.location, share, timeout_s, made, as_json=as_json, quiet=quiet)
        except (KeyboardInterrupt, Failure) as end:
            leave(client, made, delete=down_on_interrupt and isinstance(end, KeyboardInterrupt))
            raise


def leave(client: "Client", made: "NewFleet", *, delete: bool) -> None:
    """Delete the fleet that is not waited for any more, or say how."""
    from chargehand.client.locations import location_path

    if delete:
        client.delete(location_path(made.location["id"]))
        note(f"The fleet {made.location['name']} is deleted.")
    else:
        note(f"The fleet stays. This deletes it: chargehand fleet down {made.location['id']} --yes")


@fleet.command(short_help="Wait until the CSMS accepted the chargers.")
@location_name
@wait_options
@as_json
def wait(*, name: str, share: float, timeout_s: float, as_json: bool) -> None:
    """Wait until the CSMS accepted the chargers of a fleet. Prints those that it did not, and why."""
    from chargehand.client.locations import get_location

    with connect() as client:
        location = get_location(client, name)
        follow(client, location, share, timeout_s, as_json=as_json)


@fleet.command(short_help="Delete fleets with their chargers.")
@click.argument("names", nargs=-1, metavar="[FLEET]...", shell_complete=complete_locations)
@label_filter
@assume_yes
@wait_option
@timeout_option
@as_json
def down(*, names: tuple[str, ...], labels: str | None, **given: Any) -> None:
    """Delete fleets with their chargers: those named, or all with the --label. Asks on a terminal.

    Waits until the chargers are deleted, so that their identities are free again.
    """
    from chargehand.client.locations import find_locations

    if bool(names) == bool(labels):
        raise click.UsageError("name fleets, or use --label")
    with connect() as client:
        rows = find_locations(client, names) if names else list(client.rows("/ocpp/locations", labels=labels))
        confirm_and_delete(client, rows, given)


fleet.add_command(
    report_command(
        "FLEET", location_report, "Report how long the chargers took, and how their CSMS answered."
    )
)


def follow(
    client: "Client",
    location: "Row",
    share: float,
    timeout_s: float,
    made: "NewFleet | None" = None,
    *,
    as_json: bool,
    quiet: bool = False,
) -> None:
    """Wait for a fleet, and print it with the chargers that are not accepted. Raises Failure if too few are."""
    from chargehand.client.standing import all_others, creating_job, raise_for_standing, wait_for_fleet

    job_id = made.job_id if made else creating_job(client, location["id"])
    changed = ignore if as_json or quiet else noting()
    standing = wait_for_fleet(
        client, location["id"], share=share, timeout_s=timeout_s, job_id=job_id, changed=changed
    )
    others = all_others(client, standing, job_id)
    if as_json:
        identities = {"identities": list(made.identities)} if made else {}
        print_json(document_of(location, job_id, standing, others) | identities)
    elif quiet:
        click.echo(location["id"])
    else:
        print_pairs({"Fleet": location["id"], "Name": location["name"], "Accepted": standing.sentence()})
        if others:
            click.echo()
            print_others(others)
    are_printed = not as_json and not quiet
    raise_for_standing(standing, [] if are_printed else others, share, timeout_s)


def document_of(location: "Row", job_id: str | None, standing: "Standing", others: "Sequence[Row]") -> "Row":
    """How far a fleet is, for programs."""
    return {
        "id": location["id"],
        "name": location["name"],
        "job_id": job_id,
        "total": standing.total,
        "accepted": standing.accepted,
        "impossible": standing.impossible,
        "not_accepted": list(others),
        "location": location,
    }


def print_fleet(made: "NewFleet", *, as_json: bool, quiet: bool) -> None:
    """Print a fleet that nobody waits for."""
    if as_json:
        print_json(
            {
                "id": made.location["id"],
                "name": made.location["name"],
                "job_id": made.job_id,
                "identities": list(made.identities),
                "location": made.location,
            }
        )
    elif quiet:
        click.echo(made.location["id"])
    else:
        print_pairs(
            {
                "Fleet": made.location["id"],
                "Name": made.location["name"],
                "Chargers": len(made.identities),
                "Job": made.job_id,
            }
        )


def print_others(rows: "Sequence[Row]") -> None:
    """Print the chargers that are not accepted."""
    print_table(
        ("ID", "Identity", "State", "Reason"),
        ((row["charger_id"], row["identity"], row["state"], row["reason"]) for row in rows),
    )


def noting() -> "Callable[[Standing], None]":
    """Writes a line for each state that differs from the one before."""
    last = ""

    def noting(standing: "Standing") -> None:
        nonlocal last
        if standing.sentence() != last:
            last = standing.sentence()
            note(last)

    return noting


def ignore(_: object) -> None:
    pass
