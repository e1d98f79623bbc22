"""Computes `runtime` from a charger's row: the desired and the observed state. Beyond the contract."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from api.http.spec_schemas import SETTINGS
from api.resources import resources
from shared.fleet.specification.settings import Stored
from shared.models import Charger, ShownLink
from shared.vocabulary import ObservedState


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
    reason: str | None
    reason_code: str | None
    ocpp: Ocpp


def runtime_of(charger: Charger) -> Runtime:
    """The charger's runtime as of its last observation."""
    stale_after = timedelta(seconds=resources().settings.timing.stale_after_s)
    return Runtime(
        desired=ObservedState.RUNNING if charger.desired_count else ObservedState.STOPPED,
        observed=_observed(charger),
        observed_since=charger.observed_since,
        desired_count=charger.desired_count,
        running_count=charger.running_count,
        pending_count=charger.pending_count,
        generation=charger.generation,
        observed_generation=charger.observed_generation,
        observed_at=charger.observed_at,
        stale=charger.unobserved_for > stale_after,
        reason=charger.reason,
        reason_code=charger.reason_code,
        ocpp=_ocpp(charger.link, resources().settings.timing.log_lag_s),
    )


def _ocpp(link: ShownLink, max_lag_s: float) -> Ocpp:
    late = None
    if not link.reported and link.log_lag_s is not None and link.log_lag_s > max_lag_s:
        late = f"The chargers' logs are read {link.log_lag_s:.0f} s late, so the link may have changed since"
    return Ocpp(link.state, link.reason, link.since, link.last_frame_at, late)


def _observed(charger: Charger) -> ObservedState:
    if charger.observed_at is None:
        return ObservedState.UNKNOWN
    return observed_of(charger.desired_count, charger.running_count, charger.pending_count)


def observed_of(desired_count: int, running_count: int, pending_count: int) -> ObservedState:
    """The state that the counts of an ECS service mean. The database's observed_state() agrees."""
    if desired_count:
        return ObservedState.RUNNING if running_count else ObservedState.STARTING
    return ObservedState.STOPPING if running_count or pending_count else ObservedState.STOPPED


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
