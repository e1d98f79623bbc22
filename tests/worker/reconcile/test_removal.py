"""A deleted charger leaves nothing behind, costs ECS little, and its row is removed only then."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import func, insert, select, text, update

from shared.error_codes import ErrorCode
from shared.fleet.actions.record import ActionRequest, Target, record_actions
from shared.models import Action, Charger, ChargerReport
from tests.support.fake_ecs import fail_once
from tests.support.waiting import wait_until
from tests.support.world import ORGANIZATION, World
from worker.ecs.client import EcsRejected

IS_BLOCKED = text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")


def reject() -> None:
    raise EcsRejected(ErrorCode.PROVIDER_REJECTED, "DeleteService: ClientException: no")


def nothing() -> None:
    """A call that goes well."""


def test_a_deleted_charger_is_removed_when_ecs_has_nothing_of_it(world: World) -> None:
    charger_id = world.ready()
    world.delete(charger_id)

    world.converge(charger_id)
    while_draining = world.gone(charger_id)
    world.ecs.settle()
    world.wait_is_over(charger_id)
    world.converge(charger_id)

    assert while_draining is False
    assert world.gone(charger_id)
    assert charger_id not in world.ecs.definitions


def test_a_removal_and_a_result_of_an_action_at_once_are_no_deadlock(world: World) -> None:
    charger_id = world.ready()
    with world.sessions.begin() as session:
        target = Target(charger_id)
        request = ActionRequest("plug_connector", {}, target, ORGANIZATION, "tester", None)
        [action] = record_actions(session, request).actions
        session.execute(update(Action).values(status="queued", finished_at=None))  # the charger is connected
    world.delete(charger_id)
    world.converge(charger_id)
    world.ecs.settle()
    world.wait_is_over(charger_id)

    with ThreadPoolExecutor() as threads, world.sessions.begin() as link:
        link.execute(select(Action.id).where(Action.id == action.id).with_for_update())
        removal = threads.submit(world.converge, charger_id)
        wait_until(lambda: link.scalar(IS_BLOCKED))
        applied = update(Action).where(Action.id == action.id)
        link.execute(applied.values(status="applied", finished_at=func.now()))
        link.commit()
        removal.result(10)

    assert world.gone(charger_id)


def test_a_removal_and_a_report_of_the_charger_at_once_are_no_deadlock(world: World) -> None:
    charger_id = world.ready()
    with world.sessions.begin() as session:
        session.execute(
            insert(ChargerReport).values(charger_id=charger_id, process_id=charger_id, boot_id="b")
        )
    world.delete(charger_id)
    world.converge(charger_id)
    world.ecs.settle()
    world.wait_is_over(charger_id)

    with ThreadPoolExecutor() as threads, world.sessions.begin() as link:
        link.execute(select(ChargerReport).with_for_update())
        removal = threads.submit(world.converge, charger_id)
        wait_until(lambda: link.scalar(IS_BLOCKED))
        link.execute(select(Charger.id).where(Charger.id == charger_id).with_for_update(key_share=True))
        link.commit()
        removal.result(10)

    assert world.gone(charger_id)


def test_a_removal_costs_one_service_change_however_long_the_service_drains(world: World) -> None:
    charger_id = world.ready()
    world.delete(charger_id)
    for _ in range(5):
        world.converge(charger_id)
        assert world.observe_once() == 0
        world.wait_is_over(charger_id)

    world.ecs.settle()
    to_publish = world.observe_once()
    world.converge(charger_id)

    assert to_publish == 1
    assert world.gone(charger_id)
    assert world.ecs.mutations.count(("DeleteService", charger_id)) == 1


def test_a_deleted_charger_is_observed_only_while_its_service_drains(world: World) -> None:
    charger_id = world.ready()
    to_observe = [world.charger(charger_id).observe_at is not None]

    def record() -> None:
        to_observe.append(world.charger(charger_id).observe_at is not None)

    world.delete(charger_id)
    record()
    world.converge(charger_id)  # DeleteService
    record()
    world.ecs.settle()
    world.observe_once()
    record()

    assert world.charger(charger_id).service_status == "INACTIVE"
    assert to_observe == [True, False, True, False]


def test_a_service_that_came_back_during_its_removal_is_deleted_again(world: World) -> None:
    charger_id = world.ready()
    world.delete(charger_id)
    world.converge(charger_id)
    world.ecs.services[charger_id].status = "ACTIVE"  # a call of long ago made it anew

    world.observe_once()
    world.converge(charger_id)
    world.ecs.settle()
    world.observe_once()
    world.converge(charger_id)

    assert world.gone(charger_id)
    assert world.ecs.services[charger_id].status == "INACTIVE"


def test_a_removal_is_never_given_up(world: World) -> None:
    charger_id = world.ready()
    world.delete(charger_id)
    world.hours_pass(charger_id)
    world.ecs.script += [reject, fail_once()]

    for _ in range(2):
        world.converge(charger_id)
        assert world.charger(charger_id).publish_at is not None
        world.wait_is_over(charger_id)
    world.converge(charger_id)
    world.ecs.settle()
    world.wait_is_over(charger_id)
    world.converge(charger_id)

    assert world.gone(charger_id)


def test_a_delete_during_provisioning_stops_it_at_its_next_step(world: World) -> None:
    charger_id = world.create()

    def delete() -> None:
        world.delete(charger_id)

    world.ecs.afterwards.append(delete)

    world.converge(charger_id)
    world.ecs.settle()
    world.wait_is_over(charger_id)
    world.converge(charger_id)

    assert world.gone(charger_id)
    assert world.ecs.runs(charger_id) == 0


def test_a_charger_that_is_removed_while_its_service_is_made_leaves_none_behind(world: World) -> None:
    charger_id = world.create()

    def remove() -> None:
        world.delete(charger_id)
        world.converge(charger_id)
        assert world.gone(charger_id)

    world.ecs.script += [nothing, remove]
    world.converge(charger_id)
    world.ecs.settle()

    assert ("CreateService", charger_id) in world.ecs.mutations
    assert world.ecs.runs(charger_id) == 0


def test_a_charger_that_is_removed_while_its_task_definition_is_made_gets_no_service(world: World) -> None:
    charger_id = world.create()

    def remove() -> None:
        world.delete(charger_id)
        world.converge(charger_id)
        assert world.gone(charger_id)

    world.ecs.script.append(remove)
    world.converge(charger_id)

    assert ("CreateService", charger_id) not in world.ecs.mutations
    assert charger_id not in world.ecs.definitions
    assert world.gone(charger_id)


def test_what_was_made_of_a_removed_charger_is_deleted_though_ecs_is_away_at_first(world: World) -> None:
    charger_id = world.create()

    def remove() -> None:
        world.delete(charger_id)
        world.converge(charger_id)

    world.ecs.script += [nothing, remove, nothing, fail_once()]
    world.converge(charger_id)
    left = world.charger(charger_id)
    world.wait_is_over(charger_id)
    world.converge(charger_id)
    world.ecs.settle()
    world.wait_is_over(charger_id)
    world.converge(charger_id)

    assert left.deleted_at is not None
    assert left.publish_at is not None
    assert world.gone(charger_id)
    assert world.ecs.runs(charger_id) == 0
    assert world.ecs.definitions.get(charger_id, []) == []
