"""`chargehand jobs`, and the options with which a command for chargers becomes one job."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from chargehand.options import Number, as_json, complete_locations, connect, on_a_terminal, query_at
from chargehand.output import note, print_json, print_pairs, print_table
from chargehand.reports import report_command

if TYPE_CHECKING:
    from chargehand.client.http import Client, Row

Command = TypeVar("Command", bound=Callable[..., Any])

MAX_RATE = 1_000
DEFAULT_WAIT_S = 3600


def job_options(command: Command) -> Command:
    """Adds the options that make one job of a command."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Print how many chargers, and which would be left out."),
        click.option(
            "--rate",
            type=Number(min=0.01, max=MAX_RATE),
            help="A ramp: so many chargers per second, as one job.",
        ),
        click.option("--job", "as_job", is_flag=True, help="Request one job for all of them."),
    ):
        command = option(command)
    return command


def is_job(given: dict[str, Any]) -> bool:
    """Whether the options request a job."""
    return bool(given["as_job"] or given["rate"] is not None or given["dry_run"])


def run_as_job(verb: str, given: dict[str, Any], *, wait_s: float | None) -> None:
    """Request one job for the selected chargers, wait for it, at most wait_s, and print it. Raises Failure."""
    with connect() as client:
        selection = _selection(client, given["names"], given)
        request_and_follow(client, f"/ocpp/chargers/{verb}", verb, selection, given, wait_s=wait_s)


def request_and_follow(
    client: "Client", path: str, verb: str, selection: "Row", given: dict[str, Any], *, wait_s: float | None
) -> None:
    """POST a request for many chargers, after a confirmation, as run_as_job. With `dry_run`, print what it would act on."""
    from chargehand.client.jobs import preview_job, raise_for_job, request_job, wait_for_job

    preview = preview_job(client, path, selection)
    if given["dry_run"]:
        print_preview(preview, as_json=given["as_json"])
        return
    if not given["yes"] and on_a_terminal():
        click.confirm(f"{verb.capitalize()} {preview['total']} chargers?", abort=True, err=True)
    job = request_job(client, path, selection, rate=given["rate"], expected_count=preview["total"])
    quiet = given["as_json"] or given.get("quiet", False)
    if wait_s is not None:
        job = wait_for_job(client, job, wait_s, ignore if quiet else noting())
    print_job(job, as_json=given["as_json"], quiet=given.get("quiet", False))
    raise_for_job(client, job)


def _selection(client: "Client", names: Sequence[str], given: dict[str, Any]) -> "Row":
    from chargehand.client.finding import find_chargers

    query = query_at(client, given)
    if bool(names) == bool(given["all_"] or query):
        raise click.UsageError("name chargers by their id or identity, or use --all and filters")
    if given["all_"] and not query and not given["yes"] and not given["dry_run"] and not on_a_terminal():
        raise click.UsageError("--all without a filter needs --yes")
    if query and not given["all_"]:
        raise click.UsageError("filters need --all")
    if names:
        return {"charger_ids": [row["id"] for row in find_chargers(client, names)]}
    return {"filters": query}


@click.group()
def jobs() -> None:
    """Jobs: one request for many chargers, and how far it is."""


@jobs.command("list")
@click.option("--status", help="running, paused, finished, cancelled; several with commas.")
@click.option(
    "--location",
    "location",
    shell_complete=complete_locations,
    help="Of this location: its id, slug or name.",
)
@click.option("--action", help="start, stop, restart, delete, create; several with commas.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@as_json
def list_(*, status: str | None, location: str | None, action: str | None, limit: int, as_json: bool) -> None:
    """List jobs, the newest first."""
    from chargehand.client.jobs import sentence_of
    from chargehand.client.locations import id_of_location

    with connect() as client:
        query = {
            "status": status,
            "action": action,
            "location_id": location and id_of_location(client, location),
        }
        rows = list(client.rows("/ocpp/jobs", limit, **query))
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ID", "Created", "Action", "Status", "By", "Progress"),
        (
            (
                row["id"],
                row["created_at"],
                row["action"],
                row["status"],
                row["requested_by"],
                sentence_of(row),
            )
            for row in rows
        ),
    )


