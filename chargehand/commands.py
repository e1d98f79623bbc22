"""`chargehand commands`: lists the commands of a charger, with their results."""

import click

from chargehand.options import as_json, complete_chargers, connect
from chargehand.output import print_json, print_table


@click.group()
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
