"""`chargehand catalog`: lists the brands and models of chargers."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import click

from chargehand.options import as_json, connect
from chargehand.output import print_json, print_table

if TYPE_CHECKING:
    from chargehand.client.http import Row

MAX_REQUESTS = 8  # at the same time


@click.command(short_help="List brands and models.")
@click.argument("brand", required=False)
@as_json
def catalog(*, brand: str | None, as_json: bool) -> None:
    """List the models of all brands, or of one, with their connectors."""
    from chargehand.client.http import segment

    with connect() as client:
        slugs = [brand] if brand else [row["slug"] for row in client.rows("/ocpp/catalog/brands")]

        def models(slug: str) -> "list[Row]":
            return list(client.rows(f"/ocpp/catalog/brands/{segment(slug)}/models"))

        with ThreadPoolExecutor(MAX_REQUESTS) as threads:
            rows = [row for of_brand in threads.map(models, slugs) for row in of_brand]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("Brand", "Model", "Name", "Current", "kW", "Connectors"),
        (
            (
                row["brand_slug"],
                row["slug"],
                row["name"],
                row["current_type"],
                ", ".join(f"{power:g}" for power in row["supported_kwh"] or ()),
                ", ".join(row["connector_types"] or ()),
            )
            for row in rows
        ),
    )


@click.command(short_help="List sites that `fleet up --template` can make.")
@click.option("--type", "type_", type=click.Choice(["AC", "DC", "AC-DC"]), help="The power of its chargers.")
@click.option("--ocpp-version", help="OCPP1.6 or OCPP2.0.1; 1.6 is short for OCPP1.6.")
@as_json
def templates(*, type_: str | None, ocpp_version: str | None, as_json: bool) -> None:
    """List the sites that `fleet up --template` can make, with their chargers."""
    from chargehand.client.creating import version_of

    version = version_of(ocpp_version) if ocpp_version else None
    with connect() as client:
        rows = client.get("/ocpp/templates/locations", type=type_, ocpp_version=version)["data"]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("Template", "Type", "Country", "Chargers", "Description"),
        (
            (
                row["slug"],
                row["type"],
                row["country"],
                ", ".join(
                    f"{group['count']} {group['model_slug']} ({group['connector_type']})"
                    for group in row["chargers"]
                ),
                row["description"],
            )
            for row in rows
        ),
    )
