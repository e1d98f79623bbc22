"""What ECS reports: into the observed columns, finished commands, and drift.

Each look takes the chargers whose time has come (those in transition soon, the others slowly), describes
their services ten in a call, and writes what changed. Looks that overlap share the work; an older
description never replaces a newer one.
"""

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic

import structlog
from sqlalchemy import case, func, or_, select, update
from sqlalchemy.orm import Session

from shared.commands import CommandStatus, OcppState, ProvisioningStatus
from shared.database import Sessions
from shared.errors import ErrorCode
from shared.models import Charger, Command
from shared.settings import Timing
from worker import reasons
from worker.budget import BudgetSpent
from worker.converge import give_up
from worker.ecs import (
    DESCRIBE_SERVICES_LIMIT,
    EcsClient,
    EcsRejected,
    EcsUnavailable,
    ServiceView,
    TaskView,
)
from worker.locking import lock_chargers
from worker.provision import IN_PROGRESS
from worker.reasons import Reason, explain

log = structlog.get_logger(__name__)

OBSERVE_LIMIT = 100  # chargers that one look claims: ten calls
OBSERVE_FOR_S = 5  # how long one look goes on claiming: a worker that is told to end ends soon
EXPLAIN_LIMIT = 3  # of ten, how many get the dearer look at why they do not run


@dataclass(frozen=True, slots=True)
class Seen:
    """One charger as the row and ECS had it at the time of the look."""

    charger: Charger
    service: ServiceView | None
    restarted: bool  #: the task that a restart ends is gone; true when there is none
    reason: Reason | None
    at: datetime  #: the database's clock before ECS was asked

    @property
    def as_desired(self) -> bool:
        """What runs is what the newest command asked for."""
        charger, service = self.charger, self.service
        if service is None or not service.active or self.differs:
            return False
        if charger.desired_count == 0:
            return service.running_count == 0 and service.pending_count == 0
        return service.deployed and service.running_count == 1 and self.restarted

    @property
    def differs(self) -> bool:
        """ECS was told something else than the row says, or does not try any more: to be told again."""
        charger, service = self.charger, self.service
        if service is None or not service.active:
            return charger.provisioning_status != ProvisioningStatus.FAILED
        return (
            service.desired_count != charger.desired_count
            or service.task_definition_arn != charger.task_definition_arn
            or (self.down and service.rollout_failure is not None)
        )

    @property
    def down(self) -> bool:
        """It should run and does not, or not all of it."""
        charger, service = self.charger, self.service
        return service is not None and service.running_count < charger.desired_count

    @property
    def unchanged(self) -> bool:
        """The row says all this already, and nothing waits for it."""
        charger, service = self.charger, self.service
        return (
            service is not None
            and self.as_desired
            and charger.settled_generation == charger.generation
            and charger.provisioning_status == ProvisioningStatus.READY
            and charger.reason is None
            and charger.drifted_at is None
            and (charger.service_status, charger.running_count, charger.pending_count)
            == (service.status, service.running_count, service.pending_count)
        )


def observe(sessions: Sessions, ecs: EcsClient, timing: Timing) -> int:
    """Look at the chargers that are due, all of them if there is time. Returns how many drifted, for the sweep.

    Uses what commands leave of the ECS rate budget: whom it does not get to, the next look begins with.
    Raises EcsUnavailable, EcsRejected: the rows then simply get older, and say so (`stale`).
    """
    until = monotonic() + OBSERVE_FOR_S
    drifted = 0
    failure: Exception | None = None
    while monotonic() < until:
        with sessions.begin() as session:
            chargers, now = _claim(session, timing)
        for start in range(0, len(chargers), DESCRIBE_SERVICES_LIMIT):
            some = chargers[start : start + DESCRIBE_SERVICES_LIMIT]
            try:
                seen = _look(ecs, some, now)
            except BudgetSpent:
                with sessions.begin() as session:
                    _hand_back(session, [charger.id for charger in chargers[start:]])
                return drifted
            except (EcsUnavailable, EcsRejected) as error:
                failure = error
                if monotonic() < until:
                    continue  # the next ten may fare better
                with sessions.begin() as session:
                    _hand_back(session, [charger.id for charger in chargers[start:]])
                raise
            with sessions.begin() as session:
                lock_chargers(session, [one.charger.id for one in seen])
                _write_unchanged(session, [one.charger.id for one in seen if one.unchanged], now)
                drifted += sum(_write(session, timing, one) for one in seen if not one.unchanged)
        if failure is not None or len(chargers) < OBSERVE_LIMIT:
            break
    if failure is not None:
        raise failure
    return drifted


