"""Computes `runtime` from a charger's row: the desired and the observed state. Beyond the contract."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from api.http.spec_schemas import SETTINGS
from api.resources import resources
from shared.fleet.attention import ATTENTION_AFTER, Attention, attention_of, attention_reason
from shared.fleet.observed import observed_state
from shared.fleet.specification.settings import Stored
from shared.models import Charger, ShownLink
from shared.vocabulary import CommandStatus, ObservedState


@dataclass(frozen=True, slots=True)
class Ocpp:
    """The charger's link to its CSMS."""

    state: str | None
    reason: str | None
    since: datetime | None
    last_frame_at: datetime | None
    stale_reason: str | None  #: why the state may have changed since, in plain words


@dataclass(frozen=True, slots=True)
class Runtime:
    desired: str
    observed: ObservedState
    observed_since: datetime  #: when it entered this state
    desired_count: int
    running_count: int
    pending_count: int
    generation: int
    observed_generation: int
    observed_at: datetime | None
    stale: bool  #: not observed for a while, so it may have changed since
    stale_at: datetime | None  #: when it becomes stale unless it is observed again
    attention: bool
    attention_at: datetime | None  #: since or from when on it needs attention, if nothing changes
    attention_reason: str | None
    reason: str | None
    reason_code: str | None
    placement: str
    host_id: str | None  #: of a shared charger that has a host
    ocpp: Ocpp


def runtime_of(charger: Charger) -> Runtime:
    """The charger's runtime as of its last observation. Its link and its newest command must be loaded."""
    stale_after = timedelta(seconds=resources().settings.timing.stale_after_s)
    observed = observed_state(charger)
    attention = attention_of(charger.provisioning_status, observed, charger.link_state)
    needs_attention = attention == Attention.AT_ONCE or (
        attention == Attention.LATER and charger.in_state_for >= ATTENTION_AFTER
    )
    return Runtime(
        desired=ObservedState.RUNNING if charger.desired_count else ObservedState.STOPPED,
        observed=observed,
        observed_since=charger.observed_since,
        desired_count=charger.desired_count,
        running_count=charger.running_count,
        pending_count=charger.pending_count,
        generation=charger.generation,
        observed_generation=charger.observed_generation,
        observed_at=charger.observed_at,
        stale=charger.unobserved_for > stale_after,
        stale_at=charger.observed_at and charger.observed_at + stale_after,
        attention=needs_attention,
        attention_at=_attention_at(charger, attention),
        attention_reason=attention_reason(charger, observed) if needs_attention else None,
        reason=charger.reason,
        reason_code=charger.reason_code,
        placement=charger.placement,
        host_id=charger.host_id,
        ocpp=_ocpp(charger.link, resources().settings.timing.log_lag_s),
    )


def _ocpp(link: ShownLink, max_lag_s: float) -> Ocpp:
    late = None
    if not link.reported and link.log_lag_s is not None and link.log_lag_s > max_lag_s:
        late = f"The chargers' logs are read {link.log_lag_s:.0f} s late, so the link may have changed since"
    return Ocpp(link.state, link.reason, link.since, link.last_frame_at, late)


@dataclass(frozen=True, slots=True)
class NewestCommand:
    id: UUID
    event_type: str
    status: str
    reason: str | None
    error: dict[str, Any] | None
    attempts: int
    held: bool  #: the rate budget holds it back
    next_attempt_at: datetime | None  #: no worker tries it before
    requested_by: str
    created_at: datetime
    applied_at: datetime | None
    finished_at: datetime | None


def newest_command_of(charger: Charger) -> NewestCommand | None:
    """The charger's newest command, which must be loaded."""
    command = charger.command
    if command is None:
        return None
    is_queued = command.status == CommandStatus.QUEUED
    return NewestCommand(
        id=command.id,
        event_type=command.event_type,
        status=command.status,
        reason=command.reason,
        error=command.error,
        attempts=command.attempts,
        held=is_queued and command.held_since is not None,
        next_attempt_at=charger.not_before if is_queued else None,
        requested_by=command.requested_by,
        created_at=command.created_at,
        applied_at=command.applied_at,
        finished_at=command.finished_at,
    )


def _attention_at(charger: Charger, attention: Attention) -> datetime | None:
    match attention:
        case Attention.AT_ONCE:
            return charger.observed_since
        case Attention.LATER:
            return charger.observed_since + ATTENTION_AFTER
    return None


def spec_of(charger: Charger) -> dict[str, Any]:
    """`spec` of an answer: the charger's settings without its secrets, and whether it follows them. Absent ones are null."""
    row, report = charger.settings, charger.report
    stored = Stored.of(row)
    security = stored.settings.get("security", {})
    if security or stored.sealed:
        security = security | {
            "password_set": "password" in stored.sealed,
            "authorization_key_set": "authorization_key_hex" in stored.sealed,
        }
    return {
        **dict.fromkeys(SETTINGS),
        **stored.settings,
        "security": security or None,
        "ws_url": charger.ws_url,
        "revision": row.revision if row else 0,
        "updated_at": row.updated_at if row else None,
        "applied_revision": report.spec_revision if report else None,
        "error": report.spec_error if report else None,
    }
