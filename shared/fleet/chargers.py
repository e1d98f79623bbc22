"""Creates, reads, updates and deletes chargers: the rows that workers make true."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.fleet.commands import add_command
from shared.fleet.creation import (
    INSERT_CHARGERS,
    Entry,
    ModelKey,
    check_connectors,
    columns_of,
    entry_of,
    read_catalog,
)
from shared.fleet.errors import CannotMove, InvalidCharger, LocationNotFound, QuotaFull
from shared.fleet.expiry import expires_after
from shared.fleet.locations.scope import lock_location
from shared.fleet.receipts import CommandReceipt, receipt_of
from shared.fleet.scope import get_charger, lock_charger
from shared.fleet.specification.settings import Stored, changed, check_together
from shared.ids import new_charger_id, new_command_id, new_run_id
from shared.models import CatalogModel, Charger, ChargerCount, ChargerSettings, Command
from shared.sealing import Sealer
from shared.vocabulary import IN_PROGRESS, EventType, OcppVersion, Placement, ProvisioningStatus

#: The columns of a charger's specification: a change of these reaches its process (contract 13, item 24).
SPECIFIED = frozenset({"ws_url", "ocpp_version", "connector_type", "location_id", "location_name"})

__all__ = [
    "UNCHANGED",
    "ChargerChanges",
    "CreateRequest",
    "DeleteRequest",
    "NewCharger",
    "Unchanged",
    "UpdateRequest",
    "create_charger",
    "delete_charger",
    "get_charger",
    "update_charger",
]


class Unchanged(Enum):
    """The type of UNCHANGED."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = (
    Unchanged.UNCHANGED
)  #: a field that an update does not mention; None clears a field instead


@dataclass(frozen=True, slots=True)
class NewCharger:
    """What a client chooses about a new charger; columns of its row."""

    identity: str
    brand_slug: str
    model_slug: str
    connector_type: str
    ws_url: str
    ocpp_version: str = OcppVersion.V16.value
    name: str | None = None
    location_id: str | None = None
    location_name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    ttl_seconds: int | None = None  #: after which it is deleted; None for never
    placement: str = Placement.DEDICATED.value
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)  #: beyond the contract; has secrets

    def columns(self) -> dict[str, Any]:
        """What is stored as given, by column."""
        others = ("settings", "ttl_seconds")
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name not in others}


@dataclass(frozen=True, slots=True)
class ChargerChanges:
    """The new values of an update; columns of the charger's row."""

    name: str | Unchanged | None = UNCHANGED
    connector_type: str | Unchanged = UNCHANGED
    ocpp_version: str | Unchanged = UNCHANGED
    ws_url: str | Unchanged = UNCHANGED
    location_id: str | Unchanged | None = UNCHANGED
    location_name: str | Unchanged | None = UNCHANGED
    labels: Mapping[str, str] | Unchanged = UNCHANGED  #: instead of all that it has
    ttl_seconds: int | Unchanged | None = UNCHANGED  #: from now on; None for never
    placement: str | Unchanged = UNCHANGED  #: another one moves it
    settings: Mapping[str, Any] = field(
        default_factory=dict, repr=False
    )  #: those to change; None removes one

    def values(self) -> dict[str, Any]:
        """The new values by column, without those that are UNCHANGED and those that are not stored as given."""
        others = ("settings", "ttl_seconds")
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in others}
        return {name: value for name, value in given.items() if value is not UNCHANGED}


@dataclass(frozen=True, slots=True)
class CreateRequest:
    charger: NewCharger
    organization_id: str
    requested_by: str
    request_id: str | None


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    charger_id: str
    changes: ChargerChanges
    organization_id: str
    requested_by: str
    request_id: str | None


@dataclass(frozen=True, slots=True)
class DeleteRequest:
    charger_id: str
    organization_id: str
    requested_by: str
    request_id: str | None


