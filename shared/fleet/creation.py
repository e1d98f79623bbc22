"""What the row of a new charger contains beside what its client chose: the same for one charger and for many."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.fleet.errors import InvalidCharger
from shared.fleet.specification.settings import Stored
from shared.models import Brand, CatalogModel, Charger
from shared.vocabulary import PUBLISH_GRACE, EventType

ModelKey = tuple[str, str]  #: the slugs of a brand and of its model


class Entry(NamedTuple):
    """A model of the catalog."""

    brand: Brand
    model: CatalogModel


#: Inserts new chargers, but none whose identity another charger of the organization has.
INSERT_CHARGERS = (
    insert(Charger)
    .values(newest_event_type=EventType.CREATE_CHARGER.value, publish_at=func.now() + PUBLISH_GRACE)
    .on_conflict_do_nothing(
        index_elements=[Charger.organization_id, Charger.identity],
        index_where=Charger.deleted_at.is_(None),
    )
)


def read_catalog(session: Session, keys: Collection[ModelKey]) -> dict[ModelKey, Entry]:
    """The entries of those models that the catalog has."""
    rows = session.execute(
        select(Brand, CatalogModel)
        .join(CatalogModel, CatalogModel.brand_slug == Brand.slug)
        .where(tuple_(CatalogModel.brand_slug, CatalogModel.slug).in_(keys))
    )
    return {(brand.slug, model.slug): Entry(brand, model) for brand, model in rows}


def entry_of(catalog: Mapping[ModelKey, Entry], key: ModelKey, connector_type: str) -> Entry:
    """The model's entry. Raises InvalidCharger if there is none, or if the model has no such connector."""
    entry = catalog.get(key)
    if entry is None:
        brand_slug, model_slug = key
        raise InvalidCharger(
            f"The catalog has no model {model_slug} of a brand {brand_slug}", param="model_slug"
        )
    if connector_type not in entry.model.connector_types:
        offered = ", ".join(entry.model.connector_types)
        raise InvalidCharger(
            f"{entry.brand.name} {entry.model.name} has no {connector_type} connector; it offers {offered}",
            param="connector_type",
        )
    return entry


def columns_of(entry: Entry, stored: Stored) -> dict[str, Any]:
    """What the charger's row copies from the catalog and from its settings. Raises InvalidCharger."""
    brand, model = entry
    return {
        "vendor_name": brand.name,
        "model": model.name,
        "image_url": model.image_url,
        "current_type": model.current_type,
        "number_of_connectors": check_connectors(model, stored),
        "max_charging_power": round(max(model.supported_kwh) * 1000),
    }


def check_connectors(model: CatalogModel, stored: Stored) -> int:
    """The number of connectors: that of the settings, or else the model's. Raises InvalidCharger for another's types."""
    others = set(stored.connectors.get("types", ())) - set(model.connector_types)
    if others:
        offered = ", ".join(model.connector_types)
        raise InvalidCharger(
            f"{model.name} has no {', '.join(sorted(others))} connector; it offers {offered}",
            param="connectors",
        )
    number: int = stored.connectors.get("number", model.connector_count)
    return number
