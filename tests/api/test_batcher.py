"""Wishes of requests that come at the same moment."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Semaphore
from time import sleep
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from api.live.batcher import GroupCommit
from shared.database.engine import Sessions, make_engine
from shared.fleet.commands import LifecycleRequest
from shared.fleet.errors import ChargerNotFound
from shared.fleet.receipts import CommandReceipt
from shared.models import Charger
from shared.vocabulary import EventType
from tests.api.conftest import Fleet
from tests.embedded.waiting import wait_until


class Gate:
    """Statements wait here while it is closed."""

    def __init__(self) -> None:
        self._open = Event()
        self._open.set()
        self._passes = Semaphore(0)
        self.reached = 0  #: statements so far

    def pass_through(self, *_: Any) -> None:
        self.reached += 1
        assert self._open.is_set() or self._passes.acquire(timeout=10)

    def let_one_pass(self) -> None:
        self._passes.release()

    @contextmanager
    def closed(self) -> Iterator[None]:
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()
            self._passes.release(100)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def group(engine: Engine, gate: Gate) -> Iterator[GroupCommit]:
    own = create_engine(engine.url, isolation_level="AUTOCOMMIT")
    event.listen(own, "before_cursor_execute", gate.pass_through)
    yield GroupCommit(own)
    own.dispose()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def wish(charger_id: str, event_type: EventType = EventType.STOP_CHARGER) -> LifecycleRequest:
    return LifecycleRequest(event_type, charger_id, "acme", "tester", "a-request")


def ask_at_once(
    group: GroupCommit, threads: ThreadPoolExecutor, gate: Gate, wishes: list[LifecycleRequest]
) -> list[Future[CommandReceipt]]:
    """All but the first are recorded together, as they come while that is under way."""
    with gate.closed():
        first = threads.submit(group.ask, wishes[0])
        wait_until(lambda: gate.reached == 1)
        others = [threads.submit(group.ask, one) for one in wishes[1:]]
        wait_until(lambda: group.waiting == len(others))
    return [first, *others]


def test_wishes_that_come_together_are_recorded_together(
    fleet: Fleet, group: GroupCommit, threads: ThreadPoolExecutor, gate: Gate
) -> None:
    chargers = [fleet.ready(identity=f"CP-{number}") for number in range(12)]
    wishes = [wish(charger_id) for charger_id in chargers]

    answers = [future.result(10) for future in ask_at_once(group, threads, gate, wishes)]

    assert gate.reached == 2
    assert [answer.charger_id for answer in answers] == chargers
    assert [answer.command_id for answer in answers] == [one.command_id for one in wishes]
    for charger_id, one in zip(chargers, wishes, strict=True):
        row = fleet.row(charger_id)
        assert (row.desired_count, row.generation, row.newest_command_id) == (0, 2, one.command_id)
        command = fleet.commands(charger_id)[-1]
        assert (command.id, command.generation, command.requested_by, command.request_id) == (
            one.command_id,
            2,
            "tester",
            "a-request",
        )


def test_who_is_on_record_does_not_wait_for_those_who_came_later(
    fleet: Fleet, group: GroupCommit, threads: ThreadPoolExecutor, gate: Gate
) -> None:
    wishes = [wish(fleet.ready(identity=f"CP-{number}")) for number in range(6)]

    with gate.closed():
        asked = [threads.submit(group.ask, wishes[0])]
        wait_until(lambda: gate.reached == 1)
        asked += [threads.submit(group.ask, one) for one in wishes[1:5]]
        wait_until(lambda: group.waiting == 4)
        gate.let_one_pass()
        wait_until(lambda: gate.reached == 2)
        late = threads.submit(group.ask, wishes[5])
        wait_until(lambda: group.waiting == 1)
        gate.let_one_pass()
        wait_until(lambda: gate.reached == 3)
        answered = [future.result(10).command_id for future in asked]

        assert not late.done()

    assert answered == [one.command_id for one in wishes[:5]]
    assert late.result(10).command_id == wishes[5].command_id


def test_wishes_for_one_charger_at_once_get_a_generation_each(
    fleet: Fleet, group: GroupCommit, threads: ThreadPoolExecutor, gate: Gate
) -> None:
    other, charger_id = fleet.ready(identity="CP-1"), fleet.ready(identity="CP-2")
    wishes = [wish(other), wish(charger_id), wish(charger_id, EventType.RESET_CHARGER)]

    answers = [future.result(10) for future in ask_at_once(group, threads, gate, wishes)]

    assert {answer.generation for answer in answers[1:]} == {2, 3}
    newest = max(answers[1:], key=lambda answer: answer.generation)
    row = fleet.row(charger_id)
    assert (row.newest_command_id, row.desired_count) == (newest.command_id, newest.desired_count)
    assert len(fleet.commands(charger_id)) == 3


def test_the_same_wish_twice_at_once_is_one_command(
    fleet: Fleet, group: GroupCommit, threads: ThreadPoolExecutor, gate: Gate
) -> None:
    other, charger_id = fleet.ready(identity="CP-1"), fleet.ready(identity="CP-2")

    wishes = [wish(other), wish(charger_id), wish(charger_id)]

    _, one, another = [future.result(10) for future in ask_at_once(group, threads, gate, wishes)]

    assert one.command_id == another.command_id
    assert {one.repeated, another.repeated} == {True, False}
    assert len(fleet.commands(charger_id)) == 2


def test_a_wish_that_cannot_be_does_not_spoil_the_others(
    fleet: Fleet, group: GroupCommit, threads: ThreadPoolExecutor, gate: Gate
) -> None:
    first, good = fleet.ready(identity="CP-1"), fleet.ready(identity="CP-2")
    foreign = fleet.ready("globex", identity="CP-3")

    before, fine, refused = ask_at_once(group, threads, gate, [wish(first), wish(good), wish(foreign)])

    assert before.result(10).charger_id == first
    assert fine.result(10).charger_id == good
    with pytest.raises(ChargerNotFound):
        refused.result(10)
    assert fleet.row(foreign).generation == 1


def test_a_charger_that_somebody_holds_does_not_hold_up_the_others(
    fleet: Fleet, group: GroupCommit, threads: ThreadPoolExecutor, sessions: Sessions
) -> None:
    held, free = fleet.ready(identity="CP-1"), fleet.ready(identity="CP-2")

    with sessions.begin() as session:
        session.execute(select(Charger.id).where(Charger.id == held).with_for_update())
        waiting = threads.submit(group.ask, wish(held))
        answered = threads.submit(group.ask, wish(free)).result(10)
        assert not waiting.done()

    assert answered.charger_id == free
    assert waiting.result(10).generation == 2


def test_an_outage_is_told_to_everybody_who_asked(threads: ThreadPoolExecutor) -> None:
    nowhere = make_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    group = GroupCommit(nowhere)

    asked = [threads.submit(group.ask, wish("dep-1")) for _ in range(8)]

    for future in asked:
        with pytest.raises(OperationalError):
            future.result(10)


def test_an_outage_is_waited_for_once_and_not_by_one_group_after_the_other(
    threads: ThreadPoolExecutor, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.live.batcher.MOST", 2)

    def time_out() -> None:
        gate.pass_through()
        raise psycopg.OperationalError("connection timeout expired")

    group = GroupCommit(create_engine("postgresql+psycopg://", creator=time_out))

    with gate.closed():
        asked = [threads.submit(group.ask, wish("dep-1"))]
        wait_until(lambda: gate.reached == 1)
        asked += [threads.submit(group.ask, wish("dep-1")) for _ in range(7)]
        wait_until(lambda: group.waiting == 8)
    for future in asked:
        with pytest.raises(OperationalError):
            future.result(10)

    assert gate.reached == 1


def test_a_wish_that_no_statement_can_hold_does_not_spoil_the_others(
    fleet: Fleet, group: GroupCommit, threads: ThreadPoolExecutor, gate: Gate
) -> None:
    first, good = fleet.ready(identity="CP-1"), fleet.ready(identity="CP-2")
    bad = LifecycleRequest(EventType.STOP_CHARGER, first, "acme", "half a pair: \ud800", "a-request")

    before, fine, refused = ask_at_once(group, threads, gate, [wish(first), wish(good), bad])

    assert before.result(10).charger_id == first
    assert fine.result(10).charger_id == good
    with pytest.raises(TypeError):
        refused.result(10)


def test_who_came_a_moment_ago_does_not_fail_with_those_who_waited_in_vain_for_a_connection(
    fleet: Fleet, engine: Engine, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, late = (wish(fleet.ready(identity=f"CP-{number}")) for number in range(2))
    monkeypatch.setattr("api.live.batcher.CONNECT_TIMEOUT_S", 0.5)
    busy = create_engine(
        engine.url, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=0, pool_timeout=0.5
    )
    group = GroupCommit(busy)

    with busy.connect():
        in_vain = threads.submit(group.ask, first)
        wait_until(lambda: group.waiting == 1)
        sleep(0.3)  # most of the time that the first one waits for a connection
        answered = threads.submit(group.ask, late)
        with pytest.raises(PoolTimeout):
            in_vain.result(10)

    assert answered.result(10).command_id == late.command_id
    busy.dispose()
