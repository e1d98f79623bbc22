"""The charger's row as a worker reads it, and what it writes of an attempt: outcomes, delays, closed commands."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.error_codes import MESSAGE_LENGTH, ErrorCode, error_detail
from shared.ids import new_command_id
from shared.models import Charger, Command, RemovedCharger
from shared.settings import Timing
from shared.vocabulary import OPEN, CommandStatus, EventType, ProvisioningStatus
from worker.ecs.client import ServiceView
from worker.reconcile.provision import IN_PROGRESS, Step

log = structlog.get_logger(__name__)

RETRY_FIRST_S = 0.5
RETRY_MAX_S = 10.0  # a fleet is back within that of ECS's return


@dataclass(frozen=True, slots=True)
class Wish:
    """The charger's row as it was read, detached: what to make true, and from when its deadline counts."""

    charger: Charger
    deadline_from: (
        datetime  #: when it was asked, and later by the time for which the rate budget held it back
    )
    request_id: str | None
    now: datetime  #: the database's clock at the reading


@dataclass(frozen=True, slots=True)
class Applied:
    """ECS accepted the wish, and this is the service it answered with."""

    view: ServiceView
    rolled_out: str | None  #: the spec of a rollout that this was part of


@dataclass(frozen=True, slots=True)
class Removed:
    """Nothing of the charger is left in ECS."""


@dataclass(frozen=True, slots=True)
class Later:
    """Try again. A delay that is given is no failure of anybody's."""

    message: str
    code: ErrorCode | None = None  #: None while nothing is wrong
    delay_s: float | None = None
    service_status: str | None = None  #: what ECS said of the service, where it was asked


@dataclass(frozen=True, slots=True)
class Refused:
    """ECS will not do it."""

    code: ErrorCode
    message: str


Outcome = Applied | Removed | Later | Refused


def read_wish(sessions: Sessions, charger_id: str) -> Wish | None:
    """What is to be done for the charger now; None when ECS was told already, or it must wait."""
    with sessions.autocommit.connect() as connection:
        wish = _newest_wish(connection, charger_id)
    if wish is None:
        return None
    charger = wish.charger
    done = charger.observed_generation >= charger.generation and charger.drifted_at is None
    early = charger.not_before is not None and charger.not_before > wish.now
    return None if done or early else wish


def record(sessions: Sessions, timing: Timing, wish: Wish, outcome: Outcome) -> Wish | None:
    """Write the outcome down and close what is moot. Returns the newer wish, if there is one.

    A newer wish is returned even when another worker has told ECS of it already: the call that just ended
    may have undone that.
    """
    if isinstance(outcome, Applied) and _applied(sessions, wish, outcome):
        return None
    with sessions.begin() as session:
        return _record_locked(session, timing, wish, outcome)


def _record_locked(session: Session, timing: Timing, wish: Wish, outcome: Outcome) -> Wish | None:
    """All that is not the usual end: ECS did not do it, or the wish is not the newest any more."""
    charger = session.get(Charger, wish.charger.id, with_for_update={"key_share": True})
    if charger is None:
        return _removal_of_leftovers(session, wish)
    _supersede_older(session, charger)
    if charger.generation > wish.charger.generation:
        if isinstance(outcome, Applied):
            charger.observed_generation = max(charger.observed_generation, wish.charger.generation)
            charger.service_status = outcome.view.status
        session.flush()
        return _newest_wish(session.connection(), charger.id)
    match outcome:
        case Removed():
            session.delete(charger)
            _remember_removed(session, charger)
            _log(wish, "charger.removed")
        case Later():
            _later(session, timing, charger, wish, outcome)
        case Refused(code, message):
            _refused(session, charger, wish, code, message)
    return None


def _remember_removed(session: Session, charger: Charger) -> None:
    """Another worker's call for it may still be on its way, and the worker may die with it; and its frames are left."""
    removed = insert(RemovedCharger).values(charger_id=charger.id, deleted_at=charger.deleted_at)
    again = {"deleted_at": removed.excluded.deleted_at, "removed_at": func.now(), "checked_at": None}
    session.execute(removed.on_conflict_do_update(index_elements=[RemovedCharger.charger_id], set_=again))


