"""`chargehand locations`: sites, their chargers, and what is requested of all of them at once."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from chargehand.chargers import DEFAULT_LIMIT, SORTS, in_pairs, print_list
from chargehand.jobs import job_options, request_and_follow
from chargehand.lifecycle import timeout_option, wait_option
from chargehand.options import (
    Coordinates,
    Duration,
    as_json,
    assume_yes,
    complete_locations,
    connect,
    filters_without,
    ids_only,
    label_filter,
    labels_option,
    on_a_terminal,
    query_of,
)
from chargehand.output import print_json, print_pairs, print_table
from chargehand.reports import report_command

if TYPE_CHECKING:
    from chargehand.client.http import Client, Row

Command = TypeVar("Command", bound=Callable[..., Any])

location_name = click.argument("name", metavar="LOCATION", shell_complete=complete_locations)
location_names = click.argument(
    "names", nargs=-1, required=True, metavar="LOCATION...", shell_complete=complete_locations
)


def location_facts(*, required: bool) -> Callable[[Command], Command]:
    """Adds an option for each fact of a location but its name."""

    def decorate(command: Command) -> Command:
        for option in (
            click.option("--public/--private", default=None, help="Whether everybody may charge there."),
            click.option("--owner", "owner_name", help="Who owns it."),
            click.option("--timezone", help="An IANA name, such as Europe/Paris."),
            click.option(
                "--coordinates",
                type=Coordinates(),
                required=required,
                help="Decimal degrees, as in 48.8566,2.3522.",
            ),
            click.option("--country", required=required, help="Two letters (ISO 3166-1), such as FR."),
            click.option("--city", required=required),
            click.option("--address", required=required, help="Street and number."),
        ):
            command = option(command)
        return command

    return decorate


def location_report(client: "Client", name: str) -> str:
    """The path of the report of a location."""
    from chargehand.client.locations import get_location, location_path

    return f"{location_path(get_location(client, name)['id'])}/report"


@click.group(short_help="Sites: start, stop and delete all chargers of one.")
def locations() -> None:
    """Locations: sites, whose chargers start, stop and go away together.

    A LOCATION is an id, a slug or a name. `chargehand fleet up` makes one with its chargers in one step.
    """


@locations.command("list")
@label_filter
@click.option("--limit", type=click.IntRange(min=1), default=DEFAULT_LIMIT, show_default=True)
@ids_only
@as_json
def list_(*, labels: str | None, limit: int, quiet: bool, as_json: bool) -> None:
    """List locations, the newest first."""
    with connect() as client:
        rows = list(client.rows("/ocpp/locations", limit, labels=labels))
    if as_json:
        print_json(rows)
    elif quiet:
        for row in rows:
            click.echo(row["id"])
    else:
        print_table(
            ("ID", "Name", "City", "Country", "Chargers", "Expires"),
            (
                (
                    row["id"],
                    row["name"],
                    row["city"],
                    row["country"],
                    (row.get("chargers") or {}).get("total"),
                    row.get("expires_at"),
                )
                for row in rows
            ),
        )


@locations.command()
@location_name
@as_json
def get(*, name: str, as_json: bool) -> None:
    """Show a location, and how many of its chargers are in which state."""
    from chargehand.client.locations import get_location

    with connect() as client:
        print_location(get_location(client, name), as_json=as_json)


@locations.command()
@click.argument("name")
@location_facts(required=True)
@labels_option
@click.option("--ttl", "ttl_seconds", type=Duration(), help="It goes away after this time: 90m, 1h, 2d.")
@ids_only
@as_json
def create(*, quiet: bool, as_json: bool, **given: Any) -> None:
    """Create a location without chargers: `chargers create --location` adds them, one or many."""
    from uuid import uuid4

    body = {name: value for name, value in given.items() if value is not None}
    with connect() as client:
        location = client.post("/ocpp/locations", uuid4().hex, body)[1]
    print_location(location, as_json=as_json, quiet=quiet)


@locations.command()
@location_name
@click.option("--name", "new_name", help="Another name. The slug stays.")
@click.option("--slug")
@location_facts(required=False)
@click.option("--status", help="Any word; `active` when it is created.")
@labels_option
@click.option("--ttl", "ttl_seconds", type=Duration(), help="It goes away after this time, from now.")
@click.option("--no-ttl", is_flag=True, help="It stays until it is deleted.")
@as_json
def update(*, name: str, new_name: str | None, no_ttl: bool, as_json: bool, **given: Any) -> None:
    """Change the given facts of a location."""
    from chargehand.client.locations import get_location, location_path

    if no_ttl and given["ttl_seconds"] is not None:
        raise click.UsageError("--ttl and --no-ttl exclude each other")
    body = {key: value for key, value in {**given, "name": new_name}.items() if value is not None}
    if no_ttl:
        body["ttl_seconds"] = None
    if not body:
        raise click.UsageError("say what to change")
    with connect() as client:
        location = client.put(location_path(get_location(client, name)["id"]), body)
    print_location(location, as_json=as_json)


@locations.command()
@location_names
@assume_yes
@wait_option
@timeout_option
@as_json
def delete(*, names: tuple[str, ...], **given: Any) -> None:
    """Delete locations with their chargers, after a confirmation on a terminal, and wait until the chargers are deleted."""
    from chargehand.client.locations import find_locations

    with connect() as client:
        confirm_and_delete(client, find_locations(client, names), given)


@locations.command()
@location_name
@filters_without("location_id")
@click.option("--sort", type=click.Choice(SORTS), help="Newest first unless given.")
@click.option("--limit", type=click.IntRange(min=1), default=DEFAULT_LIMIT, show_default=True)
@click.option("--all", "all_", is_flag=True, help="Without a limit.")
@ids_only
@as_json
def chargers(
    *, name: str, sort: str | None, limit: int, all_: bool, quiet: bool, as_json: bool, **given: Any
) -> None:
    """List the chargers of a location that match all filters."""
    from chargehand.client.locations import get_location

    with connect() as client:
        query = query_of(given) | {"location_id": get_location(client, name)["id"], "sort": sort}
        print_list(client, query, limit, all_=all_, quiet=quiet, as_json=as_json)


def lifecycle_command(name: str, verb: str, summary: str) -> click.Command:
    """A command for all chargers of a location, as one job; `verb` is that of the API's path."""

    @click.command(name, help=summary)
    @location_name
    @job_options
    @assume_yes
    @wait_option
    @timeout_option
    @ids_only
    @as_json
    def command(**given: Any) -> None:
        from chargehand.client.locations import get_location, location_path

        with connect() as client:
            path = f"{location_path(get_location(client, given['name'])['id'])}/{verb}-chargers"
            wait_s = given["timeout_s"] if given["wait"] else None
            request_and_follow(client, path, name, {}, given, wait_s=wait_s)

    return command


