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

from shared.database.engine import Sessions
from shared.error_codes import ErrorCode
from shared.fleet.locking import lock_chargers
from shared.models import Charger, Command
from shared.settings import Timing
from shared.vocabulary import CommandStatus, ProvisioningStatus
from worker.ecs.budget import BudgetSpent
from worker.ecs.client import (
    DESCRIBE_SERVICES_LIMIT,
    EcsClient,
    EcsRejected,
    EcsUnavailable,
    ServiceView,
    TaskView,
)
from worker.maintenance import rollout
from worker.observe import reasons
from worker.observe.current_task import gone, must_run, restarting, running_task
from worker.observe.links import link_in_doubt
from worker.observe.reasons import Reason, explain
from worker.reconcile.failure import give_up
from worker.reconcile.provision import DRAINING, IN_PROGRESS, INACTIVE

log = structlog.get_logger(__name__)

OBSERVE_LIMIT = 100  # chargers that one look claims: ten calls
OBSERVE_FOR_S = 5  # how long one look goes on claiming: a worker that is told to end ends soon
EXPLAIN_LIMIT = 3  # of ten, how many get the dearer look at why they do not run


@dataclass(frozen=True, slots=True)
class Seen:
    """One charger as the row and ECS had it at the time of the look."""

    charger: Charger
    service: ServiceView | None
    task: (
        str | None
    )  #: the ARN of the running task, where it was asked for; None while its predecessor still ends
    reason: Reason | None
    at: datetime  #: the database's clock before ECS was asked
    link_in_doubt: bool  #: another task may run than the one that was last seen to: worker.observe.links

    @property
    def as_desired(self) -> bool:
        """What runs is what the newest command asked for."""
        charger, service = self.charger, self.service
        if service is None or not service.active or self.differs:
            return False
        if charger.desired_count == 0:
            return service.running_count == 0 and service.pending_count == 0
        task_runs = self.task is not None or not must_run(charger)
        return service.deployed and service.running_count == 1 and task_runs

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
            charger.deleted_at is None
            and charger.rollout_hash is None
            and service is not None
            and self.as_desired
            and self.task is None
            and charger.settled_generation == charger.generation
            and charger.provisioning_status == ProvisioningStatus.READY
            and charger.reason is None
            and charger.drifted_at is None
            and (charger.service_status, charger.running_count, charger.pending_count)
            == (service.status, service.running_count, service.pending_count)
        )


def observe(sessions: Sessions, ecs: EcsClient, timing: Timing) -> int:
    """Look at the chargers that are due, all of them if there is time. Returns how many the sweep is to publish.

    Uses what commands leave of the ECS rate budget: whom it does not get to, the next look begins with.
    Raises EcsUnavailable, EcsRejected: the rows then simply get older, and say so (`stale`).
    """
    until = monotonic() + OBSERVE_FOR_S
    drifted = 0
    failure: Exception | None = None
    while monotonic() < until:
        with sessions.begin() as session:
            chargers, in_doubt, now = _claim(session, timing)
        for start in range(0, len(chargers), DESCRIBE_SERVICES_LIMIT):
            some = chargers[start : start + DESCRIBE_SERVICES_LIMIT]
            try:
                seen = _look(ecs, some, in_doubt, now)
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


def _claim(session: Session, timing: Timing) -> tuple[Sequence[Charger], set[str], datetime]:
    """The chargers that are due, none of which another look gets before its next time; those whose link is in doubt."""
    link = link_in_doubt(timing.settle_s)
    in_transition = or_(
        Charger.deleted_at.is_not(None),
        Charger.settled_generation < Charger.generation,
        Charger.running_count != Charger.desired_count,
        Charger.pending_count != 0,
        link,
        Charger.rollout_hash.is_not(None),
    )
    due = (
        select(Charger.id)
        .where(
            Charger.observe_at <= func.now(),
            or_(Charger.deleted_at.is_(None), Charger.service_status == DRAINING),
        )
        .order_by(Charger.observe_at)
        .limit(OBSERVE_LIMIT)
        .with_for_update(key_share=True, skip_locked=True)
    )
    rows = session.execute(
        update(Charger)
        .where(Charger.id.in_(due.scalar_subquery()))
        .values(
            observe_at=func.now()
            + case(
                (in_transition, timedelta(seconds=timing.observe_every_s)),
                else_=timedelta(seconds=timing.observe_settled_every_s),
            )
        )
        .returning(Charger, link)
        .execution_options(synchronize_session=False)
    ).all()
    now = session.scalars(select(func.now())).one()
    session.expunge_all()
    return [charger for charger, _ in rows], {charger.id for charger, is_in_doubt in rows if is_in_doubt}, now


