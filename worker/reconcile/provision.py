"""Take the steps from a row to a running ECS service, and back. Each is safe to repeat and recorded on the row."""

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import Connection, case, func, select, text, update

from shared.database.engine import Sessions
from shared.fleet.specification.variables import variables_of
from shared.models import Charger
from shared.vocabulary import IN_PROGRESS, Placement, ProvisioningStatus
from worker.ecs.client import EcsClient, ServiceView
from worker.reconcile.desired import DesiredState

# Statuses of an ECS service that was deleted: while its tasks end, and afterwards.
DRAINING = "DRAINING"
INACTIVE = "INACTIVE"
DRAINING_CHECKED_AFTER_S = 30.0  # by a worker, unless the observer has reported INACTIVE before


class Step(StrEnum):
    """The step that a provisioning has reached, or failed at: `step` in the charger's status."""

    WAIT_FOR_PREDECESSOR = "wait_for_predecessor"
    REGISTER_TASK_DEFINITION = "register_task_definition"
    CREATE_SERVICE = "create_service"
    WAIT_UNTIL_RUNNING = "wait_until_running"


class NotYet(Exception):
    """Nothing is wrong, but something else must end first. Try again after `delay_s` seconds."""

    def __init__(self, message: str, delay_s: float, service_status: str | None = None) -> None:
        super().__init__(message)
        self.delay_s = delay_s
        self.service_status = service_status  #: as ECS reported it, if the service was described


def bring_up(sessions: Sessions, ecs: EcsClient, charger: DesiredState) -> ServiceView:
    """Make ECS agree with the row. Returns the service in ECS's last answer. Safe to repeat.

    Raises NotYet, BudgetSpent, EcsUnavailable, EcsRejected. What a step made is recorded on the row before the next one.
    """
    task_definition_arn = _ensure_task_definition(sessions, ecs, charger)
    task_to_stop = _task_to_stop(sessions, ecs, charger)
    view = ecs.ensure_service(
        charger.id,
        desired_count=charger.desired_count,
        task_definition_arn=task_definition_arn,
        generation=charger.generation,
        tags=_tags(charger),
        exists=charger.service_status == "ACTIVE",
        repair=charger.drifted_at is not None,
        rollout=rolls_out(ecs, charger),
    )
    if task_to_stop is not None:
        ecs.stop_task(task_to_stop, reason=f"Chargehand restart, generation {charger.restart_generation}")
    return view


def tear_down(ecs: EcsClient, charger: DesiredState) -> None:
    """Remove the service and its task definitions. Safe to repeat; returns when ECS has neither.

    Raises NotYet while tasks still run, BudgetSpent, EcsUnavailable, EcsRejected. DeleteService is called once: then the
    row says DRAINING, and the observer describes the service, ten in a call, until it is gone.
    """
    deleted = charger.service_status in {DRAINING, INACTIVE}
    remaining = ecs.remaining_service(charger.id) if deleted else ecs.delete_service(charger.id)
    if remaining is not None:
        # Recorded as DRAINING even if DescribeServices does not show that yet: DeleteService has answered so.
        raise NotYet("The service is draining", delay_s=DRAINING_CHECKED_AFTER_S, service_status=DRAINING)
    ecs.delete_task_definitions(ecs.task_definitions(charger.id))


def environment(ecs: EcsClient, charger: Charger | DesiredState) -> dict[str, str]:
    """The environment variables of the charger's process (docs/ocpp.md).

    With the control link the process gets all that may change there, so that no change makes another task definition.
    """
    if ecs.uses_control_link:
        return {"CHARGER_IDENTITY": charger.identity}
    return variables_of(charger, charger.settings if isinstance(charger, DesiredState) else None)


#: Stands for every charger: `fleet_spec` must not depend on the values of any one.
SAMPLE = Charger(
    identity="identity",
    ws_url="ws_url",
    ocpp_version="ocpp_version",
    vendor_name="vendor_name",
    model="model",
    number_of_connectors=1,
    connector_type="connector_type",
    max_charging_power=1,
    name="name",
    location_name="location_name",
)


def fleet_spec(ecs: EcsClient) -> str:
    """The digest of everything that this worker's settings give to every charger: a rollout brings it to the fleet."""
    return ecs.spec_of(environment(ecs, SAMPLE))


def rolls_out(ecs: EcsClient, charger: DesiredState) -> bool:
    """Whether the charger is being rolled out to this worker's settings."""
    return charger.rollout_hash is not None and charger.rollout_hash == fleet_spec(ecs)


def _ensure_task_definition(sessions: Sessions, ecs: EcsClient, charger: DesiredState) -> str:
    replaced = rolls_out(ecs, charger) and charger.spec_hash != charger.rollout_hash
    made = charger.task_definition_generation == charger.spec_generation
    if charger.task_definition_arn and made and not replaced:
        return charger.task_definition_arn
    if charger.task_definition_arn is None:
        wait_for_predecessor(sessions, charger)
    _record_step(sessions, charger, Step.REGISTER_TASK_DEFINITION)
    arn = ecs.ensure_task_definition(charger.id, environment(ecs, charger), _tags(charger))
    arn = _record_task_definition(sessions, ecs, charger, arn)
    _record_step(sessions, charger, Step.CREATE_SERVICE)
    return arn


