"""Make the ECS service of each host agree with its row: create it, follow it, roll a new spec out, remove it when empty.

Any number of workers may do so: a host that one has claimed is left alone by the others until it is due again, and no row is
locked during a call. Chargers are not touched here: what they shall do reaches their host over the control link.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, NamedTuple

import structlog
from sqlalchemy import and_, case, delete, func, or_, select, update
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.error_codes import MESSAGE_LENGTH, ErrorCode
from shared.fleet.hosts import CONNECTED_SINCE
from shared.fleet.spec import fleets_spec
from shared.models import FleetSpec, Host
from shared.settings import Timing
from worker.ecs.budget import BudgetSpent, on_behalf_of
from worker.ecs.client import (
    DESCRIBE_SERVICES_LIMIT,
    EcsClient,
    EcsRejected,
    EcsUnavailable,
    ServiceView,
    TaskDefinitionMissing,
)
from worker.ecs.requests import host_program, host_size
from worker.ecs.turns import Priority
from worker.hosts.drain import begin_moves
from worker.maintenance.rollout import START_AFTER_S
from worker.observe.reasons import explain
from worker.reconcile.failure import REJECTED_DELAYS, retry_delay_s
from worker.reconcile.provision import DRAINING, INACTIVE

log = structlog.get_logger(__name__)

KEEP_FOR_S = 5.0  # for which one run makes claims, so that a worker that is stopped ends soon


class Claimed(NamedTuple):
    """A host that one run looks at."""

    host: Host  #: detached from any session
    connected: bool  #: to the control link
    at: datetime  #: the database's clock when it was claimed, which is before ECS is called

    @property
    def is_up(self) -> bool:
        """Whether it was last seen to run with the task definition of its row."""
        return self.connected and self.host.running_task_arn is not None


def keep_hosts(sessions: Sessions, ecs: EcsClient, timing: Timing, spec: str) -> int:
    """Keep the hosts that are due. `spec` is the spec of this worker's settings (worker/reconcile/provision.py).

    Returns how many chargers of draining hosts the sweep must publish. What fails is recorded on the host's row and tried
    again with growing delays. Safe to repeat, also concurrently.
    """
    until = monotonic() + KEEP_FOR_S
    to_publish = 0
    while monotonic() < until:
        with sessions.begin() as session:
            _give_up_empty(session, timing)
            claimed = _claim(session, timing)
        for each in claimed:
            if each.host.draining_at is not None:
                to_publish += begin_moves(sessions, each.host.id)
        if claimed:
            _keep_all(sessions, ecs, spec, claimed)
        if len(claimed) < DESCRIBE_SERVICES_LIMIT:
            break
    return to_publish


def _give_up_empty(session: Session, timing: Timing) -> None:
    """Mark the hosts that have had no charger for long enough, or drain and have none: from now on they get none."""
    empty = (
        select(Host.id)
        .where(
            Host.deleted_at.is_(None),
            Host.chargers == 0,
            or_(
                Host.draining_at.is_not(None),
                Host.empty_since < func.now() - timedelta(seconds=timing.host_empty_s),
            ),
        )
        .with_for_update(key_share=True, skip_locked=True)
        .cte("empty")
    )
    given_up = session.scalars(
        update(Host)
        .where(Host.id.in_(select(empty.c.id)))
        .values(deleted_at=func.now(), converge_at=func.now())
        .returning(Host.id)
        .execution_options(synchronize_session=False)
    ).all()
    for host_id in given_up:
        log.info("host.given_up", host_id=host_id)


def _claim(session: Session, timing: Timing) -> list[Claimed]:
    """Claim hosts that are due, the longest due first, and set when each is due again."""
    due = (
        select(Host.id)
        .where(Host.converge_at <= func.now())
        .order_by(Host.converge_at)
        .limit(DESCRIBE_SERVICES_LIMIT)
        .with_for_update(key_share=True, skip_locked=True)
        .cte("due")  # executed once, so never more than the limit
    )
    is_up = and_(
        CONNECTED_SINCE.is_not(None),
        Host.running_task_arn.is_not(None),
        Host.deleted_at.is_(None),
        Host.draining_at.is_(None),
    )
    period = case(
        (is_up, timedelta(seconds=timing.observe_settled_every_s)),
        else_=timedelta(seconds=timing.observe_every_s),
    )
    rows = session.execute(
        update(Host)
        .where(Host.id.in_(select(due.c.id)))
        .values(converge_at=func.now() + period)
        .returning(Host, CONNECTED_SINCE.is_not(None), func.now())
        .execution_options(synchronize_session=False)
    ).all()
    session.expunge_all()
    return [Claimed(*row) for row in rows]


def _keep_all(sessions: Sessions, ecs: EcsClient, spec: str, claimed: Sequence[Claimed]) -> None:
    try:
        views = ecs.describe_services([each.host.id for each in claimed])
    except (BudgetSpent, EcsUnavailable, EcsRejected) as error:
        for each in claimed:
            _record_failure(sessions, each.host, error)
        return
    for each in claimed:
        host = each.host
        try:
            with on_behalf_of(host.id, host.organization_id, Priority.PROVISIONING):
                if host.deleted_at is not None:
                    _remove(sessions, ecs, host)
                else:
                    _bring_up(sessions, ecs, spec, each, views[host.id])
        except (BudgetSpent, EcsUnavailable, EcsRejected) as error:
            _record_failure(sessions, host, error)


def _bring_up(
    sessions: Sessions, ecs: EcsClient, spec: str, claimed: Claimed, view: ServiceView | None
) -> None:
    host = claimed.host
    rolls_out = host.spec_hash != _spec(ecs, host) and _may_roll_out(sessions, spec, claimed)
    definition = host.task_definition_arn
    if definition is None or rolls_out:
        host, definition = _with_definition(sessions, ecs, host)
    if view is None or not view.active or _differs(definition, view):
        view = ecs.ensure_service(
            host.id,
            desired_count=1,
            task_definition_arn=definition,
            generation=1,
            tags=_tags(host),
            exists=view is not None and view.active,
            repair=view is not None and view.rollout_failure is not None,
            rollout=rolls_out,
        )
    task = ecs.current_task(host.id) if view.running_count and view.deployed else None
    values: dict[str, Any] = {"reason": None, "reason_code": None, "running_count": view.running_count}
    if not view.running_count:
        stopped = ecs.last_stopped_task(host.id)
        why = explain(view, stopped)
        # ECS does not count a task that is stopping, whose process still runs for up to its stop time-out.
        is_stopping = stopped is not None and not stopped.stopped
        values = {
            "reason": why and why.text,
            "reason_code": why and why.code,
            "running_count": int(is_stopping),
        }
    _record(
        sessions,
        host,
        service_status=view.status,
        pending_count=view.pending_count,
        running_task_arn=task,
        observed_at=claimed.at,
        attempts=0,
        not_before=None,
        **values,
    )
    if task is not None and host.running_task_arn is None:
        log.info("host.running", host_id=host.id, task=task)
        if not definition.endswith(":1"):
            revisions = ecs.task_definitions(host.id)
            revisions.pop(definition, None)
            ecs.delete_task_definitions(revisions)


def _differs(definition: str, view: ServiceView) -> bool:
    return (
        view.desired_count != 1 or view.task_definition_arn != definition or view.rollout_failure is not None
    )


def _with_definition(sessions: Sessions, ecs: EcsClient, host: Host) -> tuple[Host, str]:
    """Register the host's task definition and record it. The first worker to record one wins. Returns the row, and it.

    Raises EcsUnavailable for a host that was given up meanwhile: a service made now could be one that no row knows.
    """
    arn = ecs.ensure_task_definition(host.id, _environment(host), _tags(host), host_program(host.capacity))
    with sessions.begin() as session:
        session.execute(
            update(Host)
            .where(
                Host.id == host.id,
                Host.deleted_at.is_(None),
                Host.task_definition_arn.is_not_distinct_from(host.task_definition_arn),
                Host.spec_hash.is_not_distinct_from(host.spec_hash),
            )
            .values(task_definition_arn=arn, spec_hash=_spec(ecs, host), running_task_arn=None)
        )
        recorded = session.get(Host, host.id)
        session.expunge_all()
    if recorded is None or recorded.deleted_at is not None:
        ecs.delete_task_definitions({arn: True})
        raise EcsUnavailable("The host was given up meanwhile")
    if recorded.task_definition_arn is None:
        raise EcsUnavailable("The host was changed meanwhile")
    if host.task_definition_arn is not None:
        log.info("host.rolled_out", host_id=host.id, task_definition=recorded.task_definition_arn)
    return recorded, recorded.task_definition_arn


def _may_roll_out(sessions: Sessions, spec: str, claimed: Claimed) -> bool:
    """Whether the host may get this worker's spec now: one that is up waits until all others are, so a bad image stops.

    The spec must be the fleet's, for as long as chargers wait for it too (worker/maintenance/rollout.py).
    """
    since = timedelta(seconds=START_AFTER_S)
    with sessions.begin() as session:
        newest = session.execute(
            fleets_spec().with_only_columns(FleetSpec.hash, FleetSpec.since < func.now() - since)
        ).one_or_none()
        if newest is None or tuple(newest) != (spec, True):
            return False
        if not claimed.is_up:
            return True
        down = or_(CONNECTED_SINCE.is_(None), Host.running_task_arn.is_(None))
        others = select(Host.id).where(Host.id != claimed.host.id, Host.deleted_at.is_(None), down)
        return session.scalar(others.limit(1)) is None


def _remove(sessions: Sessions, ecs: EcsClient, host: Host) -> None:
    """Remove the service, then its task definitions, then the row. Each call goes as far as it can."""
    deleted = host.service_status in {DRAINING, INACTIVE}
    remaining = ecs.remaining_service(host.id) if deleted else ecs.delete_service(host.id)
    if remaining is not None:
        _record(sessions, host, service_status=DRAINING, running_count=remaining.running_count)
        return
    _record(sessions, host, service_status=INACTIVE, running_count=0, pending_count=0)
    ecs.delete_task_definitions(ecs.task_definitions(host.id))
    if ecs.remaining_service(host.id) is not None:
        return  # a worker's call was on its way when its definition was deleted
    with sessions.begin() as session:
        session.execute(delete(Host).where(Host.id == host.id, Host.chargers == 0))
    log.info("host.removed", host_id=host.id)


def _record_failure(
    sessions: Sessions, host: Host, error: BudgetSpent | EcsUnavailable | EcsRejected
) -> None:
    """Write when the host is tried again, and why it waits. One that runs as its row says waits for nothing."""
    attempts = host.attempts + 1
    delay_s, code = retry_delay_s(attempts), ErrorCode.PROVIDER_UNAVAILABLE
    values: dict[str, Any] = {}
    if isinstance(error, BudgetSpent):
        attempts, delay_s, code = host.attempts, error.delay_s, ErrorCode.RATE_BUDGET
    elif isinstance(error, TaskDefinitionMissing):
        values = {"task_definition_arn": None}
    elif isinstance(error, EcsRejected):
        delay_s, code = REJECTED_DELAYS * delay_s, error.code
    if not isinstance(error, BudgetSpent):
        log.warning("host.delayed", host_id=host.id, code=code, error=str(error), attempts=attempts)
    if host.running_task_arn is None:
        values |= {"reason": str(error)[:MESSAGE_LENGTH], "reason_code": code}
    again_at = func.now() + timedelta(seconds=delay_s)
    _record(
        sessions,
        host,
        attempts=attempts,
        not_before=again_at,
        converge_at=again_at,
        **values,
    )


def _record(sessions: Sessions, host: Host, **values: Any) -> None:
    with sessions.begin() as session:
        session.execute(update(Host).where(Host.id == host.id).values(values))


def _spec(ecs: EcsClient, host: Host) -> str:
    return ecs.spec_of(_environment(host), host_program(host.capacity))


def _environment(host: Host) -> dict[str, str]:
    _, memory_mib = host_size(host.capacity)
    return {"HOST_CAPACITY": str(host.capacity), "HOST_MEMORY_MIB": memory_mib}


def _tags(host: Host) -> dict[str, str]:
    return {"chargehand:organization": host.organization_id, "chargehand:host": host.id}
