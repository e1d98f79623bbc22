"""`chargehand commands` and `chargehand actions`: what was requested of chargers, and what came of it."""

import click

from chargehand.options import as_json, complete_chargers, connect
from chargehand.output import print_json, print_table


@click.group(short_help="Starts, stops and other changes of a charger.")
def commands() -> None:
    """The commands of chargers, the users who requested them, and their results."""


@commands.command("list")
@click.argument("name", metavar="CHARGER", shell_complete=complete_chargers)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@as_json
def list_(*, name: str, limit: int, as_json: bool) -> None:
    """List a charger's commands, the newest first."""
    from chargehand.client.finding import find_chargers

    with connect() as client:
        (charger,) = find_chargers(client, [name])
        rows = list(client.rows(f"/ocpp/chargers/{charger['id']}/commands", max_rows=limit))
    if as_json:
        print_json(rows)
        return
    print_table(
        ("Created", "Command", "Status", "By", "Reason"),
        (
            (
                row["created_at"],
                row["event_type"].removesuffix("_charger"),
                row["status"],
                row["requested_by"],
                (row["error"] or {}).get("message") or row["reason"],
            )
            for row in rows
        ),
    )


@click.group(short_help="What happened at running chargers, and the results.")
def actions() -> None:
    """What happened at running chargers, the users who requested it, and the results."""


@actions.command("list")
@click.argument("name", metavar="[CHARGER]", required=False, shell_complete=complete_chargers)
@click.option("--location", "location_id", help="The id, slug or name of a location.")
@click.option("--status", help="queued, received, applied, rejected, expired, failed; several with commas.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@as_json
def list_actions(
    *, name: str | None, location_id: str | None, status: str | None, limit: int, as_json: bool
) -> None:
    """List the actions of a charger, of a location, or of all chargers, the newest first."""
    from chargehand.client.finding import find_chargers
    from chargehand.client.locations import id_of_location

    with connect() as client:
        query = {"location_id": location_id and id_of_location(client, location_id), "status": status}
        if name:
            (charger,) = find_chargers(client, [name])
            query["charger_id"] = charger["id"]
        rows = list(client.rows("/ocpp/commands", max_rows=limit, **query))
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ID", "Created", "Identity", "Action", "Status", "By", "Reason"),
        (
            (
                row["id"],
                row["created_at"],
                row["identity"],
                row["event_type"],
                row["status"],
                row["requested_by"],
                row["reason"],
            )
            for row in rows
        ),
    )
