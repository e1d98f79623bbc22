"""Which chargers need attention, since when, and why.

A charger needs attention at once when its provisioning has failed, and after ATTENTION_AFTER in its observed state when
it starts, stops, was never observed, or runs without being accepted by its CSMS. Lists ask the database, answers ask
Python; a property test compares the two.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal_column, or_
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import KeyedColumnElement

from shared.models import Charger
from shared.vocabulary import OPEN, ObservedState, OcppState, ProvisioningStatus

ATTENTION_AFTER = timedelta(seconds=30)
MOVING = (ObservedState.STARTING, ObservedState.STOPPING, ObservedState.UNKNOWN)


#: Columns by the names of the filters that compare them: of a charger, or of a group.
Facts = Mapping[str, ColumnElement[Any]] | ReadOnlyColumnCollection[str, KeyedColumnElement[Any]]


class Attention(IntEnum):
    """What the facts of a charger say, whatever the time."""

    AT_ONCE = 0
    LATER = 1  #: after ATTENTION_AFTER in its observed state
    NEVER = 2


def attention_of(status: str, observed: str, link_state: str | None) -> Attention:
    """What these facts of a charger say."""
    if status == ProvisioningStatus.FAILED:
        return Attention.AT_ONCE
    runs_alone = observed == ObservedState.RUNNING and link_state != OcppState.ACCEPTED
    return Attention.LATER if observed in MOVING or runs_alone else Attention.NEVER


def attention_in(facts: Facts) -> ColumnElement[int]:
    """The same in the database, of facts by the names of their filters."""
    runs_alone = and_(
        facts["observed"] == ObservedState.RUNNING,
        facts["ocpp_state"].is_distinct_from(OcppState.ACCEPTED),
    )
    return case(
        (facts["status"] == ProvisioningStatus.FAILED, Attention.AT_ONCE.value),
        (or_(facts["observed"].in_(MOVING), runs_alone), Attention.LATER.value),
        else_=Attention.NEVER.value,
    )


def attention_until(attention: ColumnElement[int]) -> ColumnElement[datetime]:
    """The latest `observed_since` of a charger that needs attention now."""
    return case(
        (attention == Attention.AT_ONCE.value, literal_column("timestamptz 'infinity'")),
        (attention == Attention.LATER.value, func.now() - ATTENTION_AFTER),
        else_=literal_column("timestamptz '-infinity'"),
    )


def attention_reason(charger: Charger, observed: str) -> str:
    """Why the charger needs attention and since when, as a sentence. Its link and its newest command must be loaded."""
    since = f"{charger.observed_since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if charger.provisioning_status == ProvisioningStatus.FAILED:
        step = f" at the step {charger.step}" if charger.step else ""
        return f"Its provisioning failed{step}: {(charger.error or {}).get('message') or _why(charger)}"
    match observed:
        case ObservedState.UNKNOWN:
            return f"Created, but not observed since {since}: {_why(charger)}"
        case ObservedState.STARTING:
            return f"Requested running, but no ECS task runs since {since}: {_why(charger)}"
        case ObservedState.STOPPING:
            return f"Requested stopped, but its ECS task has not ended since {since}: {_why(charger)}"
    return f"Runs since {since}, but its CSMS has not accepted it: {_why_not_accepted(charger)}"


def _why(charger: Charger) -> str:
    command = charger.command
    if command is None or command.status not in OPEN:
        return charger.reason or "no reason is known"
    reason = command.reason or charger.reason or _WAITS_FOR[command.status]
    return f"{reason} (attempt {command.attempts})" if command.attempts > 1 else reason


#: What a command waits for that has no reason.
_WAITS_FOR = {"queued": "it waits for a worker", "applied": "ECS has accepted it and has not finished"}

_LINKS = {
    None: "nothing is known about its link yet",
    OcppState.CONNECTING: "it is connecting",
    OcppState.CONNECTED: "it is connected, and its boot is not accepted yet",
    OcppState.REJECTED: "its boot was rejected",
    OcppState.DISCONNECTED: "it is disconnected",
    OcppState.ACCEPTED: "that has just changed",  # in the row of its link, and not yet in its own
}


def _why_not_accepted(charger: Charger) -> str:
    link = charger.link
    words = _LINKS.get(OcppState(link.state) if link.state else None, "")
    return f"{words}: {link.reason}" if link.reason and link.state != OcppState.ACCEPTED else words
