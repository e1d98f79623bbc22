"""Every frame of the log group is stored once, whatever happens during the read."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from embedded.ecs.process import EcsProcess
from shared.models import LogCursor
from tests.support.links import shown_link
from tests.support.world import World
from tests.worker.logs.log_group import PAGE, CrashingClient, LogGroup
from worker.logs.client import LOG_ERRORS, LogsClient, Page
from worker.logs.read import read_logs


def test_frames_of_many_pages_are_copied_in_order_and_once(world: World, group: LogGroup) -> None:
    one, other = world.create("CP-1"), world.create("CP-2")
    logged = [group.frame(one, ago_s=100 - number) for number in range(3 * PAGE)]
    group.frame(other)

    copied = group.read()
    again = group.read()

    assert (copied, again) == (3 * PAGE + 1, 0)
    assert group.messages(one) == logged
    assert len(group.messages(other)) == 1


def test_a_later_read_copies_what_is_new(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    logged = [group.frame(charger_id, ago_s=10)]
    group.read()
    logged.append(group.frame(charger_id))

    assert group.read() == 1
    assert group.messages(charger_id) == logged


def test_a_line_that_comes_late_is_copied_all_the_same(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    on_time = group.frame(charger_id)
    group.read()
    late = group.frame(charger_id, ago_s=59)

    group.read()

    assert group.messages(charger_id) == [late, on_time]


@pytest.mark.parametrize("pages", [0, 1, 3])
def test_a_crash_between_two_pages_loses_and_doubles_nothing(
    world: World, group: LogGroup, pages: int
) -> None:
    charger_id = world.create()
    logged = [group.frame(charger_id, ago_s=100 - number) for number in range(4 * PAGE)]

    with pytest.raises(KeyboardInterrupt):
        read_logs(world.sessions, CrashingClient(group.client, pages), group.timing)
    before = len(group.messages(charger_id))
    rest = group.read()

    assert (before, rest) == (pages * PAGE, (4 - pages) * PAGE)
    assert group.messages(charger_id) == logged


def test_a_crash_before_the_commit_of_a_page_loses_and_doubles_nothing(
    world: World, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    charger_id = world.create()
    logged = [group.frame(charger_id, ago_s=100 - number) for number in range(2 * PAGE)]

    with monkeypatch.context() as patch:
        patch.setattr("worker.logs.read.write_position", _crash)
        with pytest.raises(KeyboardInterrupt):
            group.read()
    before = group.messages(charger_id)
    group.read()

    assert before == []
    assert group.messages(charger_id) == logged


def test_a_flood_at_one_instant_is_read_in_parts(
    world: World, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More pages than one read takes, all within the overlap: each read must get further."""
    monkeypatch.setattr("worker.logs.read.PAGES_PER_READ", 2)
    charger_id = world.create()
    logged = [group.frame(charger_id) for _ in range(7 * PAGE)]

    copied = [group.read() for _ in range(5)]

    assert copied == [2 * PAGE, 2 * PAGE, 2 * PAGE, PAGE, 0]
    assert group.messages(charger_id) == logged


def test_a_line_that_comes_late_while_a_flood_is_read_is_copied(
    world: World, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.logs.read.PAGES_PER_READ", 1)
    charger_id = world.create()
    logged = [group.frame(charger_id, ago_s=30 - number) for number in range(3 * PAGE)]
    group.read()
    late = group.frame(charger_id, ago_s=50)  # before the part of the flood that was read

    while group.read():
        pass
    while group.read():
        pass

    assert group.messages(charger_id) == [late, *logged]


def test_two_reads_at_once_copy_everything_once(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    logged = [group.frame(charger_id, ago_s=100 - number) for number in range(4 * PAGE)]

    class Overtaken(LogsClient):
        """Another worker reads everything between two pages of this one."""

        def __init__(self) -> None:
            self.group, self.max_bytes_per_day = group.client.group, group.client.max_bytes_per_day
            self._logs = group.client._logs

        def pages(self, since_ms: int, next_token: str | None = None) -> Iterator[Page]:
            for number, page in enumerate(super().pages(since_ms, next_token)):
                if number == 1:
                    group.read()
                yield page

    read_logs(world.sessions, Overtaken(), group.timing)
    group.read()

    assert group.messages(charger_id) == logged


def test_a_page_token_that_cloudwatch_rejects_begins_another_pass(
    world: World, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    charger_id = world.create()
    logged = [group.frame(charger_id, ago_s=100 - number) for number in range(3 * PAGE)]
    with monkeypatch.context() as patch:
        patch.setattr("worker.logs.read.PAGES_PER_READ", 1)
        group.read()
    with world.sessions.begin() as session:
        cursor = session.get_one(LogCursor, group.client.group)
        assert cursor.unfinished is not None
        cursor.unfinished = cursor.unfinished | {"next_token": "rejected"}

    group.read()
    group.read()

    assert group.messages(charger_id) == logged


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


# How far the reader is behind.


def lag(world: World, group: LogGroup, charger_id: str) -> timedelta:
    """The lag as of the time when the test began to write events."""
    link = shown_link(world.sessions, charger_id)
    with world.sessions() as session:
        now = session.scalars(select(func.now())).one()
    assert link.log_lag_s is not None
    return timedelta(seconds=link.log_lag_s) - (now - group.now)


def test_a_reader_that_is_behind_says_how_far(
    world: World, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.logs.read.PAGES_PER_READ", 1)
    charger_id = world.create()
    for number in range(2 * PAGE):
        group.frame(charger_id, ago_s=1000 - number)
    never = shown_link(world.sessions, charger_id).log_lag_s

    group.read()
    behind = lag(world, group, charger_id)
    group.read()
    caught_up = lag(world, group, charger_id)

    assert never is None
    assert abs(behind - timedelta(seconds=1000 - PAGE + 1)) < timedelta(seconds=1)
    assert caught_up < timedelta(seconds=5)


def test_a_reader_whose_page_token_cloudwatch_rejects_has_not_caught_up(
    world: World, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.logs.read.PAGES_PER_READ", 1)
    charger_id = world.create()
    for number in range(2 * PAGE):
        group.frame(charger_id, ago_s=1000 - number)
    group.read()
    with world.sessions.begin() as session:
        cursor = session.get_one(LogCursor, group.client.group)
        assert cursor.unfinished is not None
        cursor.unfinished = cursor.unfinished | {"next_token": "rejected"}

    group.read()

    assert lag(world, group, charger_id) > timedelta(seconds=900)


# When CloudWatch does not answer.


@pytest.mark.parametrize(
    "trouble", ["the group is missing", "no answer", "an empty answer", "half an answer"]
)
def test_a_read_that_fails_loses_nothing(
    world: World, group: LogGroup, ecs_process: EcsProcess, trouble: str
) -> None:
    charger_id = world.create()
    logged = [group.frame(charger_id, ago_s=100 - number) for number in range(2 * PAGE)]
    kinds = {"no answer": "cut", "an empty answer": "empty", "half an answer": "truncated"}
    client = group.client
    if trouble == "the group is missing":
        client = CrashingClient(group.client, 9)
        client.group = "/not/there"
    else:
        ecs_process.set_faults({"kind": kinds[trouble], "action": "FilterLogEvents"})

    with pytest.raises(LOG_ERRORS):
        read_logs(world.sessions, client, group.timing)
    ecs_process.set_faults()
    group.read()

    assert group.messages(charger_id) == logged
