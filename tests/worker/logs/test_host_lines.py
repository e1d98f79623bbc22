"""The stream of a host holds lines of many chargers: each goes into the log of its own, and none into another tenant's."""

import pytest
from sqlalchemy import select, update

from shared.models import Charger, ChargerLink, Host
from tests.support.world import ORGANIZATION, World
from tests.worker.logs.log_group import LogGroup

BOOT = "b" * 32
FRAME = {"type": "frame", "direction": "cp_to_csms", "action": "Heartbeat"}


def host(world: World, host_id: str, organization_id: str = ORGANIZATION) -> str:
    with world.sessions.begin() as session:
        session.add(Host(id=host_id, organization_id=organization_id, capacity=1_000))
    return host_id


def line(charger_id: object, message: str, **changes: object) -> dict[str, object]:
    return FRAME | {"charger": charger_id, "boot": BOOT, "n": 0, "message": message} | changes


def test_each_charger_of_a_host_gets_its_own_lines(world: World, group: LogGroup) -> None:
    one, other = world.create("CP-1"), world.create("CP-2")
    host_id = host(world, "host-1")
    group.write(host_id, line(one, "first"), ago_s=3)
    group.write(host_id, line(other, "second"), ago_s=2)
    group.write(host_id, line(one, "third", n=1), ago_s=1)

    read = group.read()

    assert read == 3
    assert group.messages(one) == ["first", "third"]
    assert group.messages(other) == ["second"]


def test_the_start_of_a_charger_on_a_host_stands_for_its_task(world: World, group: LogGroup) -> None:
    """So the states of two starts are kept apart."""
    charger_id = world.create()
    host_id = host(world, "host-1")
    event = line(charger_id, "", type="connection", state="accepted")
    group.write(host_id, event, ago_s=1)

    group.read()

    with world.sessions() as session:
        [link] = session.scalars(select(ChargerLink).where(ChargerLink.charger_id == charger_id))
    assert (link.task_id, link.state) == (BOOT, "accepted")


def test_a_host_writes_into_no_log_of_another_organization(world: World, group: LogGroup) -> None:
    victim, mine = world.create("CP-1"), world.create("CP-2")
    with world.sessions.begin() as session:
        session.execute(update(Charger).where(Charger.id == victim).values(organization_id="globex"))
    host_id = host(world, "host-1")
    group.write(host_id, line(victim, "forged"), ago_s=3)
    group.write(host_id, line(victim, "", type="connection", state="accepted"), ago_s=3)
    group.write(host_id, line(victim, "forged", type="log", level="error"), ago_s=3)
    group.write("host-nobody", line(mine, "of a host that there is not"), ago_s=2)
    group.write(host_id, line(mine, "own"), ago_s=1)

    group.read()

    assert group.messages(victim) == []
    assert group.messages(mine) == ["own"]
    with world.sessions() as session:
        assert session.scalars(select(ChargerLink.charger_id)).all() == [mine]


def test_a_charger_with_a_task_of_its_own_writes_into_no_other_log(world: World, group: LogGroup) -> None:
    one, other = world.create("CP-1"), world.create("CP-2")
    group.write(one, line(other, "its own, whatever it says"))

    group.read()

    assert group.messages(one) == ["its own, whatever it says"]
    assert group.messages(other) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"charger": None},
        {"charger": ["dep-1"]},
        {"charger": "host-1"},
        {"charger": "dep-\0"},
        {"charger": "dep-" + "0" * 100},
        {"boot": None},
        {"boot": 5},
        {"boot": "\ud800"},
        {"boot": "b" * 1_000},
        {"n": None},
        {"n": True},
        {"n": -1},
        {"n": 1.5},
        {"n": 2**31},
        {"n": "1"},
    ],
    ids=str,
)
def test_a_line_of_a_host_that_does_not_say_whose_it_is_stops_no_other(
    world: World, group: LogGroup, wrong: dict[str, object]
) -> None:
    charger_id = world.create()
    host_id = host(world, "host-1")
    group.write(host_id, line(charger_id, "wrong", **wrong), ago_s=2)
    group.write(host_id, line(charger_id, "right"), ago_s=1)

    group.read()

    assert group.messages(charger_id) == ["right"]
