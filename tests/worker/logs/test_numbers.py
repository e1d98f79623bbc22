"""Lines of a shared charger that were lost on the way are counted, once, and reported in its log."""

from collections.abc import Sequence
from random import Random

import pytest
from sqlalchemy import select, text, update

from shared.models import ChargerLogLine, LogNumber
from tests.support.world import World
from tests.worker.logs.log_group import LogGroup
from tests.worker.logs.test_host_lines import host, line
from worker.logs import numbers
from worker.logs.numbers import prune_numbers, report_gaps, write_numbers

BOOT = "c" * 32


def came(world: World, charger_id: str, *found: int, boot: str = BOOT) -> None:
    with world.sessions.begin() as session:
        write_numbers(
            session,
            [{"charger_id": charger_id, "task_id": boot, "number": number} for number in found],
        )


def remarks(world: World, charger_id: str) -> list[int]:
    """How many lines each remark calls lost, the oldest first."""
    with world.sessions() as session:
        statement = select(ChargerLogLine.message).where(ChargerLogLine.charger_id == charger_id)
        found = session.scalars(statement.order_by(ChargerLogLine.timestamp)).all()
    return [int(str(message).removeprefix("Lost lines of this log: ").split(".")[0]) for message in found]


def test_a_gap_becomes_a_remark_once(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    host_id = host(world, "host-1")
    for number in (0, 1, 5, 6):
        group.write(host_id, line(charger_id, "frame", n=number), ago_s=9 - number)
    group.read()
    before = remarks(world, charger_id)
    report_gaps(world.sessions, after_s=0)
    group.read()

    assert report_gaps(world.sessions, after_s=0) == 0
    assert (before, remarks(world, charger_id)) == ([], [3])


def test_a_late_line_fills_its_gap(world: World) -> None:
    charger_id = world.create()
    came(world, charger_id, 0, 2)
    young = report_gaps(world.sessions, after_s=60)
    came(world, charger_id, 1)

    assert (young, report_gaps(world.sessions, after_s=0)) == (0, 0)
    assert remarks(world, charger_id) == []


def test_further_lines_that_are_lost_are_reported_by_themselves(world: World) -> None:
    charger_id = world.create()
    came(world, charger_id, 0, 2)
    report_gaps(world.sessions, after_s=0)
    came(world, charger_id, 3, 4, 7)

    report_gaps(world.sessions, after_s=0)

    assert remarks(world, charger_id) == [1, 2]


def test_each_start_is_numbered_by_itself(world: World) -> None:
    charger_id = world.create()
    came(world, charger_id, 0, 1, 2)
    came(world, charger_id, 0, 1, boot="d" * 32)

    assert report_gaps(world.sessions, after_s=0) == 0


@pytest.mark.parametrize("seed", range(5))
def test_any_order_and_any_repeat_finds_the_same_lines_lost(
    world: World, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(numbers, "MAX_RANGES", 10_000)
    charger_id, random = world.create(), Random(seed)
    sent = [*random.sample(range(1, 199), 120), 0, 199]
    pages: Sequence[list[int]] = [random.sample(sent, 30) for _ in range(10)] + [sent[:60], sent[60:]]
    for page in random.sample(pages, len(pages)):
        came(world, charger_id, *page)

    report_gaps(world.sessions, after_s=0)

    assert remarks(world, charger_id) == [200 - len(sent)]


def test_numbers_without_order_take_bounded_room(world: World) -> None:
    charger_id = world.create()
    for start in range(0, 2_000, 40):
        came(world, charger_id, *range(start, start + 40, 2))

    with world.sessions() as session:
        parts = session.scalar(text("SELECT max((SELECT count(*) FROM unnest(seen))) FROM log_numbers"))
    report_gaps(world.sessions, after_s=0)

    assert parts <= numbers.MAX_RANGES
    assert remarks(world, charger_id) == [999]


def test_the_numbers_of_a_start_that_is_over_are_deleted(world: World) -> None:
    charger_id = world.create()
    came(world, charger_id, 0)
    came(world, charger_id, 0, boot="d" * 32)
    with world.sessions.begin() as session:
        session.execute(
            update(LogNumber)
            .where(LogNumber.boot_id == BOOT)
            .values(read_at=text("now() - interval '25 hours'"))
        )

    prune_numbers(world.sessions)

    with world.sessions() as session:
        assert session.scalars(select(LogNumber.boot_id)).all() == ["d" * 32]