for _name, _verb, _summary in (
    ("start", "start", "Start all chargers of a location, as one job, and wait until they run."),
    ("stop", "stop", "Stop all chargers of a location, as one job, and wait until they have stopped."),
    ("restart", "reset", "Restart all chargers of a location, as one job. Stopped ones start."),
):
    locations.add_command(lifecycle_command(_name, _verb, _summary))
locations.add_command(
    report_command(
        "LOCATION", location_report, "Report how long the chargers took, and how their CSMS answered."
    )
)


def confirm_and_delete(client: "Client", rows: "list[Row]", given: dict[str, Any]) -> None:
    """Delete the locations and their chargers, after a confirmation on a terminal, and print them. Raises Failure."""
    from chargehand.client.locations import delete_locations, number_of_chargers

    if rows and not given["yes"] and on_a_terminal():
        chargers = sum(number_of_chargers(client, row["id"]) for row in rows)
        what = rows[0]["name"] if len(rows) == 1 else f"{len(rows)} locations"
        click.confirm(f"Delete {what} with {chargers} chargers?", abort=True, err=True)
    delete_locations(client, rows, given["timeout_s"] if given["wait"] else None)
    if given["as_json"]:
        print_json([{"id": row["id"], "name": row["name"], "state": "deleted"} for row in rows])
    else:
        print_table(("ID", "Name", "State"), ((row["id"], row["name"], "deleted") for row in rows))


def print_location(row: "Row", *, as_json: bool, quiet: bool = False) -> None:
    """Print its facts, or only its id."""
    if as_json:
        print_json(row)
        return
    if quiet:
        click.echo(row["id"])
        return
    place = ", ".join(filter(None, (row["address"], row["city"], row["country"])))
    coordinates = row["coordinates"] or {}
    print_pairs(
        {
            "Location": row["id"],
            "Name": row["name"],
            "Slug": row["slug"],
            "Place": place,
            "Coordinates": ", ".join(f"{value:g}" for value in coordinates.values()),
            "Time zone": row["timezone"],
            "Owner": row["owner_name"],
            "Public": {True: "yes", False: "no"}.get(row["public"]),
            "Status": row["status"],
            "Chargers": (row.get("chargers") or {}).get("total"),
            "Labels": in_pairs(row.get("labels")),
            "Expires": row.get("expires_at"),
            "Created": row["created_at"],
        }
    )
