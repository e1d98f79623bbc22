"""`chargehand hosts`: the ECS services whose tasks run many shared chargers."""

from typing import TYPE_CHECKING

import click

from chargehand.options import as_json, connect
from chargehand.output import age_of, print_json, print_pairs, print_table

if TYPE_CHECKING:
    from chargehand.client.http import Row

MIB = 1024 * 1024


@click.group(short_help="List hosts, whose tasks run many chargers, and drain them.")
def hosts() -> None:
    """List hosts, whose tasks run many shared chargers, and drain them. `chargers list --host` lists a host's chargers."""


@hosts.command("list")
@click.option("--state", help="starting, running, draining, removing, unknown; several with commas.")
@as_json
def list_(*, state: str | None, as_json: bool) -> None:
    """List hosts, the newest first."""
    with connect() as client:
        rows = list(client.rows("/ocpp/hosts", state=state))
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ID", "State", "Chargers", "Capacity", "Running", "Connected", "Lag ms", "MiB", "CPU %", "Reason"),
        (
            (
                row["id"],
                row["state"],
                row["chargers"],
                row["capacity"],
                row["running"],
                row["connected"],
                number(row["lag_ms"]),
                number(row["memory_bytes"], MIB),
                number(row["cpu_percent"]),
                row["reason"] or "; ".join(row["short_of"]),
            )
            for row in rows
        ),
    )


@hosts.command()
@click.argument("host_id", metavar="HOST")
@as_json
def get(*, host_id: str, as_json: bool) -> None:
    """Show a host, and what its process last reported."""
    from chargehand.client.http import segment

    with connect() as client:
        print_host(client.get(f"/ocpp/hosts/{segment(host_id)}"), as_json=as_json)


@hosts.command()
@click.argument("host_id", metavar="HOST")
@as_json
def drain(*, host_id: str, as_json: bool) -> None:
    """Let a host get no further charger. A repeat changes nothing."""
    from uuid import uuid4

    from chargehand.client.http import segment

    with connect() as client:
        host = client.post(f"/ocpp/hosts/{segment(host_id)}/drain", uuid4().hex, {})[1]
    print_host(host, as_json=as_json)


def print_host(host: "Row", *, as_json: bool) -> None:
    """Print its facts."""
    if as_json:
        print_json(host)
        return
    short_of = {f"Short of {number}": text for number, text in enumerate(host["short_of"], 1)}
    reported = {
        "Running": host["running"],
        "Connected": host["connected"],
        "Lag ms": number(host["lag_ms"]),
        "MiB": number(host["memory_bytes"], MIB),
        "CPU %": number(host["cpu_percent"]),
        "Lines dropped": host["lines_dropped"],
        "Reported": host["reported_at"] and f"{age_of(host['reported_at'])} ago",
    }
    print_pairs(
        {
            "Host": host["id"],
            "Organization": host["organization_id"],
            "Service": host["service_name"],
            "State": host["state"],
            "Reason": host["reason"],
            **short_of,
            "Chargers": f"{host['chargers']} of {host['capacity']}",
            **reported,
            "Control link": "connected" if host["control"]["connected"] else "not connected",
            "Version": host["version"],
            "Created": host["created_at"],
            "Draining": host["draining_at"],
        }
    )


def number(value: float | None, unit: int = 1) -> str | None:
    """In the unit, with one digit after the point below ten; None for None."""
    if value is None:
        return None
    return f"{value / unit:.1f}" if value < 10 * unit else f"{value / unit:.0f}"