def _claim(session: Session, timing: Timing) -> tuple[Sequence[Charger], datetime]:
    """The chargers that are due, none of which another look gets before its next time."""
    in_transition = or_(
        Charger.settled_generation < Charger.generation,
        Charger.running_count != Charger.desired_count,
        Charger.pending_count != 0,
    )
    due = (
        select(Charger.id)
        .where(Charger.observe_at <= func.now(), Charger.deleted_at.is_(None))
        .order_by(Charger.observe_at)
        .limit(OBSERVE_LIMIT)
        .with_for_update(skip_locked=True)
    )
    chargers = session.scalars(
        update(Charger)
        .where(Charger.id.in_(due.scalar_subquery()))
        .values(
            observe_at=func.now()
            + case(
                (in_transition, timedelta(seconds=timing.observe_every_s)),
                else_=timedelta(seconds=timing.observe_settled_every_s),
            )
        )
        .returning(Charger)
    ).all()
    now = session.scalars(select(func.now())).one()
    session.expunge_all()
    return chargers, now


def _hand_back(session: Session, charger_ids: list[str]) -> None:
    """They were claimed but not looked at."""
    lock_chargers(session, charger_ids)
    session.execute(update(Charger).where(Charger.id.in_(charger_ids)).values(observe_at=func.now()))


def _look(ecs: EcsClient, chargers: Sequence[Charger], now: datetime) -> list[Seen]:
    """Restarted tasks first: a task seen stopped stays stopped, so the counts read later are without it."""
    to_end = {charger.id: charger.restart_task_arn for charger in chargers if _restarting(charger)}
    tasks = ecs.describe_tasks([arn for arn in to_end.values() if arn])
    services = ecs.describe_services([charger.id for charger in chargers])
    seen = []
    for charger in chargers:
        service = services[charger.id]
        arn = to_end.get(charger.id)
        restarted = arn is None or _gone(tasks.get(arn))
        if arn is not None and restarted and service is not None and service.running_count:
            restarted = _successor_runs(ecs, charger.id, arn)
        seen.append(Seen(charger, service, restarted, _remembered(charger), now))
    return _explained(ecs, seen)


def _restarting(charger: Charger) -> bool:
    return (
        charger.restart_task_arn is not None
        and charger.restart_task_generation == charger.restart_generation
        and charger.restart_generation > charger.settled_generation
    )


def _gone(task: TaskView | None) -> bool:
    """ECS forgets a stopped task after an hour or so."""
    return task is None or task.stopped


def _successor_runs(ecs: EcsClient, charger_id: str, ended: str) -> bool:
    """ListTasks is eventually consistent, so the task itself is asked."""
    arn = ecs.current_task(charger_id)
    if arn is None or arn == ended:
        return False
    task = ecs.describe_tasks([arn]).get(arn)
    return task is not None and task.running


def _explained(ecs: EcsClient, seen: list[Seen]) -> list[Seen]:
    """With the reasons of those that should run and do not. That is dear: a few a time, others keep theirs."""
    down = [one for one in seen if one.down]
    chosen = {one.charger.id for one in random.sample(down, min(len(down), EXPLAIN_LIMIT))}
    explained = []
    for one in seen:
        reason = one.reason if one.down else None
        if one.service is not None and one.charger.id in chosen:
            with suppress(BudgetSpent, EcsUnavailable, EcsRejected):
                reason = explain(one.service, ecs.last_stopped_task(one.charger.id))
        explained.append(replace(one, reason=reason))
    return explained


def _remembered(charger: Charger) -> Reason | None:
    """The row's reason, if it is one that an earlier look found."""
    if charger.reason is None or charger.reason_code not in reasons.CODES:
        return None
    return Reason(ErrorCode(charger.reason_code), charger.reason)


