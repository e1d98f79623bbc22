"""The commands that change chargers: create, start, stop, restart, and wait."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from chargehand.client.defaults import DEFAULT_BRAND, DEFAULT_MODEL
from chargehand.jobs import is_job, job_options, run_as_job
from chargehand.options import (
    Duration,
    Number,
    as_json,
    charger_names,
    connect,
    ids_only,
    labels_option,
    placement_option,
    selected,
    selection,
)
from chargehand.output import print_json, print_table, progress

if TYPE_CHECKING:
    from chargehand.client.http import Client, Row
    from chargehand.client.waiting import Task

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_TIMEOUT_S = 60

until_option = click.option(
    "--until",
    type=click.Choice(["accepted", "final"]),
    default="accepted",
    show_default=True,
    help="What to wait for: the CSMS accepted the boot, or the command ended.",
)
timeout_option = click.option(
    "--timeout", "timeout_s", type=Number(min=0), default=DEFAULT_TIMEOUT_S, show_default=True,
    help="Seconds to wait in all.",
)  # fmt: skip
wait_option = click.option("--wait/--no-wait", default=True, help="Wait for the result (default).")


@click.command()
@click.argument("identities", nargs=-1, metavar="[IDENTITY]...")
@click.option("--identity", "more", multiple=True, help="The same as an argument.")
@click.option(
    "--count", type=click.IntRange(1, 10_000), help="How many; {n} in the identity becomes the number."
)
@click.option("--brand", "brand_slug", help=f"A brand of `chargehand catalog`.  [default: {DEFAULT_BRAND}]")
@click.option(
    "--model", "model_slug", help=f"A model of the brand.  [default: {DEFAULT_MODEL}, or the brand's first]"
)
@click.option("--connector", "connector_type", help="A connector of the model.  [default: the model's first]")
@click.option(
    "--ocpp-version",
    default="OCPP1.6",
    show_default=True,
    help="OCPP1.6 or OCPP2.0.1; 1.6 is short for OCPP1.6.",
)
@click.option("--ws-url", help="The URL of the CSMS.  [default: the CSMS of the stack]")
@click.option("--name", "charge_point_name", help="Display name.")
@click.option("--location", "location_id", help="The id, slug or name of a location.")
@click.option("--location-name", help="A name of the location for the charger's process.")
@labels_option
@click.option("--ttl", "ttl_seconds", type=Duration(), help="It is deleted after this time: 90m, 1h, 2d.")
@placement_option
@wait_option
@until_option
@timeout_option
@ids_only
@as_json
def create(
    *,
    identities: tuple[str, ...],
    more: tuple[str, ...],
    count: int | None,
    wait: bool,
    until: str,
    timeout_s: float,
    quiet: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Create chargers, and wait until the CSMS accepted them.

    Without an IDENTITY each gets one of its own. --count 3 'CP-{n}' creates CP-1, CP-2 and CP-3, with a request for each;
    `chargehand fleet up` creates many with one request.
    """
    from chargehand.client.creating import creations, version_of
    from chargehand.client.locations import id_of_location
    from chargehand.client.waiting import Until

    named = identities_of((*identities, *more), count)
    given["ocpp_version"] = version_of(given["ocpp_version"] or "")
    with connect() as client:
        if given["location_id"]:
            given["location_id"] = id_of_location(client.within(timeout_s), given["location_id"])
        tasks = creations(client.within(timeout_s), named, until=Until(until), **given)
        carry_out(client, tasks, timeout_s if wait else None, silent=quiet or as_json)
    finish(tasks, as_json=as_json, quiet=quiet, single=len(tasks) == 1)


def identities_of(patterns: Sequence[str], count: int | None) -> list[str]:
    """The identities of the new chargers; an empty one is generated later. Raises UsageError."""
    from chargehand.client.creating import numbered

    if count is None:
        return list(patterns) or [""]
    if len(patterns) > 1:
        raise click.UsageError("--count takes one identity, with {n} where the number belongs")
    return numbered(patterns[0], count) if patterns else [""] * count


