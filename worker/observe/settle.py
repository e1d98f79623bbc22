"""Decide what an observation means for the newest command: it succeeded, it is too late, or ECS has drifted.

ECS may answer with a state that is some seconds old. `settle_s` is the age that these decisions allow for.
"""

from datetime import timedelta

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from shared.error_codes import ErrorCode
from shared.models import Charger, Command
from shared.settings import Timing
from shared.vocabulary import IN_PROGRESS, CommandStatus, ProvisioningStatus
from worker.observe.current_task import must_run
from worker.observe.observation import Observation
from worker.observe.rollout import settle_rollout
from worker.reconcile.failure import give_up

log = structlog.get_logger(__name__)


def runs_for_long_enough(charger: Charger, observation: Observation, timing: Timing) -> bool:
    """Record the running task. True when it was first seen at least `settle_s` ago, or when no task needs to run.

    ECS calls a task RUNNING as soon as its process exists, so one description cannot distinguish a charger that runs
    from one that exits at once. A stopped task never runs again: the same ARN twice means that it ran in between.
    """
    is_new = _record_task(charger, observation)
    if not must_run(charger):
        return True
    if is_new or charger.running_since is None:
        return False
    return observation.at >= charger.running_since + timedelta(seconds=timing.settle_s)


def _record_task(charger: Charger, observation: Observation) -> bool:
    """Write which task runs, as of the newest generation. True when it is another one than before."""
    arn = observation.task
    if arn is None:
        return False
    charger.running_task_seen_at = observation.at
    charger.running_task_ended_at = None
    charger.running_task_generation = charger.generation
    if charger.running_task_arn == arn and charger.running_since is not None:
        return False
    charger.running_task_arn = arn
    charger.running_since = func.clock_timestamp()  # after ECS answered, so never too early
    return True


def may_be_older(session: Session, timing: Timing, charger: Charger, observation: Observation) -> bool:
    """Whether ECS's answer may be older than the previous command: a stop right after a start would seem finished."""
    at = func.coalesce(Command.applied_at, Command.finished_at, Command.created_at)
    previous = session.scalar(
        select(at).where(Command.charger_id == charger.id, Command.generation == charger.generation - 1)
    )
    return previous is not None and observation.at < previous + timedelta(seconds=timing.settle_s)


def settle(session: Session, charger: Charger) -> None:
    """Write that the newest command has succeeded, and end a provisioning or a rollout. Safe to repeat."""
    if charger.provisioning_status in IN_PROGRESS:
        charger.provisioning_status = ProvisioningStatus.READY
        charger.provisioned_at = func.now()
        charger.step = None
    if settle_rollout(charger):
        _log_change(session, charger, "charger.rolled_out")
    if charger.settled_generation >= charger.generation:
        return
    charger.settled_generation = charger.generation
    session.execute(
        update(Command)
        .where(Command.id == charger.newest_command_id, Command.status == CommandStatus.APPLIED)
        .values(status=CommandStatus.SUCCEEDED, finished_at=func.now())
    )
    _log_change(session, charger, "command.succeeded")


def record_drift(session: Session, timing: Timing, charger: Charger, observation: Observation) -> bool:
    """Schedule a repair. False when ECS's answer may be older than the newest command, so that nothing is proved."""
    applied_at = session.scalar(
        select(func.greatest(Command.applied_at, charger.rollout_at)).where(
            Command.id == charger.newest_command_id
        )
    )
    if applied_at is not None and observation.at < applied_at + timedelta(seconds=timing.settle_s):
        return False
    charger.drifted_at = func.now()
    charger.publish_at = func.now()
    _log_change(session, charger, "charger.drifted")
    return True


def fail_if_late(session: Session, timing: Timing, charger: Charger, observation: Observation) -> None:
    """Fail a command that has no effect by its deadline, with the reason that ECS gives.

    The deadline is `provisioning_deadline_s` or `command_deadline_s` after the request; the time for which the rate budget
    held the command back does not count.
    """
    if charger.settled_generation >= charger.generation:
        return
    provisioning = charger.provisioning_status in IN_PROGRESS
    limit_s = timing.provisioning_deadline_s if provisioning else timing.command_deadline_s
    deadline_from = session.scalars(
        select(Command.created_at + Command.held_for).where(Command.id == charger.newest_command_id)
    ).one()
    if observation.at <= deadline_from + timedelta(seconds=limit_s):
        return
    why = observation.reason.text if observation.reason else "ECS did not say why"
    late = ErrorCode.PROVISIONING_TIMEOUT if provisioning else ErrorCode.RUNTIME_TIMEOUT
    code = observation.reason.code if observation.reason else late
    give_up(session, charger, code, f"Not as desired after {limit_s:.0f} s: {why}")
    _log_change(session, charger, "command.failed", code=code, error=why)


def _log_change(session: Session, charger: Charger, event: str, **details: object) -> None:
    """Write the line of one change of state: it names the charger, the command and the request."""
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
