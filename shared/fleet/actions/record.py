"""Records actions: a row for each charger of a target, in one statement."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import ARRAY, String, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from shared.error_codes import ActionCode
from shared.fleet.control import CONNECTED_SQL
from shared.fleet.errors import ChargerNotFound, LocationTooLarge
from shared.fleet.locations.scope import get_location
from shared.models import Charger
from shared.vocabulary import ActionStatus

MAX_OPEN = 100  # actions of one charger that are not final; a further one fails
MAX_CHARGERS = 5_000  # of one request


@dataclass(frozen=True, slots=True)
class Target:
    """One charger, a location, or the named chargers of a location."""

    charger_id: str | None = None
    location_id: str | None = None
    charger_ids: tuple[str, ...] | None = None  #: of the location; None for all


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """A client's request for an action of each charger of the target."""

    name: str
    event: Mapping[str, Any]  #: with its secrets masked
    target: Target
    organization_id: str
    requested_by: str
    request_id: str | None
    sealed_event: str | None = None  #: the encrypted event, if something is masked
    expires_in_s: int = 30


@dataclass(frozen=True, slots=True)
class RecordedAction:
    """An action as its row was written: queued, or failed with its reason."""

    id: int
    charger_id: str
    identity: str
    ocpp_version: str
    status: str
    reason: str | None
    reason_code: str | None


@dataclass(frozen=True, slots=True)
class ActionReceipt:
    """What became of a request for actions. Plain values, so it can be stored itself."""

    name: str
    event: Mapping[str, Any]  #: with its secrets masked
    actions: tuple[RecordedAction, ...]  #: in the order of their ids
    missing: tuple[str, ...] = ()  #: chargers that the target names and its location does not have
    replayed: bool = False  #: an earlier request with the same Idempotency-Key got this receipt

    @property
    def queued(self) -> tuple[RecordedAction, ...]:
        return tuple(action for action in self.actions if action.status == ActionStatus.QUEUED)

    @property
    def failed(self) -> tuple[RecordedAction, ...]:
        return tuple(action for action in self.actions if action.status == ActionStatus.FAILED)

    def stored(self) -> dict[str, Any]:
        """The receipt as plain JSON, for the repeats of a request with an Idempotency-Key."""
        return asdict(self)

    @staticmethod
    def replay(stored: Mapping[str, Any]) -> "ActionReceipt":
        """The receipt that was stored, marked as replayed."""
        actions = tuple(RecordedAction(**action) for action in stored["actions"])
        receipt = ActionReceipt(stored["name"], stored["event"], actions, tuple(stored["missing"]))
        return replace(receipt, replayed=True)


def record_actions(session: Session, request: ActionRequest) -> ActionReceipt:
    """Record an action for each charger of the target, in one statement. Returns what was recorded.

    An action is failed from the start if its charger cannot get it. A repeat records further actions. The event
    stream shows all of them. Raises ChargerNotFound, LocationNotFound, LocationTooLarge: then nothing is recorded.
    """
    target = request.target
    rows = session.execute(
        _STATEMENTS[_kind(target)],
        {
            "organization_id": request.organization_id,
            "charger_id": target.charger_id,
            "location_id": target.location_id,
            "charger_ids": target.charger_ids and list(target.charger_ids),
            "name": request.name,
            "event": request.event,
            "sealed_event": request.sealed_event,
            "requested_by": request.requested_by,
            "request_id": request.request_id,
            "expires_in_s": request.expires_in_s,
            "max_open": MAX_OPEN,
            "max_chargers": MAX_CHARGERS,
        },
    )
    actions = tuple(RecordedAction(**row) for row in rows.mappings())
    if not actions:
        _explain_nothing(session, request)
    found = {action.charger_id for action in actions}
    missing = tuple(charger_id for charger_id in target.charger_ids or () if charger_id not in found)
    return ActionReceipt(request.name, request.event, actions, missing)