def lifecycle_options(*, waits_for_csms: bool) -> Callable[[Command], Command]:
    """Adds the options of a command that changes existing chargers."""

    def decorate(command: Command) -> Command:
        options = [
            as_json,
            ids_only,
            timeout_option,
            *([until_option] if waits_for_csms else []),
            wait_option,
        ]
        for option in options:
            command = option(command)
        return selection(job_options(command))

    return decorate


@click.command()
@lifecycle_options(waits_for_csms=True)
def start(**given: Any) -> None:
    """Start chargers, and wait until the CSMS accepted them."""
    request_for_each("start", given)


@click.command()
@lifecycle_options(waits_for_csms=False)
def stop(**given: Any) -> None:
    """Stop chargers, and wait until they have stopped."""
    request_for_each("stop", {**given, "until": "final"})


@click.command()
@lifecycle_options(waits_for_csms=True)
def restart(**given: Any) -> None:
    """Restart chargers, and wait until the CSMS accepted them again. A stopped charger starts."""
    request_for_each("restart", given)


def request_for_each(verb: str, given: dict[str, Any]) -> None:
    """Send the request of a verb for each selected charger, or one job for all, and print the results. Raises Failure."""
    from chargehand.client.waiting import Task, Until

    if is_job(given):
        run_as_job(verb, given, wait_s=given["timeout_s"] if given["wait"] else None)
        return
    silent = given["quiet"] or given["as_json"]
    with connect() as client:
        chosen = selected(client.within(given["timeout_s"]), given["names"], given, verb=verb.capitalize())
        tasks = [
            Task(
                label=row["identity"],
                charger_id=row["id"],
                path=f"/ocpp/chargers/{row['id']}/{verb}-charger",
                until=Until(given["until"]),
            )
            for row in chosen
        ]
        carry_out(client, tasks, given["timeout_s"] if given["wait"] else None, silent=silent)
    finish(tasks, as_json=given["as_json"], quiet=given["quiet"], single=len(given["names"]) == 1)


@click.command()
@charger_names
@until_option
@timeout_option
@as_json
def wait(*, names: tuple[str, ...], until: str, timeout_s: float, as_json: bool) -> None:
    """Wait until the CSMS accepted the chargers, or until their newest commands ended."""
    from chargehand.client.finding import find_chargers
    from chargehand.client.waiting import Task, Until

    if not names:
        raise click.UsageError("name chargers by their id or identity")
    with connect() as client:
        tasks = [
            Task(label=row["identity"], charger_id=row["id"], until=Until(until))
            for row in find_chargers(client.within(timeout_s), names)
        ]
        carry_out(client, tasks, timeout_s, silent=as_json)
    finish(tasks, as_json=as_json, single=len(names) == 1)


def carry_out(client: "Client", tasks: "list[Task]", timeout_s: float | None, *, silent: bool) -> None:
    """Send the request of each task, and wait for the results, at most timeout_s; None does not wait. Raises Failure."""
    from chargehand.client.waiting import send_all, wait_all

    with progress(tasks, quiet=silent) as changed:
        if timeout_s is None:
            send_all(client, tasks, changed)
        else:
            wait_all(client, tasks, timeout_s, changed)


def finish(tasks: "list[Task]", *, as_json: bool, quiet: bool = False, single: bool = False) -> None:
    """Print the result of each task. Raises Failure if a task failed, else TimeIsUp if a task timed out."""
    from chargehand.client.waiting import raise_for_failures

    if as_json:
        rows: list[Row] = [task.as_json() for task in tasks]
        print_json(rows[0] if single and rows else rows)
    elif quiet:
        for task in tasks:
            if task.charger_id:
                click.echo(task.charger_id)
    else:
        print_table(
            ("ID", "Identity", "State", "Reason"),
            ((task.charger_id, task.label, task.state, task.reason) for task in tasks),
        )
    raise_for_failures(tasks)
