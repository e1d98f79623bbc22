"""Create, read, update and delete: the rows that workers make true."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.fleet.commands import add_command
from shared.fleet.errors import InvalidCharger, QuotaFull
from shared.fleet.receipts import CommandReceipt, receipt_of
from shared.fleet.scope import get_charger, lock_charger
from shared.ids import new_charger_id, new_command_id, new_run_id
from shared.models import Brand, CatalogModel, Charger, ChargerCount, Command
from shared.vocabulary import PUBLISH_GRACE, EventType, OcppVersion, ProvisioningStatus

#: What a charger's process is told: a change of these needs another task (contract 13, item 24).
REDEPLOYS = frozenset({"ws_url", "ocpp_version", "connector_type", "location_id", "location_name"})

__all__ = ["create_charger", "delete_charger", "get_charger", "update_charger"]

IN_PROGRESS = (ProvisioningStatus.PENDING, ProvisioningStatus.PROVISIONING)


def create_charger(
    session: Session,
    *,
    organization_id: str,
    requested_by: str,
    request_id: str | None,
    identity: str,
    brand_slug: str,
    model_slug: str,
    connector_type: str,
    ws_url: str,
    ocpp_version: str | None = None,
    charge_point_name: str | None = None,
    location_id: str | None = None,
    location_name: str | None = None,
    most_chargers: int,
) -> CommandReceipt:
    """Store a charger that a worker will bring up. Raises InvalidCharger, and QuotaFull: the transaction is spoilt then.

    Safe to repeat while it is being provisioned: the same wish gives the same charger, because the SDK
    repeats a POST whose answer it lost (contract 12.3).
    """
    brand, model = _catalog_entry(session, brand_slug, model_slug, connector_type)
    wish = {
        "brand_slug": brand_slug,
        "model_slug": model_slug,
        "connector_type": connector_type,
        "ws_url": ws_url,
        "ocpp_version": ocpp_version or OcppVersion.V16.value,
        "name": charge_point_name,
        "location_id": location_id,
        "location_name": location_name,
    }
    command_id = new_command_id()
    charger = session.scalars(
        insert(Charger)
        .values(
            id=new_charger_id(),
            organization_id=organization_id,
            identity=identity,
            **wish,
            vendor_name=brand.name,
            model=model.name,
            image_url=model.image_url,
            current_type=model.current_type,
            number_of_connectors=model.connector_count,
            max_charging_power=round(max(model.supported_kwh) * 1000),
            workflow_run_id=new_run_id(),
            newest_command_id=command_id,
            newest_event_type=EventType.CREATE_CHARGER,
            publish_at=func.now() + PUBLISH_GRACE,
        )
        .on_conflict_do_nothing(
            index_elements=[Charger.organization_id, Charger.identity],
            index_where=Charger.deleted_at.is_(None),
        )
        .returning(Charger)
    ).one_or_none()
    if charger is None:
        return _repeated_create(session, organization_id, identity, wish)
    _check_quota(session, organization_id, most_chargers)
    session.add(
        Command(
            id=command_id,
            charger_id=charger.id,
            organization_id=organization_id,
            event_type=EventType.CREATE_CHARGER,
            generation=charger.generation,
            requested_by=requested_by,
            request_id=request_id,
        )
    )
    session.flush()
    return receipt_of(charger)


def update_charger(
    session: Session,
    *,
    organization_id: str,
    requested_by: str,
    request_id: str | None,
    charger_id: str,
    changes: dict[str, Any],
) -> CommandReceipt:
    """Change what is in `changes` (charger columns). Raises ChargerNotFound, InvalidCharger.

    A change of what the process is told redeploys it in the background. A repeat changes nothing.
    """
    charger = lock_charger(session, organization_id=organization_id, charger_id=charger_id)
    changed = {name: value for name, value in changes.items() if getattr(charger, name) != value}
    if "connector_type" in changed:
        _catalog_entry(session, charger.brand_slug, charger.model_slug, changed["connector_type"])
    for name, value in changed.items():
        setattr(charger, name, value)
    if changed:
        charger.updated_at = func.now()
    redeploy = not REDEPLOYS.isdisjoint(changed) and charger.provisioning_status != ProvisioningStatus.FAILED
    if redeploy:
        charger.generation += 1
        charger.spec_generation = charger.generation
        add_command(
            session, charger, EventType.UPDATE_CHARGER, requested_by=requested_by, request_id=request_id
        )
    session.flush()
    charger = get_charger(session, organization_id=organization_id, charger_id=charger_id)
    return receipt_of(charger, repeated=not redeploy)


def delete_charger(
    session: Session, *, organization_id: str, requested_by: str, request_id: str | None, charger_id: str
) -> CommandReceipt:
    """Take the charger out of the clients' sight. Raises ChargerNotFound, also the second time.

    A worker removes its service and task definitions, and then forgets the row.
    """
    charger = lock_charger(session, organization_id=organization_id, charger_id=charger_id)
    charger.deleted_at = func.now()
    charger.desired_count = 0
    charger.observe_at = None  # until its service drains
    charger.generation += 1
    add_command(session, charger, EventType.DELETE_CHARGER, requested_by=requested_by, request_id=request_id)
    session.flush()
    return receipt_of(charger)


def _catalog_entry(
    session: Session, brand_slug: str, model_slug: str, connector_type: str
) -> tuple[Brand, CatalogModel]:
    found = session.execute(
        select(Brand, CatalogModel)
        .join(CatalogModel, CatalogModel.brand_slug == Brand.slug)
        .where(Brand.slug == brand_slug, CatalogModel.slug == model_slug)
    ).one_or_none()
    if found is None:
        raise InvalidCharger(
            f"The catalog has no model {model_slug} of a brand {brand_slug}", param="model_slug"
        )
    brand, model = found
    if connector_type not in model.connector_types:
        offered = ", ".join(model.connector_types)
        raise InvalidCharger(
            f"{brand.name} {model.name} has no {connector_type} connector; it offers {offered}",
            param="connector_type",
        )
    return brand, model


def _check_quota(session: Session, organization_id: str, most: int) -> None:
    """Raise QuotaFull if there is one charger too many, with the one that was just stored.

    Exact: the trigger that counted it holds the count's row until the commit, so creates at once come one by one.
    """
    of_organization = ChargerCount.organization_id == organization_id
    if (session.scalar(select(ChargerCount.chargers).where(of_organization)) or 0) > most:
        raise QuotaFull(
            f"The organization has {most} chargers, which is as many as it may: delete some first"
        )


def _repeated_create(
    session: Session, organization_id: str, identity: str, wish: dict[str, Any]
) -> CommandReceipt:
    """The charger that the first request made, if this one asks for the very same."""
    charger = session.scalars(
        select(Charger).where(
            Charger.organization_id == organization_id,
            Charger.identity == identity,
            Charger.deleted_at.is_(None),
        )
    ).one_or_none()
    if (
        charger is not None
        and charger.newest_event_type == EventType.CREATE_CHARGER
        and charger.provisioning_status in IN_PROGRESS
        and all(getattr(charger, name) == value for name, value in wish.items())
    ):
        return receipt_of(charger, repeated=True)
    raise InvalidCharger(f"Identity {identity} already exists", param="identity")