def _removal_of_leftovers(session: Session, wish: Wish) -> Wish | None:
    """Another worker removed and forgot the charger during our call, which may have made its service anew.

    So the row comes back, deleted as it was: what it takes to remove the rest of it is the row's again.
    """
    charger = wish.charger
    if charger.deleted_at is not None:
        return None  # a removal makes nothing
    command_id = new_command_id()
    stored = (column.key for column in Charger.__table__.columns if column.server_onupdate is None)
    row = {key: getattr(charger, key) for key in stored}
    row |= {
        "deleted_at": wish.now,
        "desired_count": 0,
        "generation": charger.generation + 1,
        "newest_command_id": command_id,
        "newest_event_type": EventType.DELETE_CHARGER,
        "attempts": 0,
        "not_before": None,
        "publish_at": wish.now,
        "observe_at": None,
    }
    returned = insert(Charger).values(row).on_conflict_do_nothing().returning(Charger.id)
    if session.scalar(returned) is not None:
        session.add(
            Command(
                id=command_id,
                charger_id=charger.id,
                organization_id=charger.organization_id,
                event_type=EventType.DELETE_CHARGER,
                generation=charger.generation + 1,
                requested_by="chargehand",
                request_id=wish.request_id,
            )
        )
        session.flush()
    return _newest_wish(session.connection(), charger.id)


def give_up(session: Session, charger: Charger, code: ErrorCode, message: str) -> None:
    """The charger's newest command has failed; so has its provisioning, if it was on its way up.

    Of a charger that runs otherwise the wish stands: when the cause goes away, the observer finds that ECS
    differs and tries again. One that never came up is turned off, and stays FAILED.
    """
    error = error_detail(code, message, step=charger.step)
    session.execute(
        update(Command)
        .where(Command.id == charger.newest_command_id, Command.status.in_(OPEN))
        .values(status=CommandStatus.FAILED, error=error, reason=None, finished_at=func.now())
    )
    charger.observed_generation = charger.generation
    charger.settled_generation = charger.generation
    charger.reason, charger.reason_code = error["message"], code
    charger.attempts = 0
    charger.not_before = None
    charger.publish_at = None
    charger.drifted_at = None
    charger.observe_at = func.now()
    if charger.provisioning_status in IN_PROGRESS:
        charger.provisioning_status = ProvisioningStatus.FAILED
        charger.error = dict(error)
        charger.desired_count = 0


# The time for which our own rate budget held a command back, up to now.
_HELD_FOR = Command.held_for + func.coalesce(func.now() - Command.held_since, timedelta())

# Statements of every command are built once: building one costs more than running it.
_NEWEST_WISH = (
    select(
        Charger.__table__,
        (Command.created_at + _HELD_FOR).label("deadline_from"),
        Command.request_id,
        func.now().label("now"),
    )
    .join(Command, Command.id == Charger.newest_command_id)
    .where(Charger.id == bindparam("of_charger"))
)


def _newest_wish(connection: Connection, charger_id: str) -> Wish | None:
    row = connection.execute(_NEWEST_WISH, {"of_charger": charger_id}).one_or_none()
    if row is None:
        return None
    # It has a charger's columns, and is read in half the time that an object of the session takes.
    return Wish(cast(Charger, row), row.deadline_from, row.request_id, row.now)


def _supersede_older(session: Session, charger: Charger) -> None:
    session.execute(
        update(Command)
        .where(
            Command.charger_id == charger.id,
            Command.generation < charger.generation,
            Command.status.in_(OPEN),
        )
        .values(status=CommandStatus.SUPERSEDED, reason=None, finished_at=func.now())
    )


def _applied(sessions: Sessions, wish: Wish, applied: Applied) -> bool:
    """Record that ECS has the wish, and that older ones are moot. False when the wish is not the newest any more."""
    charger = wish.charger
    now_true = {
        "of_charger": charger.id,
        "told_generation": charger.generation,
        "told_status": applied.view.status,
        "told_spec": applied.rolled_out or "",
    }
    with sessions.autocommit.connect() as connection:
        told = connection.execute(_APPLIED, now_true).one_or_none()
    if told is None:
        return False
    event = "command.applied"
    if charger.drifted_at is not None:
        event = "charger.repaired" if charger.rollout_hash is None else "charger.redeployed"
    _log(wish, event, desired_count=charger.desired_count)
    return True