def _record_task_definition(sessions: Sessions, ecs: EcsClient, charger: DesiredState, arn: str) -> str:
    """The ARN to use: the first worker to record one wins. Raises NotYet when the charger has changed meanwhile.

    worker/maintenance/leftovers.py removes revisions that nothing uses any more.
    """
    unchanged = (
        getattr(Charger, name).is_not_distinct_from(getattr(charger, name))
        for name in (
            "spec_generation",
            "task_definition_arn",
            "task_definition_generation",
            "spec_hash",
            "rollout_hash",
        )
    )
    with sessions.begin() as session:
        recorded: str | None = session.scalar(
            update(Charger)
            .where(Charger.id == charger.id, *unchanged)
            .values(
                task_definition_arn=arn,
                task_definition_generation=charger.spec_generation,
                spec_hash=fleet_spec(ecs),
                spec_by_link=ecs.uses_control_link,
                leftovers_at=Charger.leftovers_at if arn.endswith(":1") else func.clock_timestamp(),
                rollout_at=case((Charger.rollout_hash.is_not(None), func.now()), else_=Charger.rollout_at),
            )
            .returning(Charger.task_definition_arn)
        )
        if recorded is None:
            recorded = session.scalar(
                update(Charger)
                .where(
                    Charger.id == charger.id,
                    Charger.task_definition_generation == charger.spec_generation,
                    Charger.spec_generation == charger.spec_generation,
                )
                .values(leftovers_at=func.clock_timestamp())
                .returning(Charger.task_definition_arn)
            )
        if recorded is None:  # one that has moved to a host uses none of its definitions
            session.execute(
                update(Charger)
                .where(Charger.id == charger.id, Charger.placement == Placement.SHARED)
                .values(leftovers_at=func.clock_timestamp())
            )
    if recorded is None:
        raise NotYet("The charger was changed meanwhile", delay_s=0.5)
    return recorded


def wait_for_predecessor(sessions: Sessions, charger: DesiredState) -> None:
    """Raises NotYet until a deleted charger of the same identity is removed: an identity never has two sessions."""
    with sessions.autocommit.connect() as connection:
        blocked = with_predecessor(connection, [charger.id])
    if blocked:
        _record_step(sessions, charger, Step.WAIT_FOR_PREDECESSOR)
        raise NotYet("An earlier charger of this identity is still being removed", delay_s=0.5)


def with_predecessor(connection: Connection, charger_ids: Sequence[str]) -> set[str]:
    """Those of the chargers whose identity a deleted charger has that is not removed yet."""
    return set(connection.scalars(_WITH_PREDECESSOR, {"charger_ids": list(charger_ids)}))


_WITH_PREDECESSOR = text("""
SELECT id FROM chargers AS charger WHERE id = ANY(:charger_ids) AND EXISTS (
    SELECT FROM chargers AS other
    WHERE other.organization_id = charger.organization_id AND other.identity = charger.identity
        AND other.deleted_at IS NOT NULL AND other.id <> charger.id
)
""")


def _task_to_stop(sessions: Sessions, ecs: EcsClient, charger: DesiredState) -> str | None:
    """The ARN of the task that a restart stops: recorded once per restart, so that every repeat stops the same one.

    The first worker to record it wins, and the others use its ARN. None when nothing ran: the restart is a start.
    (UpdateService with forceNewDeployment has no client token: after a lost answer it would restart twice.)
    """
    generation = charger.restart_generation
    if generation <= charger.observed_generation or charger.desired_count == 0:
        return None
    if charger.restart_task_generation == generation:
        return charger.restart_task_arn
    running = _running_task(ecs, charger)
    with sessions.begin() as session:
        session.execute(
            update(Charger)
            .where(
                Charger.id == charger.id,
                Charger.restart_generation == generation,
                Charger.restart_task_generation < generation,
            )
            .values(restart_task_arn=running, restart_task_generation=generation)
        )
        recorded = session.execute(
            select(Charger.restart_task_arn, Charger.restart_task_generation).where(Charger.id == charger.id)
        ).one_or_none()
    if recorded is None or recorded.restart_task_generation != generation:
        return None  # a newer restart or a delete has replaced this one: the next round reads it
    arn: str | None = recorded.restart_task_arn
    return arn


def _running_task(ecs: EcsClient, charger: DesiredState) -> str | None:
    """The ARN of the task that runs or is about to run, if any.

    ListTasks is eventually consistent, some seconds behind, so the task that was last observed is described first.
    """
    known = charger.running_task_arn
    if known is not None:
        task = ecs.describe_tasks([known]).get(known)
        if task is not None and task.running:
            return known
    return ecs.current_task(charger.id)


def _record_step(sessions: Sessions, charger: DesiredState, step: Step) -> None:
    """Write the step of a charger that is being provisioned; its first step ends PENDING. Others have no step."""
    if charger.provisioning_status not in IN_PROGRESS:
        return
    with sessions.begin() as session:
        session.execute(
            update(Charger)
            .where(Charger.id == charger.id, Charger.provisioning_status.in_(IN_PROGRESS))
            .values(provisioning_status=ProvisioningStatus.PROVISIONING, step=step)
        )


def _tags(charger: DesiredState) -> dict[str, str]:
    return {
        "chargehand:organization": charger.organization_id,
        "chargehand:charger": charger.id,
        "chargehand:identity": charger.identity,
    }
