"""A charger that gets its specification over the control link has one task definition, whatever changes of it."""

from tests.support.world import World
from tests.worker.rolling import new_workers, old_fleet, run_round


def test_an_update_of_a_charger_with_the_link_makes_no_command_and_no_call(world: World) -> None:
    world.ecs.uses_control_link = True
    charger_id = world.ready()
    world.ecs.mutations.clear()

    receipt = world.update(
        charger_id, ws_url="ws://other.test", settings={"security": {"password": "geheim"}}
    )
    world.work(charger_id)

    assert receipt.repeated
    assert world.ecs.mutations == []
    assert world.charger(charger_id).generation == 1
    [(_, environment)] = world.ecs.definitions[charger_id]
    assert environment == {"CHARGER_IDENTITY": "CP-1"}


def test_a_charger_of_an_older_worker_is_redeployed_once_and_then_follows_the_link(world: World) -> None:
    charger_id = world.ready()
    world.ecs.uses_control_link = True

    world.update(charger_id, ws_url="ws://other.test")
    world.work(charger_id)
    again = world.update(charger_id, ws_url="ws://third.test")
    world.work(charger_id)

    assert [set(variables) for _, variables in world.ecs.definitions[charger_id]][1:] == [
        {"CHARGER_IDENTITY"}
    ]
    assert again.repeated
    assert world.charger(charger_id).generation == 2


def test_without_the_link_settings_are_in_the_task_definition(world: World) -> None:
    charger_id = world.ready()

    world.update(charger_id, settings={"vehicle": {"battery_wh": 40_000}, "serial_number": "SN-1"})
    world.work(charger_id)

    _, variables = world.ecs.definitions[charger_id][-1]
    assert (variables["CHARGER_EV_BATTERY_WH"], variables["CHARGER_SERIAL_NUMBER"]) == ("40000", "SN-1")


def test_a_rollout_without_the_link_brings_the_specification_back_into_the_task_definition(
    world: World,
) -> None:
    world.ecs.uses_control_link = True
    [charger_id, *others] = old_fleet(world)
    world.update(charger_id, ws_url="ws://other.test")

    ecs = new_workers(world)
    ecs.uses_control_link = False
    for _ in others:
        run_round(world, ecs, [charger_id])

    _, variables = world.ecs.definitions[charger_id][-1]
    assert variables["CHARGER_WS_URL"] == "ws://other.test"
    assert not world.update(charger_id, ws_url="ws://third.test").repeated
