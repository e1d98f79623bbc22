"""What must hold of rows and ECS at any time, and at the end."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import select

from shared.models import Charger, Command
from shared.vocabulary import FINAL, OPEN, CommandStatus
from tests.support.world import World
from tests.worker.reconcile.history import History, active_service, snapshot_of
from tests.worker.stepping import SteppedEcs

RANK = {CommandStatus.QUEUED: 0, CommandStatus.APPLIED: 1} | dict.fromkeys(FINAL, 2)


class Invariants:
    """Compares each charger's history with its rows and its service."""

    def __init__(self, world: World, ecs: SteppedEcs) -> None:
        self.world, self.ecs = world, ecs
        self.deadlines_passed = False
        self.lasting: set[str] = set()  #: tasks that ran while time passed

    def check(self, histories: Sequence[History]) -> None:
        """What must hold at any time. Raises AssertionError."""
        with self.world.sessions() as session:
            chargers = {charger.id: charger for charger in session.scalars(select(Charger))}
            commands = {
                command_id: CommandStatus(status)
                for command_id, status in session.execute(select(Command.id, Command.status))
            }
        for history in histories:
            charger = chargers.get(history.charger_id)
            if charger is None:
                assert history.deleted, "the row of a charger is gone that nobody deleted"
                history.gone = True
            elif history.gone or history.came_back:
                # An old call has made its service again: so the charger is removed once more.
                assert charger.deleted_at is not None, "a removed charger came back to life"
                history.gone, history.came_back = False, True
            else:
                self._check_row(history, charger)
                self._check_commands(history, charger, commands)
            self._check_restarts(history)

    def check_end(self, history: History) -> None:
        """What must hold when nothing has happened for a while. Raises AssertionError."""
        service = active_service(self.ecs, history.charger_id)
        if history.deleted:
            assert history.gone, "a deleted charger is still there"
            assert service is None, "the service of a deleted charger is still there"
            assert history.charger_id not in self.ecs.definitions, "its task definition is still there"
            return
        charger = self.world.charger(history.charger_id)
        newest = history.newest
        assert all(history.statuses[command.command_id] in FINAL for command in history.commands)
        assert charger.observed_generation == charger.settled_generation == charger.generation
        if charger.provisioning_status == "FAILED":
            assert service is None or service.live == []
            return
        assert charger.provisioning_status == "READY"
        assert service is not None
        assert replace(newest, event_type="any").is_met_by(snapshot_of(self.ecs, service))
        assert (charger.running_count, charger.pending_count) == (newest.desired_count, 0)
        assert charger.drifted_at is None
        assert charger.reason is None
        assert (charger.spec_hash, charger.rollout_hash) == (self.ecs.spec, None)
        assert [arn for arn, _ in self.ecs.definitions[charger.id]] == [charger.task_definition_arn]
        assert self.ecs.specs[charger.task_definition_arn or ""] == self.ecs.spec

    def _check_row(self, history: History, charger: Charger) -> None:
        newest = history.newest
        failed = charger.provisioning_status == "FAILED"
        assert charger.newest_command_id == newest.command_id
        assert charger.generation == newest.generation
        assert charger.desired_count == (0 if failed else newest.desired_count)
        assert (charger.deleted_at is not None) == history.deleted
        assert history.observed_generation <= charger.observed_generation <= charger.generation
        assert history.settled_generation <= charger.settled_generation <= charger.generation
        assert charger.settled_generation <= charger.observed_generation
        history.observed_generation = charger.observed_generation
        history.settled_generation = charger.settled_generation

    def _check_commands(
        self, history: History, charger: Charger, commands: dict[UUID, CommandStatus]
    ) -> None:
        for command in history.commands:
            status = commands[command.command_id]
            before = history.statuses.get(command.command_id, CommandStatus.QUEUED)
            if status == before:
                continue
            assert RANK[status] > RANK[before], f"{before} became {status}"
            newest = command is history.newest
            assert newest != (status == CommandStatus.SUPERSEDED), f"{status}, newest: {newest}"
            if status == CommandStatus.SUCCEEDED:
                met = [each for each in history.snapshots[command.at :] if command.is_met_by(each)]
                assert met, f"ECS never had {command}"
                lasting = any(self.lasting.intersection(each.tasks) for each in met)
                assert lasting or not command.desired_count, f"no task went on running for {command}"
            if status == CommandStatus.FAILED:
                assert self.ecs.refused or self.deadlines_passed
            history.statuses[command.command_id] = status
        open_newest = commands[history.newest.command_id] in OPEN
        assert open_newest == (charger.settled_generation < charger.generation)

    def _check_restarts(self, history: History) -> None:
        for command in history.commands:
            stopped = self.ecs.stopped_for[history.charger_id, command.generation]
            assert len(stopped) <= 1, f"the restart of generation {command.generation} stopped {stopped}"
        service = self.ecs.services.get(history.charger_id)
        assert service is None or len(service.live) <= 1
