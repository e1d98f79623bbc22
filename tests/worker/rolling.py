"""A fleet with old settings, and workers with new ones, for the tests of rollouts."""

from datetime import timedelta

from sqlalchemy import func, update

from shared.fleet.spec import GONE_AFTER_S
from shared.models import Charger, FleetSpec
from tests.support.fake_ecs import FakeEcs
from tests.support.world import HOSTING, World
from worker.maintenance.rollout import START_AFTER_S, roll_out
from worker.reconcile.converge import converge
from worker.reconcile.provision import fleet_spec

FAST = 6000.0  # chargers per minute: so many that the rate does not limit


def old_fleet(world: World) -> list[str]:
    """Five chargers that run with the old settings, which all workers have had for an hour."""
    roll_out(world.sessions, fleet_spec(world.ecs), FAST)
    chargers = running(world, 5)
    pass_time(world, 3600)
    return chargers


def running(world: World, how_many: int) -> list[str]:
    chargers = [world.create(f"CP-{number}") for number in range(how_many)]
    for charger_id in chargers:
        world.converge(charger_id)
    world.ecs.settle()
    world.observe()
    return chargers


def pass_time(world: World, seconds: float) -> None:
    """Let time pass for specs and rollouts. Workers keep their spec in use meanwhile."""
    ago = timedelta(seconds=seconds)
    with world.sessions.begin() as session:
        session.execute(
            update(FleetSpec).values(since=FleetSpec.since - ago, paced_at=FleetSpec.paced_at - ago)
        )
        session.execute(update(Charger).values(rollout_at=Charger.rollout_at - ago))


def nobody_has(world: World, spec: str, for_s: float = GONE_AFTER_S + 1) -> None:
    with world.sessions.begin() as session:
        ago = func.now() - timedelta(seconds=for_s)
        session.execute(update(FleetSpec).where(FleetSpec.hash == spec).values(seen_at=ago))


def new_workers(world: World, spec: str = "spec-2") -> FakeEcs:
    """Workers with another spec, which has been the fleet's for START_AFTER_S."""
    ecs = world.ecs.with_spec(spec)
    roll_out(world.sessions, spec, 0)
    pass_time(world, START_AFTER_S)
    return ecs


def beat(world: World, ecs: FakeEcs, per_minute: float = FAST) -> int:
    return roll_out(world.sessions, fleet_spec(ecs), per_minute)


def under_way(world: World, chargers: list[str]) -> list[str]:
    return [each for each in chargers if world.charger(each).rollout_hash is not None]


def deliver(world: World, ecs: FakeEcs, charger_id: str) -> None:
    converge(world.sessions, ecs, world.timing, charger_id, HOSTING)


def deliver_all(world: World, ecs: FakeEcs, chargers: list[str]) -> None:
    for charger_id in chargers:
        deliver(world, ecs, charger_id)
    world.ecs.settle()


def run_round(world: World, ecs: FakeEcs, chargers: list[str]) -> None:
    """One round: chargers that are due begin, messages are delivered, ECS settles, and the observer runs twice."""
    beat(world, ecs)
    for charger_id in chargers:
        if world.charger(charger_id).publish_at is not None:
            deliver(world, ecs, charger_id)
    world.ecs.settle()
    world.observe()


def spec_that_runs(world: World, charger_id: str) -> str:
    [task] = world.ecs.services[charger_id].live
    return world.ecs.specs[task.task_definition_arn]


def specs(world: World, chargers: list[str]) -> set[str]:
    return {world.ecs.specs[world.ecs.services[each].task_definition_arn] for each in chargers}
