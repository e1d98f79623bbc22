"""The commands list, get and delete of `chargehand chargers`. The others are in lifecycle.py and logs.py."""

from typing import TYPE_CHECKING, Any

import click

from chargehand.actions import action_commands
from chargehand.jobs import is_job, job_options, run_as_job
from chargehand.lifecycle import create, finish, restart, start, stop, wait
from chargehand.logs import logs
from chargehand.options import (
    as_json,
    charger_names,
    connect,
    filters,
    ids_only,
    query_at,
    selected,
    selection,
)
from chargehand.output import age_of, note, print_json, print_pairs, print_table
from chargehand.update import update

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chargehand.client.http import Client, Row

DEFAULT_LIMIT = 50
SORTS = ["created_at", "-created_at", "identity", "-identity", "state_since", "-state_since", "attention"]


class Chargers(click.Group):
    """Lists the actions apart from the other commands in its help."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        actions = {command.name for command in action_commands()}
        for title, of_actions in (("Commands", False), ("Actions of running chargers", True)):
            shown = [name for name in self.list_commands(ctx) if (name in actions) == of_actions]
            limit = formatter.width - 6 - max(map(len, shown))
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(limit)) for name in shown])


@click.group(cls=Chargers, short_help="Create, start, stop and drive single chargers.")
def chargers() -> None:
    """Create chargers, start and stop them, and act as their drivers and cars.

    A CHARGER is an id (dep-...) or an identity.
    """


for command in (create, update, start, stop, restart, wait, logs, *action_commands()):
    chargers.add_command(command)


@chargers.command("list")
@filters
@click.option("--sort", type=click.Choice(SORTS), help="Newest first unless given.")
@click.option("--limit", type=click.IntRange(min=1), default=DEFAULT_LIMIT, show_default=True)
@click.option("--all", "all_", is_flag=True, help="Without a limit.")
@ids_only
@as_json
def list_(*, sort: str | None, limit: int, all_: bool, quiet: bool, as_json: bool, **given: Any) -> None:
    """List chargers that match all filters."""
    with connect() as client:
        print_list(
            client, query_at(client, given) | {"sort": sort}, limit, all_=all_, quiet=quiet, as_json=as_json
        )


def print_list(
    client: "Client", query: "Row", limit: int, *, all_: bool = False, quiet: bool, as_json: bool
) -> None:
    """Print the chargers that match the query, at most `limit`, and whether there are more. Raises Failure."""
    from chargehand.client.waiting import state_of

    max_rows = None if all_ else limit + 1  # one more shows that there are more
    rows = list(client.chargers(max_rows, **query))
    more = not all_ and len(rows) > limit
    if more:
        rows = rows[:limit]
    if as_json:
        print_json(rows)
    elif quiet:
        print_ids(rows)
    else:
        states = (state_of(row) for row in rows)
        print_table(
            ("ID", "Identity", "OCPP", "State", "For", "Reason", "Model"),
            (
                (
                    row["id"],
                    row["identity"],
                    row["ocpp_version"].removeprefix("OCPP"),
                    state,
                    age_of(since_of(row, state)),
                    reason,
                    model_of(row),
                )
                for row, (state, reason) in zip(rows, states, strict=True)
            ),
        )
    if more:
        note(f"There are more than {limit}: --limit or --all shows them.")


@chargers.command()
@charger_names
@as_json
def get(*, names: tuple[str, ...], as_json: bool) -> None:
    """Show the details of chargers: what should run, what runs, the link to the CSMS, and the connectors."""
    from chargehand.client.finding import find_chargers, with_details

    if not names:
        raise click.UsageError("name chargers by their id or identity")
    with connect() as client:
        rows = with_details(client, find_chargers(client, names))
    if as_json:
        print_json(rows[0] if len(names) == 1 else rows)
        return
    for number, row in enumerate(rows):
        if number:
            click.echo()
        print_pairs(facts(row))


@chargers.command()
@selection
@job_options
@as_json
def delete(*, names: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Delete chargers, after a confirmation on a terminal. As a job, returns when that is accepted."""
    from chargehand.client.waiting import Task, delete_all

    if is_job(given):
        run_as_job("delete", {**given, "names": names, "as_json": as_json}, wait_s=None)
        return
    with connect() as client:
        chosen = selected(client, names, given, verb="Delete", confirm=True)
        tasks = [Task(label=row["identity"], charger_id=row["id"]) for row in chosen]
        delete_all(client, tasks)
    finish(tasks, as_json=as_json, single=len(names) == 1)


def facts(row: "Row") -> dict[str, object]:
    """The labels and values that `get` prints."""
    runtime = row["runtime"]
    ocpp = runtime["ocpp"]
    return {
        "Identity": row["identity"],
        "ID": row["id"],
        "Name": row["name"],
        "Model": model_of(row),
        "Connector": row["connector_type"],
        "OCPP": row["ocpp_version"],
        "Location": row["location_id"],
        "Labels": in_pairs(row.get("labels")),
        "Placement": where(runtime),
        "Provisioning": row.get("status"),
        "Desired": runtime["desired"],
        "Observed": runtime["observed"] + (", a while ago" if runtime["stale"] else ""),
        "Reason": runtime["reason"],
        "CSMS": ocpp["state"] and ocpp["state"] + (", a while ago" if ocpp.get("stale_reason") else ""),
        "CSMS reason": ocpp["reason"],
        "CSMS since": ocpp["since"],
        "Last frame": ocpp["last_frame_at"],
        **connectors_of(row),
        "Created": row["created_at"],
        "Expires": row.get("expires_at"),
    }


def in_pairs(labels: "Row | None") -> str:
    """The labels as they are given: `run=1234, team=roaming`."""
    return ", ".join(f"{name}={value}" for name, value in (labels or {}).items())


def connectors_of(row: "Row") -> dict[str, str]:
    """A label and a text for each connector, as the charger last reported it."""
    late = ", a while ago" if row.get("control", {}).get("stale") else ""
    return {
        f"Connector {connector['connector_id']}": ", ".join(filter(None, _words_of(connector))) + late
        for connector in row.get("connectors") or ()
    }


def _words_of(connector: "Row") -> "Iterator[str | None]":
    yield connector["status"]
    yield connector["fault"]
    yield connector["transaction_id"] and f"transaction {connector['transaction_id']}"
    if connector["transaction_id"]:
        yield f"{connector['power_w']:,.0f} W"
    if connector["soc_percent"] is not None:
        yield f"{connector['soc_percent']:.0f} %"


def where(runtime: "Row") -> str | None:
    """Where the charger runs; None if the server does not say."""
    placement: str | None = runtime.get("placement")
    return f"{placement}, on {runtime['host_id']}" if runtime.get("host_id") else placement


def since_of(row: "Row", state: str) -> str | None:
    """When the charger entered the state; None if unknown."""
    runtime = row["runtime"]
    since: str | None = (
        runtime["ocpp"]["since"] if state == runtime["ocpp"]["state"] else runtime.get("observed_since")
    )
    return since


def model_of(row: "Row") -> str:
    """The vendor and the model."""
    return " ".join(filter(None, (row["vendor_name"], row["model"])))


def print_ids(rows: "list[Row]") -> None:
    """An id per line."""
    for row in rows:
        click.echo(row["id"])
