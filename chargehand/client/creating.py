"""Prepares new chargers, with defaults from the catalog and the stack."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from chargehand.client.defaults import DEFAULT_BRAND, DEFAULT_CONNECTOR, DEFAULT_MODEL
from chargehand.client.failures import Failure
from chargehand.client.http import Client, Row, segment
from chargehand.client.waiting import Task, Until


def creations(
    client: Client,
    identities: Sequence[str],
    *,
    until: Until,
    brand_slug: str | None = None,
    model_slug: str | None = None,
    connector_type: str | None = None,
    ws_url: str | None = None,
    **more: Any,
) -> list[Task]:
    """A task for each identity; an empty identity is generated. `more` are other keys of the request's body.

    Raises Failure if the catalog has no such model, or if no CSMS is known.
    """
    ws_url = ws_url or client.stack.csms_url
    if not ws_url:
        raise Failure("no CSMS is known: say which with --ws-url, or set CHARGEHAND_CSMS_URL")
    chosen = {**choose_model(client, brand_slug, model_slug, connector_type), "ws_url": ws_url}
    rest = {name: value for name, value in more.items() if value is not None}
    named = [identity or f"CP-{uuid4().hex[:8]}" for identity in identities]
    return [
        Task(
            label=identity, path="/ocpp/chargers", body={"identity": identity, **chosen, **rest}, until=until
        )
        for identity in named
    ]


def numbered(pattern: str, count: int) -> list[str]:
    """The pattern with each number from 1 to `count` in place of `{n}`, else at its end. All numbers have the same width."""
    pattern = pattern if "{n}" in pattern else f"{pattern}-{{n}}"
    return [pattern.replace("{n}", str(number).zfill(len(str(count)))) for number in range(1, count + 1)]


def version_of(text: str) -> str:
    """The version as the API writes it: `OCPP1.6` for `1.6`."""
    return f"OCPP{text}" if text[:1].isdigit() else text


def choose_model(client: Client, brand: str | None, model: str | None, connector: str | None) -> Row:
    """The brand, model and connector of a request. Those not given are the first that fit in the catalog. Raises Failure."""
    if brand in (None, DEFAULT_BRAND) and model in (None, DEFAULT_MODEL):
        connector = connector or DEFAULT_CONNECTOR
        return {"brand_slug": DEFAULT_BRAND, "model_slug": DEFAULT_MODEL, "connector_type": connector}
    found = _first_model(client, brand, model)
    return {
        "brand_slug": found["brand_slug"],
        "model_slug": found["slug"],
        "connector_type": connector or found["connector_types"][0],
    }


def _first_model(client: Client, brand: str | None, model: str | None) -> Row:
    if brand and model:
        one: Row = client.get(f"/ocpp/catalog/brands/{segment(brand)}/models/{segment(model)}")
        return one
    brands = [brand] if brand else [row["slug"] for row in client.rows("/ocpp/catalog/brands")]
    for slug in brands:
        for row in client.rows(f"/ocpp/catalog/brands/{segment(slug)}/models"):
            if model in (None, row["slug"]):
                return row
    raise Failure(f"the catalog has no model {model}: `chargehand catalog` lists them")
