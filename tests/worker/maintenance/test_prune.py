"""Rows are deleted after their retention, in batches."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from shared.database.engine import Sessions
from shared.models import (
    Action,
    Charger,
    ChargerEvent,
    ChargerLog,
    ChargerLogLine,
    Command,
    FleetSpec,
    IdempotencyKey,
    Location,
    RemovedCharger,
)
from tests.support.world import ORGANIZATION, World
from worker.logs.partitions import ensure_partitions
from worker.maintenance import prune
from worker.maintenance.leftovers import CHECK_AFTER, remove_orphans
from worker.maintenance.prune import (
    prune_actions,
    prune_commands,
    prune_events,
    prune_keys,
    prune_locations,
    prune_logs_of_deleted,
    prune_specs,
)
from worker.reconcile.record import record_removal


def test_idempotency_keys_are_pruned_after_a_day_however_many(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "BATCH", 2)
    with sessions.begin() as session:
        for number, hours in enumerate([23, 24, 25, 26, 27, 28]):
            session.add(
                IdempotencyKey(
                    organization_id="acme",
                    route="POST /ocpp/chargers",
                    key=f"key-{number}",
                    body_hash=b"",
                    created_at=func.now() - timedelta(hours=hours, seconds=1),
                )
            )

    pruned = prune_keys(sessions)

    with sessions() as session:
        left = session.scalars(select(IdempotencyKey.key)).all()
    assert (pruned, left) == (5, ["key-0"])
    assert prune_keys(sessions) == 0


def test_a_deleted_location_is_pruned_when_no_charger_refers_to_it_any_more(world: World) -> None:
    charger_id = world.create()
    with world.sessions.begin() as session:
        for location_id, days in (("used", 91), ("old", 91), ("recent", 89), ("there", None)):
            deleted_at = None if days is None else func.now() - timedelta(days=days)
            session.add(Location(organization_id=ORGANIZATION, id=location_id, deleted_at=deleted_at))
        session.flush()
        session.execute(update(Charger).where(Charger.id == charger_id).values(location_id="used"))

    assert prune_locations(world.sessions, 90) == 1

    with world.sessions() as session:
        assert set(session.scalars(select(Location.id))) == {"used", "recent", "there"}


def test_actions_are_pruned_some_days_after_their_end_and_open_ones_stay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "BATCH", 2)
    charger_id = world.ready()
    with world.sessions.begin() as session:
        for days in (6, 7, 8, 9, 10, None):
            ended = {} if days is None else {"finished_at": func.now() - timedelta(days=days, seconds=1)}
            session.add(
                Action(
                    charger_id=charger_id,
                    organization_id="acme",
                    name="plug_connector",
                    event={"days": days},
                    status="queued" if days is None else "applied",
                    requested_by="ada",
                    created_at=func.now() - timedelta(days=20),
                    expires_at=func.now() - timedelta(days=20),
                    **ended,
                )
            )

    pruned = prune_actions(world.sessions, 7)

    with world.sessions() as session:
        left = session.scalars(select(Action.event).order_by(Action.id)).all()
    assert (pruned, left) == (4, [{"days": 6}, {"days": None}])


def test_events_are_pruned_with_the_logs(world: World) -> None:
    world.ready()
    with world.sessions.begin() as session:
        count = session.scalars(select(func.count()).select_from(ChargerEvent)).one()
        session.execute(
            update(ChargerEvent)
            .where(ChargerEvent.type == "status")
            .values(at=func.now() - timedelta(days=8))
        )

    pruned = prune_events(world.sessions, 7)

    with world.sessions() as session:
        left = session.scalars(select(ChargerEvent.type)).all()
    assert pruned == count - len(left) > 0
    assert set(left) == {"command"}


def commands_of(world: World, charger_id: str) -> list[int]:
    """The generations of the commands that are left."""
    with world.sessions() as session:
        of_charger = select(Command.generation).where(Command.charger_id == charger_id)
        return list(session.scalars(of_charger.order_by(Command.generation)))


def ended(world: World, charger_id: str, generation: int, *, days_ago: int) -> None:
    with world.sessions.begin() as session:
        session.execute(
            update(Command)
            .where(Command.charger_id == charger_id, Command.generation == generation)
            .values(finished_at=func.now() - timedelta(days=days_ago, seconds=1))
        )


def busy(world: World, identity: str, commands: int) -> str:
    """A charger with this many commands, all of which have ended."""
    charger_id = world.ready(identity)
    for number in range(2, commands + 1):
        (world.stop if number % 2 == 0 else world.start)(charger_id)
        world.work(charger_id)
    return charger_id


def test_commands_that_ended_long_ago_are_pruned_but_the_newest_is_not(world: World) -> None:
    old, young = busy(world, "CP-1", 3), busy(world, "CP-2", 3)
    for generation in (1, 2, 3):
        ended(world, old, generation, days_ago=90)
    ended(world, young, 1, days_ago=90)
    ended(world, young, 2, days_ago=89)

    pruned = prune_commands(world.sessions, kept_days=90, kept_per_charger=10)

    assert pruned == 3
    assert (commands_of(world, old), commands_of(world, young)) == ([3], [2, 3])


def test_of_many_commands_the_newest_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "BATCH", 2)
    monkeypatch.setattr(prune, "MAX_CHARGERS", 1)
    many, few = busy(world, "CP-1", 8), busy(world, "CP-2", 2)

    pruned = prune_commands(world.sessions, kept_days=90, kept_per_charger=3)

    assert pruned == 5
    assert (commands_of(world, many), commands_of(world, few)) == ([6, 7, 8], [1, 2])
    assert prune_commands(world.sessions, kept_days=90, kept_per_charger=3) == 0


def test_no_open_command_is_pruned(world: World) -> None:
    charger_id = world.ready()
    for number in range(4):
        (world.start if number % 2 else world.stop)(charger_id)
    ended(world, charger_id, 1, days_ago=1)

    pruned = prune_commands(world.sessions, kept_days=1, kept_per_charger=1)

    assert (pruned, commands_of(world, charger_id)) == (1, [2, 3, 4, 5])
    assert world.open_commands() == 4


def add_frames(world: World, charger_id: str, days_ago: int, count: int) -> None:
    at = datetime.now(UTC) - timedelta(days=days_ago)
    with world.sessions.begin() as session:
        ensure_partitions(session, {at.date()})
        session.add_all(
            ChargerLog(
                charger_id=charger_id, timestamp=at, event_id=str(number), direction="in", action="Heartbeat"
            )
            for number in range(count)
        )


def frames_of(world: World, *charger_ids: str) -> list[int]:
    with world.sessions() as session:
        count = select(func.count()).select_from(ChargerLog)
        return [session.scalars(count.where(ChargerLog.charger_id == each)).one() for each in charger_ids]


def removed(world: World, identity: str, *, days_ago: int, is_checked: bool = True) -> str:
    """A charger with frames of two days that was deleted `days_ago`, and of which ECS has nothing left."""
    charger_id = world.ready(identity)
    add_frames(world, charger_id, 0, 3)
    add_frames(world, charger_id, 3, 4)
    world.delete(charger_id)
    with world.sessions.begin() as session:
        session.execute(
            update(Charger)
            .where(Charger.id == charger_id)
            .values(deleted_at=func.now() - timedelta(days=days_ago))
        )
    while not world.gone(charger_id):
        world.wait_is_over(charger_id)
        world.work(charger_id)
    if is_checked:
        with world.sessions.begin() as session:
            is_it = RemovedCharger.charger_id == charger_id
            session.execute(update(RemovedCharger).where(is_it).values(checked_at=func.now()))
    return charger_id


def test_frames_of_a_deleted_charger_are_pruned_after_the_delay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches, over several days. The frames of other chargers stay."""
    monkeypatch.setattr(prune, "BATCH", 2)
    monkeypatch.setattr(prune, "MAX_REMOVED_CHARGERS", 1)
    there = world.ready("CP-1")
    add_frames(world, there, 0, 3)
    first, second = removed(world, "CP-2", days_ago=2), removed(world, "CP-3", days_ago=3)
    lately = removed(world, "CP-4", days_ago=1)

    pruned = prune_logs_of_deleted(world.sessions, kept_days=2)

    assert pruned == 14
    assert frames_of(world, there, first, second, lately) == [3, 0, 0, 7]
    with world.sessions() as session:
        assert session.scalars(select(RemovedCharger.charger_id)).all() == [lately]