def _hand_back(session: Session, charger_ids: list[str]) -> None:
    """They were claimed but not looked at."""
    lock_chargers(session, charger_ids)
    session.execute(
        update(Charger)
        .where(Charger.id.in_(charger_ids), Charger.observe_at.is_not(None))
        .values(observe_at=func.now())
    )


def _look(ecs: EcsClient, chargers: Sequence[Charger], in_doubt: set[str], now: datetime) -> list[Seen]:
    """Tasks first: one that was seen stopped stays stopped, so the counts read later are without it."""
    to_end = {charger.id: charger.restart_task_arn for charger in chargers if restarting(charger)}
    known = {charger.running_task_arn for charger in chargers if must_run(charger)}
    tasks = ecs.describe_tasks(sorted(arn for arn in {*to_end.values(), *known} if arn))
    services = ecs.describe_services([charger.id for charger in chargers])
    seen = []
    for charger in chargers:
        service = services[charger.id]
        ended = to_end.get(charger.id)
        task = None
        if must_run(charger) and service is not None and service.running_count and gone(ended, tasks):
            task = running_task(ecs, charger, tasks, ended)
        seen.append(Seen(charger, service, task, _remembered(charger), now, charger.id in in_doubt))
    return _explained(ecs, _identified(ecs, seen))


def _identified(ecs: EcsClient, seen: list[Seen]) -> list[Seen]:
    """With the tasks that run, for the chargers whose link is in doubt: one call each, and one for all.

    Nothing else waits for them: what the rate budget does not allow now, a later observation does.
    """
    arns: dict[str, str] = {}
    tasks: dict[str, TaskView] = {}
    with suppress(BudgetSpent, EcsUnavailable, EcsRejected):
        for one in seen:
            if one.task is None and one.as_desired and one.link_in_doubt:
                arn = ecs.current_task(one.charger.id)
                if arn is not None:
                    arns[one.charger.id] = arn
    with suppress(BudgetSpent, EcsUnavailable, EcsRejected):
        tasks = ecs.describe_tasks(list(arns.values()))
    runs = {charger_id: arn for charger_id, arn in arns.items() if arn in tasks and tasks[arn].running}
    return [replace(one, task=runs.get(one.charger.id, one.task)) for one in seen]


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
    """Record what was seen, unless the row has a newer description. True when there is something to do."""
    if seen.charger.deleted_at is not None:
        return _write_removal(session, seen)
    charger = session.scalars(
        select(Charger)
        .where(
            Charger.id == seen.charger.id,
            Charger.deleted_at.is_(None),
            or_(Charger.observed_at.is_(None), Charger.observed_at <= seen.at),
        )
        .with_for_update(key_share=True)
    ).one_or_none()
    if charger is None:
        return False
    _write_observed(charger, seen)
    in_flight = charger.observed_generation < charger.generation
    changed = (charger.observed_generation, charger.task_definition_arn) != (
        seen.charger.observed_generation,
        seen.charger.task_definition_arn,
    )
    if in_flight or changed:
        return False  # what was seen may be older than what ECS was told since
    if seen.as_desired:
        if _keeps_running(charger, seen, timing) and not _may_be_older(session, timing, charger, seen):
            _settle(session, charger)
        return False
    if seen.differs and charger.drifted_at is None:
        return _drifted(session, timing, charger, seen)
    _check_deadline(session, timing, charger, seen)
    return False