def _write_unchanged(session: Session, charger_ids: list[str], at: datetime) -> None:
    """Most chargers, most of the time: one statement for all of them."""
    if charger_ids:
        session.execute(
            update(Charger)
            .where(Charger.id.in_(charger_ids), Charger.observed_at < at)
            .values(observed_at=at)
        )


def _write(session: Session, timing: Timing, seen: Seen) -> bool:
    """Record what was seen, unless the row has a newer description. True when the charger drifted."""
    charger = session.scalars(
        select(Charger)
        .where(
            Charger.id == seen.charger.id,
            Charger.deleted_at.is_(None),
            or_(Charger.observed_at.is_(None), Charger.observed_at <= seen.at),
        )
        .with_for_update()
    ).one_or_none()
    if charger is None:
        return False
    _write_observed(charger, seen)
    in_flight = charger.observed_generation < charger.generation
    changed = charger.observed_generation != seen.charger.observed_generation
    if in_flight or changed:
        return False  # what was seen may be older than what ECS was told since
    if seen.as_desired:
        _settle(session, charger)
        return False
    if seen.differs and charger.drifted_at is None:
        charger.drifted_at = func.now()
        charger.publish_at = func.now()
        _log(session, charger, "charger.drifted")
        return True
    _check_deadline(session, timing, charger, seen)
    return False


def _write_observed(charger: Charger, seen: Seen) -> None:
    service = seen.service
    charger.observed_at = seen.at
    charger.service_status = service.status if service else None
    charger.running_count = service.running_count if service else 0
    charger.pending_count = service.pending_count if service else 0
    if charger.running_count == 0 and charger.ocpp_state not in {None, OcppState.DISCONNECTED}:
        # A process that was killed could not say goodbye in its log.
        charger.ocpp_state, charger.ocpp_since = OcppState.DISCONNECTED, seen.at
        charger.ocpp_reason = "The charger's process does not run"
    waits = charger.not_before is not None  # and says for what
    if not waits and charger.provisioning_status != ProvisioningStatus.FAILED:
        charger.reason = seen.reason.text if seen.reason else None
        charger.reason_code = seen.reason.code if seen.reason else None


def _settle(session: Session, charger: Charger) -> None:
    """The newest command is done, and so is a provisioning."""
    if charger.provisioning_status in IN_PROGRESS:
        charger.provisioning_status = ProvisioningStatus.READY
        charger.provisioned_at = func.now()
        charger.step = None
    if charger.settled_generation >= charger.generation:
        return
    charger.settled_generation = charger.generation
    session.execute(
        update(Command)
        .where(Command.id == charger.newest_command_id, Command.status == CommandStatus.APPLIED)
        .values(status=CommandStatus.SUCCEEDED, finished_at=func.now())
    )
    _log(session, charger, "command.succeeded")


def _check_deadline(session: Session, timing: Timing, charger: Charger, seen: Seen) -> None:
    """A command whose effect does not show in time has failed, with the reason that ECS gives."""
    if charger.settled_generation >= charger.generation:
        return
    provisioning = charger.provisioning_status in IN_PROGRESS
    limit_s = timing.provisioning_deadline_s if provisioning else timing.command_deadline_s
    asked_at = session.scalars(
        select(Command.created_at).where(Command.id == charger.newest_command_id)
    ).one()
    if seen.at <= asked_at + timedelta(seconds=limit_s):
        return
    why = seen.reason.text if seen.reason else "ECS did not say why"
    late = ErrorCode.PROVISIONING_TIMEOUT if provisioning else ErrorCode.RUNTIME_TIMEOUT
    code = seen.reason.code if seen.reason else late
    give_up(session, charger, code, f"Not as desired after {limit_s:.0f} s: {why}")
    _log(session, charger, "command.failed", code=code, error=why)


def _log(session: Session, charger: Charger, event: str, **details: object) -> None:
    """One line per change of state, which also names the request that asked for it."""
    request_id = session.scalar(select(Command.request_id).where(Command.id == charger.newest_command_id))
    log.info(
        event,
        charger_id=charger.id,
        command_id=str(charger.newest_command_id),
        event_type=charger.newest_event_type,
        generation=charger.generation,
        request_id=request_id,
        **details,
    )
