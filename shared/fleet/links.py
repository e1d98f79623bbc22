"""Conditions that a client can wait for: the CSMS has accepted a charger, and no command is open."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, not_, or_, select
from sqlalchemy.orm import Session, joinedload

from shared.fleet.commands import of_other_rows
from shared.models import Charger, Command, LoggedLink, ShownLink
from shared.vocabulary import FINAL, CommandStatus, OcppState, ProvisioningStatus

#: The CSMS accepted the boot of the process that runs for the newest generation. No clocks are compared, because
#: the database's and the charger host's may differ. Instead, the log line that says "accepted" names its ECS task, and
#: ECS reported which task runs since it reached the generation. A line of an earlier task names another one, however
#: late it is read. The first generation has no earlier task, unless there was a rollout: there the charger's own report
#: counts too, which comes sooner. A line from before tasks were recorded counts until another generation is requested or a
#: rollout begins.
ACCEPTED: ColumnElement[bool] = and_(
    Charger.desired_count == 1,
    Charger.running_count == 1,
    Charger.settled_generation >= Charger.generation,
    or_(
        and_(
            Charger.rollout_at.is_(None),
            Charger.generation == 1,
            exists().where(ShownLink.charger_id == Charger.id, ShownLink.state == OcppState.ACCEPTED),
        ),
        exists().where(
            LoggedLink.charger_id == Charger.id,
            LoggedLink.state == OcppState.ACCEPTED,
            or_(
                and_(Charger.rollout_at.is_(None), LoggedLink.task_generation == Charger.generation),
                and_(
                    Charger.running_task_generation == Charger.generation,
                    Charger.running_task_id == LoggedLink.task_id,
                ),
            ),
        ),
    ),
)


def may_be_accepted(charger_id: ColumnElement[str], generation: ColumnElement[int]) -> ColumnElement[bool]:
    """The charger is not accepted yet and can be: not deleted, desired to run, and its provisioning has not failed.

    With a generation, only while that is the newest and its command has not failed. Without one (null), a failed
    command does not matter: the charger keeps trying with what ran before.
    """
    failed = exists().where(Command.id == Charger.newest_command_id, Command.status == CommandStatus.FAILED)
    return exists().where(
        Charger.id == charger_id,
        Charger.deleted_at.is_(None),
        Charger.desired_count == 1,
        Charger.provisioning_status != ProvisioningStatus.FAILED,
        or_(generation.is_(None), and_(Charger.generation == generation, not_(failed))),
        not_(ACCEPTED),
    )


def is_open(charger_id: ColumnElement[str]) -> ColumnElement[bool]:
    """The charger's newest command is not final."""
    return exists().where(
        Charger.id == charger_id,
        Charger.deleted_at.is_(None),
        Charger.settled_generation < Charger.generation,
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state of a command and of its charger's link."""

    charger: Charger
    command: Command | None  #: only when it is final
    accepted: bool  #: the CSMS accepted the boot of the process that this command started


def outcome_of(session: Session, charger_id: str, command_id: UUID) -> Outcome | None:
    """The outcome of the command; None when the charger is deleted."""
    row = session.execute(
        select(Charger, Command, ACCEPTED)
        .join(Command, Command.id == command_id)
        .options(joinedload(Charger.link), joinedload(Charger.command), *of_other_rows())
        .where(Charger.id == charger_id, Charger.deleted_at.is_(None))
    ).one_or_none()
    if row is None:
        return None
    charger, command, accepted = row
    newest = command.generation == charger.generation
    return Outcome(charger, command if command.status in FINAL else None, accepted and newest)