def _write_removal(session: Session, seen: Seen) -> bool:
    """Record how far a deleted service is. True when it has drained (or came back): a worker goes on with it."""
    status = seen.service.status if seen.service is not None else INACTIVE
    if status == DRAINING:
        return False
    session.execute(
        update(Charger)
        .where(Charger.id == seen.charger.id)
        .values(service_status=status, publish_at=func.now(), not_before=None, observe_at=None)
    )
    return True


def _write_observed(charger: Charger, seen: Seen) -> None:
    service = seen.service
    charger.observed_at = seen.at
    charger.service_status = service.status if service else None
    charger.running_count = service.running_count if service else 0
    charger.pending_count = service.pending_count if service else 0
    if charger.running_count == 0 and charger.running_task_arn and not charger.running_task_ended_at:
        charger.running_task_ended_at = seen.at
    waits = charger.not_before is not None  # and says for what
    if not waits and charger.provisioning_status != ProvisioningStatus.FAILED:
        rolled_out = rollout.REASON if charger.rollout_hash is not None else None
        charger.reason = seen.reason.text if seen.reason else rolled_out
        charger.reason_code = seen.reason.code if seen.reason else None


def _keeps_running(charger: Charger, seen: Seen, timing: Timing) -> bool:
    """True when this task was seen running before, at least `settle_s` ago; also when none must run.

    ECS calls a task RUNNING as soon as its process exists, so one description cannot tell a charger that runs from
    one that ends at once. A task that has stopped never runs again: the same ARN twice means all the time between.
    """
    is_new = _note_task(charger, seen)
    if not must_run(charger):
        return True
    if is_new or charger.running_since is None:
        return False
    return seen.at >= charger.running_since + timedelta(seconds=timing.settle_s)


def _note_task(charger: Charger, seen: Seen) -> bool:
    """Record the task that runs, now that ECS has reached the newest generation. True when it is another one."""
    arn = seen.task
    if arn is None:
        return False
    charger.running_task_seen_at = seen.at
    charger.running_task_ended_at = None
    charger.running_task_generation = charger.generation
    if charger.running_task_arn == arn and charger.running_since is not None:
        return False
    charger.running_task_arn = arn
    charger.running_since = func.clock_timestamp()  # after ECS answered, so never too early
    return True


# ECS may answer with what was true some seconds ago. We allow for `settle_s`.


def _may_be_older(session: Session, timing: Timing, charger: Charger, seen: Seen) -> bool:
    """True when what was seen may be from before the previous command, which a stop after a start looks like."""
    at = func.coalesce(Command.applied_at, Command.finished_at, Command.created_at)
    previous = session.scalar(
        select(at).where(Command.charger_id == charger.id, Command.generation == charger.generation - 1)
    )
    return previous is not None and seen.at < previous + timedelta(seconds=timing.settle_s)


def _drifted(session: Session, timing: Timing, charger: Charger, seen: Seen) -> bool:
    """Have the difference repaired. False when what was seen may be from before the newest command: it is none."""
    applied_at = session.scalar(
        select(func.greatest(Command.applied_at, charger.rollout_at)).where(
            Command.id == charger.newest_command_id
        )
    )
    if applied_at is not None and seen.at < applied_at + timedelta(seconds=timing.settle_s):
        return False
    charger.drifted_at = func.now()
    charger.publish_at = func.now()
    _log(session, charger, "charger.drifted")
    return True


def _settle(session: Session, charger: Charger) -> None:
    """The newest command is done, and so are a provisioning and a rollout."""
    if charger.provisioning_status in IN_PROGRESS:
        charger.provisioning_status = ProvisioningStatus.READY
        charger.provisioned_at = func.now()
        charger.step = None
    if rollout.settle_rollout(charger):
        _log(session, charger, "charger.rolled_out")
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
    deadline_from = session.scalars(
        select(Command.created_at + Command.held_for).where(Command.id == charger.newest_command_id)
    ).one()
    if seen.at <= deadline_from + timedelta(seconds=limit_s):
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