def test_the_remarks_of_a_deleted_charger_go_with_its_frames(world: World) -> None:
    there, deleted = world.ready("CP-1"), removed(world, "CP-2", days_ago=2)
    at = datetime.now(UTC)
    with world.sessions.begin() as session:
        ensure_partitions(session, {at.date()})
        for charger_id in (there, deleted):
            session.add(ChargerLogLine(charger_id=charger_id, timestamp=at, event_id="1", kind="remark"))

    pruned = prune_logs_of_deleted(world.sessions, kept_days=1)

    assert pruned == 8
    with world.sessions() as session:
        assert session.scalars(select(ChargerLogLine.charger_id)).all() == [there]


def test_a_removed_charger_is_kept_until_ecs_has_nothing_of_it(world: World) -> None:
    charger_id = removed(world, "CP-1", days_ago=2, is_checked=False)
    ago = RemovedCharger.removed_at - CHECK_AFTER

    before = prune_logs_of_deleted(world.sessions, kept_days=1)
    with world.sessions.begin() as session:
        session.execute(update(RemovedCharger).values(removed_at=ago))
    checked = [remove_orphans(world.sessions, world.ecs) for _ in range(2)]
    after = prune_logs_of_deleted(world.sessions, kept_days=1)

    assert (before, checked, after) == (0, [1, 0], 7)
    assert frames_of(world, charger_id) == [0]
    with world.sessions() as session:
        assert session.scalars(select(RemovedCharger)).all() == []


def test_a_charger_that_came_back_and_is_removed_again_is_checked_again(world: World) -> None:
    charger_id = removed(world, "CP-1", days_ago=2)
    with world.sessions.begin() as session:
        deleted = Charger(id=charger_id, deleted_at=datetime.now(UTC))
        record_removal(session, deleted)

    pruned = prune_logs_of_deleted(world.sessions, kept_days=0)

    assert (pruned, frames_of(world, charger_id)) == (0, [7])


def test_two_workers_do_not_prune_at_once(world: World) -> None:
    charger_id = removed(world, "CP-1", days_ago=2)
    with world.sessions.begin() as other:
        other.execute(select(func.pg_advisory_xact_lock(prune.PRUNE_LOCK)))

        meanwhile = prune_logs_of_deleted(world.sessions, kept_days=1)

    assert (meanwhile, frames_of(world, charger_id)) == (0, [7])
    assert prune_logs_of_deleted(world.sessions, kept_days=1) == 7


def test_settings_that_no_worker_has_any_more_are_pruned(sessions: Sessions) -> None:
    with sessions.begin() as session:
        session.add(FleetSpec(hash="old", seen_at=func.now() - timedelta(days=2)))
        session.add(FleetSpec(hash="new"))

    pruned = prune_specs(sessions)

    with sessions() as session:
        assert (pruned, session.scalars(select(FleetSpec.hash)).all()) == (1, ["new"])
