"""Copy the catalog of brands and models from its data file into the database, after every migration."""

import json
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from shared.models import Brand, CatalogModel

CATALOG_FILE = Path(__file__).parent / "catalog.json"


def load_catalog(connection: Connection) -> None:
    """Insert or update every brand and model of the file. Rows that are no longer in the file stay: chargers use them."""
    brands = json.loads(CATALOG_FILE.read_text(encoding="utf-8"))
    _upsert(connection, Brand, [_brand_row(brand) for brand in brands], key=["slug"])
    models = [_model_row(brand["slug"], model) for brand in brands for model in brand["models"]]
    _upsert(connection, CatalogModel, models, key=["brand_slug", "slug"])


def _brand_row(brand: dict[str, Any]) -> dict[str, Any]:
    return {
        "slug": brand["slug"],
        "id": uuid5(NAMESPACE_URL, f"chargehand:brand:{brand['slug']}"),
        "name": brand["name"],
        "image_url": brand.get("image_url"),
    }


def _model_row(brand_slug: str, model: dict[str, Any]) -> dict[str, Any]:
    return {
        "brand_slug": brand_slug,
        "slug": model["slug"],
        "id": uuid5(NAMESPACE_URL, f"chargehand:model:{brand_slug}/{model['slug']}"),
        "name": model["name"],
        "image_url": model.get("image_url"),
        "connector_count": model["connector_count"],
        "current_type": model["current_type"],
        "supported_kwh": model["supported_kwh"],
        "connector_types": model["connector_types"],
    }


def _upsert(
    connection: Connection,
    table: type[Brand] | type[CatalogModel],
    rows: list[dict[str, Any]],
    key: list[str],
) -> None:
    statement = insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), rows)