def create_charger(
    session: Session, request: CreateRequest, *, max_chargers: int, sealer: Sealer
) -> CommandReceipt:
    """Store a charger, which a worker then provisions. Returns its receipt.

    Raises InvalidCharger, and NoKeys for a secret; and QuotaFull above max_chargers of the organization, after which the
    caller must roll back. Safe to repeat while the charger is being provisioned: an equal request returns the same
    charger, because the SDK repeats a POST whose answer it lost (contract 12.3).
    """
    new = request.charger
    entry = _catalog_entry(session, new.brand_slug, new.model_slug, new.connector_type)
    stored = changed(Stored(), new.settings, sealer)
    check_together(stored, new.ws_url)
    _check_location(session, request.organization_id, new.location_id)
    command_id = new_command_id()
    row = {
        "id": new_charger_id(),
        "organization_id": request.organization_id,
        **new.columns(),
        **columns_of(entry, stored),
        "workflow_run_id": new_run_id(),
        "newest_command_id": command_id,
    }
    inserting = INSERT_CHARGERS.values(expires_at=expires_after(new.ttl_seconds)).returning(Charger)
    charger = session.scalars(inserting, [row]).one_or_none()
    if charger is None:
        return _repeated_create(session, request, sealer)
    _check_quota(session, request.organization_id, max_chargers)
    session.add(
        Command(
            id=command_id,
            charger_id=charger.id,
            organization_id=request.organization_id,
            event_type=EventType.CREATE_CHARGER,
            generation=charger.generation,
            requested_by=request.requested_by,
            request_id=request.request_id,
        )
    )
    if stored != Stored():
        store_settings(session, {charger.id: stored})
    session.flush()
    return receipt_of(charger)


def update_charger(
    session: Session, request: UpdateRequest, *, sealer: Sealer
) -> tuple[Charger, CommandReceipt]:
    """Change a charger. Returns its row, as changed, and the receipt. Raises ChargerNotFound, InvalidCharger, NoKeys.

    A change of the specification reaches the charger over the control link, or, where its task definition has it,
    redeploys the charger in the background. Another placement moves it there in the background. A repeat changes nothing.
    """
    charger = lock_charger(session, organization_id=request.organization_id, charger_id=request.charger_id)
    before = Stored.of(session.get(ChargerSettings, charger.id, populate_existing=True))
    rules = Rules(session, request.organization_id, sealer)
    effect = change_charger(session, charger, before, request, rules, now=func.now())
    if effect.stored is not None:
        store_settings(session, {charger.id: effect.stored})
    session.flush()
    charger = get_charger(session, organization_id=request.organization_id, charger_id=request.charger_id)
    return charger, receipt_of(charger, repeated=not effect.redeploys)


class Rules:
    """What a change of chargers is checked against. Reads each model of the catalog and locks each location once."""

    def __init__(self, session: Session, organization_id: str, sealer: Sealer) -> None:
        self.sealer = sealer
        self._session = session
        self._organization_id = organization_id
        self._catalog: dict[ModelKey, Entry] = {}
        self._locations: set[str] = set()

    def model(self, charger: Charger, connector_type: str) -> CatalogModel:
        """The charger's model. Raises InvalidCharger if that has no such connector."""
        key = (charger.brand_slug, charger.model_slug)
        if key not in self._catalog:
            self._catalog |= read_catalog(self._session, [key])
        return entry_of(self._catalog, key, connector_type).model

    def check_location(self, location_id: str | None) -> None:
        """As _check_location."""
        if location_id is None or location_id in self._locations:
            return
        _check_location(self._session, self._organization_id, location_id)
        self._locations.add(location_id)


class Effect(NamedTuple):
    """What a change of a charger's row leaves to do."""

    stored: Stored | None  #: settings to store; None when the specification is as before
    redeploys: bool  #: a command was added


def change_charger(
    session: Session, charger: Charger, before: Stored, request: UpdateRequest, rules: Rules, *, now: Any
) -> Effect:
    """Set the row, which is locked, and add the command of a redeployment. Raises InvalidCharger, NoKeys before it sets anything.

    `now` is the database's clock: its value, or an expression.
    """
    changes = request.changes.values()
    stored = changed(before, request.changes.settings, rules.sealer)
    if stored.connectors != before.connectors:
        changes["number_of_connectors"] = check_connectors(
            rules.model(charger, charger.connector_type), stored
        )
    changes = {name: value for name, value in changes.items() if getattr(charger, name) != value}
    if (connector_type := changes.get("connector_type")) is not None:
        rules.model(charger, connector_type)
    check_together(stored, changes.get("ws_url", charger.ws_url))
    rules.check_location(changes.get("location_id"))
    has_failed = charger.provisioning_status == ProvisioningStatus.FAILED
    moves = "placement" in changes
    if moves and has_failed:
        raise CannotMove
    if request.changes.ttl_seconds is not UNCHANGED:
        changes["expires_at"] = expires_after(request.changes.ttl_seconds, now=now)
    for name, value in changes.items():
        setattr(charger, name, value)
    respecified = stored != before or not SPECIFIED.isdisjoint(changes)
    if changes or respecified:
        charger.updated_at = now
    redeploys = moves or (respecified and not _follows_link(charger) and not has_failed)
    if redeploys:
        charger.generation += 1
        charger.spec_generation = charger.generation
        add_command(
            session,
            charger,
            EventType.UPDATE_CHARGER,
            requested_by=request.requested_by,
            request_id=request.request_id,
            now=now,
        )
    return Effect(stored if respecified else None, redeploys)