@jobs.command()
@click.argument("job_id", metavar="JOB")
@click.option("--result", help="List its chargers with this result, such as failed; several with commas.")
@as_json
def show(*, job_id: str, result: str | None, as_json: bool) -> None:
    """Show a job, or with --result its chargers that have this result."""
    from chargehand.client.jobs import get_job, job_path

    with connect() as client:
        if result is None:
            print_job(get_job(client, job_id), as_json=as_json)
            return
        rows = list(client.rows(f"{job_path(job_id)}/items", result=result))
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ID", "Identity", "Result", "Reason"),
        ((row["charger_id"], row["identity"], row["result"], row["reason"]) for row in rows),
    )


@jobs.command()
@click.argument("job_id", metavar="JOB")
@click.option(
    "--timeout", "timeout_s", type=Number(min=0), default=DEFAULT_WAIT_S, show_default=True,
    help="Seconds to wait in all.",
)  # fmt: skip
@as_json
def wait(*, job_id: str, timeout_s: float, as_json: bool) -> None:
    """Wait until a job is final."""
    from chargehand.client.jobs import get_job, raise_for_job, wait_for_job

    with connect() as client:
        job = wait_for_job(client, get_job(client, job_id), timeout_s, ignore if as_json else noting())
        print_job(job, as_json=as_json)
        raise_for_job(client, job)


def _job_report(_: "Client", job_id: str) -> str:
    from chargehand.client.jobs import job_path

    return f"{job_path(job_id)}/report"


def _change(name: str, summary: str) -> click.Command:
    @click.command(name, help=summary)
    @click.argument("job_id", metavar="JOB")
    @as_json
    def change(*, job_id: str, as_json: bool) -> None:
        from chargehand.client.jobs import change_job, get_job

        with connect() as client:
            job = change_job(client, job_id, name)
            print_job(get_job(client, job["job_id"]) if name == "retry" else job, as_json=as_json)

    return change


for _name, _summary in (
    ("pause", "Pause a job: it records no further commands until it is resumed."),
    ("resume", "Resume a job. A ramp begins again with its rate."),
    ("cancel", "Cancel a job. Commands that are recorded already go on."),
    ("retry", "Request a new job for the chargers that failed."),
):
    jobs.add_command(_change(_name, _summary))
jobs.add_command(report_command("JOB", _job_report, "Report how long its chargers took, and which failed."))


def print_job(job: "Row", *, as_json: bool, quiet: bool = False) -> None:
    """Print its facts, or only its id."""
    from chargehand.client.jobs import sentence_of

    if as_json:
        print_json(job)
        return
    if quiet:
        click.echo(job["id"])
        return
    print_pairs(
        {
            "Job": job["id"],
            "Action": job["action"],
            "Status": job["status"],
            "Progress": sentence_of(job),
            "Location": job["location_id"],
            "Rate": job["rate_per_second"] and f"{job['rate_per_second']:g} per second",
            "By": job["requested_by"],
            "Created": job["created_at"],
            "Finished": job["finished_at"],
        }
    )


def print_preview(preview: "Row", *, as_json: bool) -> None:
    """Print how many chargers a job would act on, the first of them, and what it would leave out."""
    if as_json:
        print_json(preview)
        return
    names = ", ".join(row["identity"] for row in preview["sample"])
    more = preview["total"] - len(preview["sample"])
    left_out = {f"Left out ({item['count']})": item["reason"] for item in preview["left_out"]}
    print_pairs(
        {"Chargers": preview["total"], "First": names + (f" and {more} more" if more else ""), **left_out}
    )


def noting() -> "Callable[[Row], None]":
    """Writes a line for each state that differs from the one before."""
    from chargehand.client.jobs import sentence_of

    last = ""

    def noting(job: "Row") -> None:
        nonlocal last
        line = f"{job['action']}: {sentence_of({**job, 'eta_s': None})}"
        if line != last:
            note(line)
            last = line

    return noting


def ignore(_: "Row") -> None:
    pass