def _explain_nothing(session: Session, request: ActionRequest) -> None:
    """Raises why no charger was found, unless the location exists and has none of them."""
    target = request.target
    if target.location_id is None:
        raise ChargerNotFound(target.charger_id or "")
    of_location = (
        select(Charger.id)
        .where(
            Charger.organization_id == request.organization_id,
            Charger.location_id == target.location_id,
            Charger.deleted_at.is_(None),
        )
        .limit(MAX_CHARGERS + 1)
    )
    get_location(session, organization_id=request.organization_id, location_id=target.location_id)
    chargers = session.scalar(select(func.count()).select_from(of_location.subquery())) or 0
    if target.charger_ids is None and chargers > MAX_CHARGERS:
        raise LocationTooLarge(target.location_id, MAX_CHARGERS)


def _kind(target: Target) -> str:
    if target.location_id is None:
        return "charger"
    return "location" if target.charger_ids is None else "some"


_AT_LOCATION = """
        location_id = :location_id AND EXISTS (
            SELECT FROM locations
            WHERE locations.organization_id = :organization_id AND locations.id = :location_id
                AND locations.deleted_at IS NULL
        )"""
_CHOSEN = {
    "charger": "chargers.id = :charger_id",
    "location": _AT_LOCATION,
    "some": f"{_AT_LOCATION} AND chargers.id = ANY(:charger_ids)",
}

# The ids are taken before the insert, so that the answer needs no join with what was inserted.
_RECORD = f"""
WITH chosen AS (
    SELECT
        chargers.id, identity, ocpp_version, provisioning_status, desired_count, chargers.reason,
        charger_reports.boot_id, {CONNECTED_SQL} AS connected, (
            SELECT count(*) FROM (
                SELECT FROM actions
                WHERE actions.charger_id = chargers.id AND status IN ('queued', 'received')
                LIMIT :max_open
            ) AS waiting
        ) AS open
    FROM chargers LEFT JOIN charger_reports ON charger_reports.charger_id = chargers.id
    WHERE organization_id = :organization_id AND deleted_at IS NULL AND {{chosen}}
    ORDER BY chargers.id
    LIMIT :max_chargers + 1
), judged AS (
    SELECT *, CASE
        WHEN provisioning_status <> 'READY' THEN '{ActionCode.NOT_READY}'
        WHEN desired_count = 0 THEN '{ActionCode.STOPPED}'
        WHEN NOT connected THEN '{ActionCode.NOT_CONNECTED}'
        WHEN open >= :max_open THEN '{ActionCode.TOO_MANY}'
    END AS code
    FROM chosen WHERE (SELECT count(*) FROM chosen) <= :max_chargers
), numbered AS MATERIALIZED (
    SELECT
        nextval('actions_id_seq') AS id, id AS charger_id, identity, ocpp_version, boot_id,
        CASE WHEN code IS NULL THEN 'queued' ELSE 'failed' END AS status, code AS reason_code, CASE code
            WHEN '{ActionCode.NOT_READY}' THEN 'The charger is ' || provisioning_status || ': it has no runtime'
            WHEN '{ActionCode.STOPPED}' THEN 'The charger is stopped: start it first'
            WHEN '{ActionCode.NOT_CONNECTED}'
            THEN 'The charger is not connected to the control link' || coalesce(': ' || reason, '')
            WHEN '{ActionCode.TOO_MANY}'
            THEN 'The charger has as many open actions as it may have: wait for their results'
        END AS reason
    FROM judged
), recorded AS (
    INSERT INTO actions (
        id, charger_id, organization_id, name, event, sealed_event, requested_by, request_id, boot_id, expires_at,
        status, reason_code, reason, finished_at
    ) OVERRIDING SYSTEM VALUE
    SELECT
        id, charger_id, :organization_id, :name, :event,
        CASE WHEN reason_code IS NULL THEN CAST(:sealed_event AS text) END, :requested_by, :request_id, boot_id,
        now() + make_interval(secs => :expires_in_s), status, reason_code, reason,
        CASE WHEN reason_code IS NOT NULL THEN now() END
    FROM numbered
)
SELECT id, charger_id, identity, ocpp_version, status, reason, reason_code FROM numbered ORDER BY id
"""  # noqa: S608  # our own words

_STATEMENTS = {
    kind: text(_RECORD.format(chosen=chosen)).bindparams(
        bindparam("event", type_=JSONB),
        *([bindparam("charger_ids", type_=ARRAY(String))] if "charger_ids" in chosen else []),
    )
    for kind, chosen in _CHOSEN.items()
}
