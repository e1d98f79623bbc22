"""A worker's call comes late, or is on its way while the charger moves: the charger still ends in one place, and nothing is left."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from unittest.mock import patch

from sqlalchemy import func, update

from shared.models import Charger, Host
from shared.vocabulary import CommandStatus, Placement
from tests.support.fake_ecs import FakeService
from tests.support.fake_host import hosts_of
from tests.support.world import World
from tests.worker.hosts.moving import Hosts, active, go_on
from worker.hosts.drain import begin_moves
from worker.maintenance.leftovers import CHECK_AFTER, remove_orphans


def test_a_call_that_comes_too_late_makes_no_service(world: World, hosts: Hosts, dedicated: str) -> None:
    """Its task definition is gone before the charger is placed."""
    world.start(dedicated)
    world.restart(dedicated)
    world.ecs.script.append(partial(move_to_host, world, hosts, dedicated))

    world.converge(dedicated)
    go_on(world, hosts, dedicated)

    assert (active(world, dedicated), hosts.run(dedicated)) == (False, 1)


def test_a_service_that_ecs_did_not_show_during_the_move_ends_when_its_call_is_answered(
    world: World, hosts: Hosts, dedicated: str
) -> None:
    world.restart(dedicated)

    def move_unseen() -> None:
        unseen = world.ecs.services.pop(dedicated)
        move_to_host(world, hosts, dedicated)
        world.ecs.services[dedicated] = unseen

    world.ecs.afterwards.append(move_unseen)

    world.converge(dedicated)
    is_known = world.charger(dedicated).task_definition_arn is not None
    go_on(world, hosts, dedicated, rounds=3)

    assert is_known
    assert (active(world, dedicated), hosts.run(dedicated)) == (False, 1)
    assert world.charger(dedicated).task_definition_arn is None


def test_a_service_that_is_made_while_its_definitions_are_deleted_ends_too(
    world: World, hosts: Hosts, dedicated: str
) -> None:
    world.update(dedicated, placement=Placement.SHARED)
    world.converge(dedicated)
    world.ecs.settle()
    world.wait_is_over(dedicated)
    delete = world.ecs.delete_task_definitions

    def made_meanwhile(definitions: Mapping[str, bool]) -> None:
        world.ecs.services[dedicated] = FakeService(1, next(iter(definitions)))
        delete(definitions)

    with patch.object(world.ecs, "delete_task_definitions", made_meanwhile):
        world.converge(dedicated)
    is_placed = world.charger(dedicated).host_id
    go_on(world, hosts, dedicated, rounds=3)

    assert is_placed is None
    assert (active(world, dedicated), hosts.run(dedicated)) == (False, 1)


def move_to_host(world: World, hosts: Hosts, charger_id: str) -> None:
    world.update(charger_id, placement=Placement.SHARED)
    go_on(world, hosts, charger_id, rounds=3)
    assert hosts.run(charger_id) == 1


def test_what_a_worker_made_that_died_before_it_saw_the_move_is_found_later(
    world: World, hosts: Hosts, dedicated: str
) -> None:
    world.update(dedicated, placement=Placement.SHARED)
    go_on(world, hosts, dedicated, rounds=3)
    arn = world.ecs.ensure_task_definition(dedicated, {}, {})
    world.ecs.ensure_service(
        dedicated, desired_count=1, task_definition_arn=arn, generation=1, tags={}, exists=False
    )
    world.ecs.settle()
    too_early = remove_orphans(world.sessions, world.ecs)
    with world.sessions.begin() as session:
        session.execute(update(Charger).values(leftovers_at=func.now() - CHECK_AFTER - timedelta(seconds=1)))

    remove_orphans(world.sessions, world.ecs)
    world.ecs.settle()
    remove_orphans(world.sessions, world.ecs)

    charger = world.charger(dedicated)
    assert too_early == 0
    assert (active(world, dedicated), dedicated in world.ecs.definitions) == (False, False)
    assert (charger.leftovers_at, charger.running_count, hosts.run(dedicated)) == (None, 1, 1)


def test_one_that_is_between_two_hosts_starts_in_a_service_of_which_ecs_knows_the_task(
    world: World, hosts: Hosts, shared: str
) -> None:
    """ECS rejects a description of the start on the host, and with it those of nine other chargers."""
    with world.sessions.begin() as session:
        session.execute(update(Host).values(draining_at=func.now()))
    begin_moves(world.sessions, hosts_of(world.sessions)[0].id)
    world.converge(shared)
    hosts.work()
    world.observe_once()
    between = (world.charger(shared).host_id, world.charger(shared).running_count)
    move = world.update(shared, placement=Placement.DEDICATED)

    with patch.object(world.ecs, "describe_tasks", wraps=world.ecs.describe_tasks) as described:
        world.work(shared)

    arns = [arn for call in described.call_args_list for arn in call.args[0]]
    assert between == (None, 0)
    assert all(arn.startswith("arn:") for arn in arns)
    assert world.status(move) == CommandStatus.SUCCEEDED


def test_a_definition_that_is_registered_while_the_charger_moves_to_a_host_is_found_later(
    world: World, hosts: Hosts
) -> None:
    charger_id = world.create("CP-1")
    world.ecs.afterwards.append(partial(move_to_host, world, hosts, charger_id))
    world.converge(charger_id)
    registered = charger_id in world.ecs.definitions
    with world.sessions.begin() as session:
        session.execute(update(Charger).values(leftovers_at=Charger.leftovers_at - 2 * CHECK_AFTER))

    remove_orphans(world.sessions, world.ecs)

    assert registered
    assert (charger_id in world.ecs.definitions, hosts.run(charger_id)) == (False, 1)
    assert world.charger(charger_id).leftovers_at is None