def delete_charger(session: Session, request: DeleteRequest) -> CommandReceipt:
    """Hide the charger from clients. Returns the receipt. Raises ChargerNotFound, also the second time.

    A worker removes its service and task definitions, and then the row.
    """
    charger = lock_charger(session, organization_id=request.organization_id, charger_id=request.charger_id)
    charger.deleted_at = func.now()
    charger.desired_count = 0
    charger.observe_at = None  # until its service drains
    charger.generation += 1
    add_command(
        session,
        charger,
        EventType.DELETE_CHARGER,
        requested_by=request.requested_by,
        request_id=request.request_id,
    )
    session.flush()
    return receipt_of(charger)


def _catalog_entry(session: Session, brand_slug: str, model_slug: str, connector_type: str) -> Entry:
    key = (brand_slug, model_slug)
    return entry_of(read_catalog(session, [key]), key, connector_type)


def _check_location(session: Session, organization_id: str, location_id: str | None) -> None:
    """Keep the location from being deleted until the transaction ends. Raises InvalidCharger if it does not exist."""
    if location_id is None:
        return
    try:
        lock_location(session, organization_id=organization_id, location_id=location_id)
    except LocationNotFound as error:
        raise InvalidCharger(str(error), param="location_id") from error


def store_settings(session: Session, stored_of: Mapping[str, Stored]) -> None:
    """The next revision of the specification of each of these chargers, whose rows are locked."""
    row = insert(ChargerSettings).values(
        [
            {"charger_id": charger_id, "revision": 1, "settings": stored.settings, "sealed": stored.sealed}
            for charger_id, stored in stored_of.items()
        ]
    )
    newer = {
        "revision": ChargerSettings.revision + 1,
        "settings": row.excluded.settings,
        "sealed": row.excluded.sealed,
        "updated_at": func.now(),
    }
    session.execute(row.on_conflict_do_update(index_elements=[ChargerSettings.charger_id], set_=newer))


def _follows_link(charger: Charger) -> bool:
    """Whether changes reach its process over the control link. Unknown if a release before this one deployed it last."""
    by_link = charger.spec_by_link and charger.spec_hash is not None
    return charger.placement == Placement.SHARED or by_link


def _check_quota(session: Session, organization_id: str, max_chargers: int) -> None:
    """Raise QuotaFull if the charger that was just stored exceeds the quota.

    Exact: the trigger that counted it locks the count's row until the commit, so concurrent creates run one by one.
    """
    of_organization = ChargerCount.organization_id == organization_id
    if (session.scalar(select(ChargerCount.chargers).where(of_organization)) or 0) > max_chargers:
        raise QuotaFull(
            f"The organization has {max_chargers} chargers, the most it may have: delete some first"
        )


def _repeated_create(session: Session, request: CreateRequest, sealer: Sealer) -> CommandReceipt:
    """The receipt of the first request, if this one is equal to it. Raises InvalidCharger otherwise."""
    new = request.charger
    charger = session.scalars(
        select(Charger).where(
            Charger.organization_id == request.organization_id,
            Charger.identity == new.identity,
            Charger.deleted_at.is_(None),
        )
    ).one_or_none()
    if (
        charger is not None
        and charger.newest_event_type == EventType.CREATE_CHARGER
        and charger.provisioning_status in IN_PROGRESS
        and all(getattr(charger, name) == value for name, value in new.columns().items())
        and charger.expires_at == _expiry_of(charger, new.ttl_seconds)
        and _has_settings(session, charger, new.settings, sealer)
    ):
        return receipt_of(charger, repeated=True)
    raise InvalidCharger(f"Identity {new.identity} already exists", param="identity")


def _expiry_of(charger: Charger, ttl_seconds: int | None) -> datetime | None:
    """When the charger goes away if it was created with this and its expiry was not changed since."""
    return None if ttl_seconds is None else charger.created_at + timedelta(seconds=ttl_seconds)


def _has_settings(session: Session, charger: Charger, settings: Mapping[str, Any], sealer: Sealer) -> bool:
    """Whether the charger has just these settings: they change nothing of it, and it has none beside them."""
    before = Stored.of(session.get(ChargerSettings, charger.id))
    return changed(before, settings, sealer) == before and changed(Stored(), settings, sealer).is_like(before)
