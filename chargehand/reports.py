"""The command `report` of jobs, of locations and of fleets."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chargehand.client.failures import Failure
from chargehand.options import connect
from chargehand.output import note, print_pairs, print_table

if TYPE_CHECKING:
    from chargehand.client.http import Client, Row

FORMATS = ("json", "csv", "junit", "html")
OF_SUFFIX = {".json": "json", ".csv": "csv", ".xml": "junit", ".html": "html"}


def report_command(metavar: str, path_of: "Callable[[Client, str], str]", summary: str) -> click.Command:
    """The command `report NAME --format junit -o FILE`; path_of finds what the report is of. Without both it prints a summary."""

    @click.command("report", help=summary)
    @click.argument("name", metavar=metavar)
    @click.option(
        "--format",
        "format_",
        type=click.Choice(FORMATS),
        help="All of it. [default: as the name of the file ends, else a summary]",
    )
    @click.option("--output", "-o", type=click.Path(path_type=Path), help="A file, which is overwritten.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
    def report(*, name: str, format_: str | None, output: Path | None, as_json: bool) -> None:
        chosen = format_ or ("json" if as_json else OF_SUFFIX.get(output.suffix.lower()) if output else None)
        if output and not chosen:
            raise click.UsageError(
                "say the --format of the file, or end its name with .xml, .json, .csv or .html"
            )
        with connect() as client:
            path = path_of(client, name)
            if chosen is None:
                print_report(client.get(path))
                return
            text = client.text(path, format=chosen)
        if output is None:
            click.echo(text)
        else:
            write(output, text)

    return report


def write(file: Path, text: str) -> None:
    """Write the file. Raises Failure."""
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror}") from error
    note(f"{file} has the report.")


def print_report(report: "Row") -> None:
    """Print the numbers of a report, what failed and why, and how the CSMS answered."""
    seconds = report["seconds"] or {}
    print_pairs(
        {
            "Chargers": report["total"],
            **{name.capitalize(): count for name, count in report["outcomes"].items() if count},
            f"Until {report['until']}": ", ".join(
                f"{name} {seconds[name]:.1f} s" for name in ("p50", "p95", "p99", "max") if name in seconds
            ),
            "Frames": f"{report['frames']['total']:,}",
        }
    )
    if report["failures"]:
        click.echo()
        print_table(("Failed", "Reason"), ((each["count"], each["reason"]) for each in report["failures"]))
    if report["frames"]["by_action"]:
        click.echo()
        print_table(
            ("Action", "From", "Calls", "Errors", "No answer", "p50 ms", "p99 ms"),
            (
                (
                    each["action"],
                    each["caller"],
                    each["calls"],
                    each["errors"],
                    each["unanswered"],
                    *(_whole((each["latency_ms"] or {}).get(name)) for name in ("p50", "p99")),
                )
                for each in report["frames"]["by_action"]
            ),
        )


def _whole(number: float | None) -> str | None:
    return None if number is None else f"{number:.0f}"
