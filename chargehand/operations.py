"""`chargehand operations`: what the service does and what is away, on one screen."""

from typing import TYPE_CHECKING, Any

import click

from chargehand.options import as_json, connect
from chargehand.output import age_of, print_json, print_table, printable

if TYPE_CHECKING:
    from chargehand.client.http import Row

MAX_OLDEST = 5  #: commands that are shown


@click.command(short_help="Show what the service does and what is away.")
@as_json
def operations(*, as_json: bool) -> None:
    """Show what the service does and what is away: open commands, workers, the rate budget, maintenance.

    Exit status 1 while something is away or a queue has no worker.
    """
    with connect() as client:
        state = client.get("/ocpp/operations")
    if as_json:
        print_json(state)
    else:
        _print(state)
    if not _is_well(state):
        raise SystemExit(1)


def _is_well(state: "Row") -> bool:
    return all(light["ok"] for light in state["lights"]) and all(
        queue["served_by"] for queue in state["commands"]["by_queue"]
    )


def _print(state: "Row") -> None:
    for light in sorted(state["lights"], key=lambda light: bool(light["ok"])):
        click.echo(printable(f"{'ok  ' if light['ok'] else 'AWAY'}  {light['name']}: {light['detail']}"))
    commands = state["commands"]
    for queue in commands["by_queue"]:
        if not queue["served_by"]:
            click.echo(f"NO WORKER serves {queue['queue']}")
    click.echo()
    click.echo(_summary(commands))
    print_table(
        ("Queue", "Workers", "Open", "Oldest", "Over 5 s", "Over 1 min", "Over 5 min"),
        (
            (
                queue["queue"],
                queue["served_by"],
                queue["open"],
                _seconds(queue["oldest_s"]),
                *(each["count"] for each in queue["by_age"][1:]),
            )
            for queue in commands["by_queue"]
        ),
    )
    if commands["oldest"]:
        _print_part(
            ("Charger", "Command", "Status", "Age", "Attempts", "Reason"),
            [
                (
                    command["identity"],
                    command["event_type"],
                    command["status"],
                    age_of(command["created_at"]),
                    command["attempts"],
                    command["reason"],
                )
                for command in commands["oldest"][:MAX_OLDEST]
            ],
        )
    _print_part(
        ("Worker", "State", "Serves", "Busy", "Done", "Seen"),
        [
            (
                worker["name"],
                "alive" if worker["alive"] else "NOT SEEN",
                ",".join(worker["queues"]),
                f"{worker['busy']}/{worker['threads']}",
                worker["tasks_done"],
                age_of(worker["seen_at"]),
            )
            for worker in state["workers"]
        ],
    )
    _print_part(
        ("Rate budget", "Used/s", "Allowed/s", "Waiting", "Until", "Throttled in 10 min"),
        [
            (
                use["group"],
                f"{use['used_per_second']:.1f}",
                f"{use['per_second']:g}",
                use["waiting"],
                _seconds(use["eta_s"]),
                use["throttled_10_min"],
            )
            for use in state["budget"]
        ],
    )
    _print_part(
        ("Maintenance", "Succeeded", "Every", "Failures", ""),
        [
            (
                run["task"],
                "never" if run["age_s"] is None else f"{_seconds(run['age_s'])} ago",
                _seconds(run["every_s"]),
                run["failures"],
                "LATE" if run["late"] else None,
            )
            for run in state["maintenance"]
        ],
    )


def _print_part(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    if rows:
        click.echo()
        print_table(columns, rows)


def _summary(commands: "Row") -> str:
    if not commands["open"]:
        return "No command is open."
    held = f", {commands['held']} of them held by the rate budget" if commands["held"] else ""
    return f"The oldest command is open for {_seconds(commands['oldest_s'])}; {commands['open']} open{held}."


def _seconds(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"
