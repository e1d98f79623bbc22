"""Record an attempt that did not succeed: when to try again, or that the command has failed."""

import random
from datetime import timedelta

from sqlalchemy import func, update
from sqlalchemy.orm import Session

from shared.error_codes import MESSAGE_LENGTH, ErrorCode, error_detail
from shared.models import Charger, Command
from shared.settings import Timing
from shared.vocabulary import IN_PROGRESS, OPEN, CommandStatus, ProvisioningStatus
from worker.reconcile.desired import HELD_FOR, DesiredState, log_change
from worker.reconcile.outcome import Rejected, Retry

RETRY_FIRST_S = 0.5
RETRY_MAX_S = 10.0  # after an ECS outage the whole fleet is retried within this time
REJECTED_DELAYS = 30  # a repair or removal that ECS rejects waits this many times as long as after a failure


def record_retry(
    session: Session, timing: Timing, charger: Charger, desired: DesiredState, retry: Retry
) -> None:
    """Write when to try again, and why. After the command's deadline it fails instead, unless it may not fail."""
    deadline = desired.deadline_from + timedelta(seconds=timing.command_deadline_s)
    held = retry.code == ErrorCode.RATE_BUDGET
    if desired.now > deadline and not held and _may_give_up(charger):
        code = retry.code or ErrorCode.PROVIDER_UNAVAILABLE
        give_up(session, charger, code, retry.message)
        log_change(desired, "command.failed", code=code, error=retry.message)
        return
    delay_s = retry.delay_s
    failed = delay_s is None
    if delay_s is None:
        charger.attempts += 1
        delay_s = retry_delay_s(charger.attempts)
    if retry.code is not None:
        if failed or charger.reason_code != retry.code:  # a line for each failure, but one for a whole wait
            log_change(
                desired, "command.delayed", code=retry.code, error=retry.message, attempts=charger.attempts
            )
        charger.reason, charger.reason_code = retry.message[:MESSAGE_LENGTH], retry.code
    session.execute(
        update(Command)
        .where(Command.id == charger.newest_command_id, Command.status.in_(OPEN))
        .values(
            attempts=Command.attempts + (1 if failed else 0),
            reason=retry.message[:MESSAGE_LENGTH],
            held_since=func.coalesce(Command.held_since, func.now()) if held else None,
            held_for=Command.held_for if held else HELD_FOR,
        )
    )
    charger.not_before = func.now() + timedelta(seconds=delay_s)
    charger.publish_at = charger.not_before
    if retry.service_status is not None:
        charger.service_status = retry.service_status
        charger.observe_at = func.now() + timedelta(seconds=timing.settle_s)


def record_rejection(session: Session, charger: Charger, desired: DesiredState, rejected: Rejected) -> None:
    """Write that the command has failed. A repair or a removal cannot fail: it is tried again, slowly."""
    code, message = rejected.code, rejected.message
    if _may_give_up(charger):
        give_up(session, charger, code, message)
        log_change(desired, "command.failed", code=code, error=message)
        return
    charger.attempts += 1
    charger.reason, charger.reason_code = message[:MESSAGE_LENGTH], code
    charger.not_before = func.now() + timedelta(seconds=REJECTED_DELAYS * retry_delay_s(charger.attempts))
    charger.publish_at = charger.not_before
    log_change(desired, "charger.refused", code=code, error=message, attempts=charger.attempts)


def give_up(session: Session, charger: Charger, code: ErrorCode, message: str) -> None:
    """Write that the charger's newest command has failed, and its provisioning too if that was in progress.

    The desired state of a provisioned charger stays: when the cause goes away, the observer finds that ECS differs
    and the charger is converged again. A charger that never ran is turned off, and stays FAILED.
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


def _may_give_up(charger: Charger) -> bool:
    """A command can fail. A removal cannot (a service left behind costs money), nor can a repair."""
    return charger.deleted_at is None and charger.settled_generation < charger.generation


def retry_delay_s(attempts: int) -> float:
    """Seconds until the next try: doubled at each failure, bounded, and spread so that chargers do not retry in step."""
    delay_s: float = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(attempts, 10))
    return random.uniform(0.5, 1.0) * delay_s  # noqa: S311  # spread, no secret
