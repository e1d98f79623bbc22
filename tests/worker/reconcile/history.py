"""A charger as its clients and an onlooker at ECS remember it: what the state machine compares rows with."""

from dataclasses import dataclass, field
from uuid import UUID

from shared.vocabulary import CommandStatus, EventType
from tests.support.fake_ecs import FakeEcs, FakeService


@dataclass(frozen=True)
class Snapshot:
    """A charger's service as ECS had it at some time."""

    desired_count: int
    tasks: tuple[str, ...]  #: that live
    running: int
    url: str | None  #: in the environment of the newest live task


@dataclass(frozen=True)
class ExpectedCommand:
    """A command that was accepted, and what ECS must have had for it to succeed."""

    command_id: UUID
    generation: int
    event_type: str
    desired_count: int
    url: str
    at: int  #: the index of the newest snapshot at the time
    task: str | None  #: the task that lived when it was accepted

    def is_met_by(self, snapshot: Snapshot) -> bool:
        """Whether ECS had at that time what was requested."""
        if self.desired_count == 0:
            return snapshot.desired_count == 0 and snapshot.tasks == ()
        another = self.event_type != EventType.RESET_CHARGER or snapshot.tasks != (self.task,)
        return snapshot.desired_count == 1 and snapshot.running == 1 and snapshot.url == self.url and another


@dataclass
class History:
    """The commands of a charger, and the snapshots of its service."""

    charger_id: str
    identity: str
    commands: list[ExpectedCommand] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    statuses: dict[UUID, CommandStatus] = field(default_factory=dict)
    observed_generation: int = 0
    settled_generation: int = 0
    deleted: bool = False
    came_back: bool = False  #: its row, after it was gone
    gone: bool = False  #: its row

    @property
    def newest(self) -> ExpectedCommand:
        return self.commands[-1]

    def see(self, ecs: FakeEcs) -> None:
        """Take a snapshot if ECS has changed."""
        service = active_service(ecs, self.charger_id)
        if service is None:
            return
        snapshot = snapshot_of(ecs, service)
        if self.snapshots[-1:] != [snapshot]:
            self.snapshots.append(snapshot)


def active_service(ecs: FakeEcs, charger_id: str) -> FakeService | None:
    service = ecs.services.get(charger_id)
    return service if service is not None and service.status == "ACTIVE" else None


def snapshot_of(ecs: FakeEcs, service: FakeService) -> Snapshot:
    live = service.live
    definition = live[-1].task_definition_arn if live else ""
    return Snapshot(
        service.desired_count,
        tuple(task.arn for task in live),
        sum(task.status == "RUNNING" for task in live),
        ecs.environments.get(definition, {}).get("CHARGER_WS_URL"),
    )