def _applied_statement() -> Select[Any]:
    coming_up = Charger.provisioning_status.in_(_written_out(IN_PROGRESS))
    is_open = Command.status.in_(_written_out(OPEN))
    # A rollout is carried out by a worker of its spec only.
    rollout_due = and_(Charger.drifted_at.is_not(None), Charger.rollout_hash != bindparam("told_spec"))
    told = (
        update(Charger)
        .where(Charger.id == bindparam("of_charger"), Charger.generation == bindparam("told_generation"))
        .values(
            observed_generation=Charger.generation,
            service_status=bindparam("told_status"),
            attempts=0,
            not_before=None,
            publish_at=case((rollout_due, Charger.publish_at), else_=None),
            drifted_at=case((rollout_due, Charger.drifted_at), else_=None),
            observe_at=func.now(),
            provisioning_status=case(
                (coming_up, ProvisioningStatus.PROVISIONING), else_=Charger.provisioning_status
            ),
            step=case((coming_up, Step.WAIT_UNTIL_RUNNING), else_=Charger.step),
        )
        .returning(Charger.id, Charger.generation)
        .cte("told")
    )
    newest = Command.generation == told.c.generation
    closed = (
        update(Command)
        .where(
            Command.charger_id == told.c.id,
            or_(
                and_(newest, Command.status == CommandStatus.QUEUED),
                and_(Command.generation < told.c.generation, is_open),
            ),
        )
        .values(
            status=case((newest, CommandStatus.APPLIED), else_=CommandStatus.SUPERSEDED),
            reason=None,
            attempts=case((newest, Command.attempts + 1), else_=Command.attempts),
            applied_at=case((newest, func.now()), else_=Command.applied_at),
            held_for=_HELD_FOR,
            held_since=None,
            finished_at=case((newest, Command.finished_at), else_=func.now()),
        )
        .cte("closed")
    )
    return select(told.c.id).add_cte(closed)


def _written_out(values: Iterable[str]) -> list[ColumnElement[str]]:
    """A list of parameters is put together anew at each execution."""
    return [literal_column(f"'{value}'") for value in values]


_APPLIED = _applied_statement()


def _later(session: Session, timing: Timing, charger: Charger, wish: Wish, later: Later) -> None:
    deadline = wish.deadline_from + timedelta(seconds=timing.command_deadline_s)
    held = later.code == ErrorCode.RATE_BUDGET
    if wish.now > deadline and not held and _may_give_up(charger):
        code = later.code or ErrorCode.PROVIDER_UNAVAILABLE
        give_up(session, charger, code, later.message)
        _log(wish, "command.failed", code=code, error=later.message)
        return
    delay_s = later.delay_s
    failed = delay_s is None
    if delay_s is None:
        charger.attempts += 1
        delay_s = retry_delay_s(charger.attempts)
    if later.code is not None:
        if failed or charger.reason_code != later.code:  # one line for each failure, one for a wait
            _log(wish, "command.delayed", code=later.code, error=later.message, attempts=charger.attempts)
        charger.reason, charger.reason_code = later.message[:MESSAGE_LENGTH], later.code
    session.execute(
        update(Command)
        .where(Command.id == charger.newest_command_id, Command.status.in_(OPEN))
        .values(
            attempts=Command.attempts + (1 if failed else 0),
            reason=later.message[:MESSAGE_LENGTH],
            held_since=func.coalesce(Command.held_since, func.now()) if held else None,
            held_for=Command.held_for if held else _HELD_FOR,
        )
    )
    charger.not_before = func.now() + timedelta(seconds=delay_s)
    charger.publish_at = charger.not_before
    if later.service_status is not None:
        charger.service_status = later.service_status
        charger.observe_at = func.now() + timedelta(seconds=timing.settle_s)


def _refused(session: Session, charger: Charger, wish: Wish, code: ErrorCode, message: str) -> None:
    if _may_give_up(charger):
        give_up(session, charger, code, message)
        _log(wish, "command.failed", code=code, error=message)
        return
    # A repair or a removal: nobody waits for it, and it must happen some day.
    charger.attempts += 1
    charger.reason, charger.reason_code = message[:MESSAGE_LENGTH], code
    charger.not_before = func.now() + timedelta(seconds=30 * retry_delay_s(charger.attempts))
    charger.publish_at = charger.not_before
    _log(wish, "charger.refused", code=code, error=message, attempts=charger.attempts)


def retry_delay_s(attempts: int) -> float:
    """Seconds until the next try: doubled each time, bounded, and spread so that a fleet does not march."""
    delay_s: float = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(attempts, 10))
    return random.uniform(0.5, 1.0) * delay_s  # noqa: S311  # spread, no secret


def _may_give_up(charger: Charger) -> bool:
    """A command can fail. A removal cannot (a forgotten service costs money), nor can a repair."""
    return charger.deleted_at is None and charger.settled_generation < charger.generation


def _log(wish: Wish, event: str, **details: object) -> None:
    charger = wish.charger
    log.info(
        event,
        charger_id=charger.id,
        command_id=str(charger.newest_command_id),
        event_type=charger.newest_event_type,
        generation=charger.generation,
        request_id=wish.request_id,
        **details,
    )
