"""Requests that arrive at the same moment."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Semaphore, current_thread
from time import sleep
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from api.live.batcher import Batcher
from shared.database.engine import Sessions, make_engine
from shared.fleet.commands import LifecycleRequest
from shared.fleet.errors import ChargerNotFound
from shared.fleet.receipts import CommandReceipt
from shared.models import Charger
from shared.vocabulary import EventType
from tests.support.fleet import Fleet
from tests.support.waiting import wait_until


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
def batcher(engine: Engine, gate: Gate, sessions: Sessions) -> Iterator[Batcher]:
    own = create_engine(engine.url, isolation_level="AUTOCOMMIT")
    event.listen(own, "before_cursor_execute", gate.pass_through)
    yield Batcher(own, sessions)
    own.dispose()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def request(charger_id: str, event_type: EventType = EventType.STOP_CHARGER) -> LifecycleRequest:
    return LifecycleRequest(event_type, charger_id, "acme", "tester", "a-request")


def send_together(
    batcher: Batcher, threads: ThreadPoolExecutor, gate: Gate, requests: list[LifecycleRequest]
) -> list[Future[CommandReceipt]]:
    """Send all but the first while its statement is in flight, so that they are recorded together."""
    with gate.closed():
        first = threads.submit(batcher.record, requests[0])
        wait_until(lambda: gate.reached == 1)
        others = [threads.submit(batcher.record, one) for one in requests[1:]]
        wait_until(lambda: batcher.waiting == len(others))
    return [first, *others]


def test_requests_that_arrive_together_are_recorded_together(
    fleet: Fleet, batcher: Batcher, threads: ThreadPoolExecutor, gate: Gate
) -> None:
    chargers = [fleet.ready(identity=f"CP-{number}") for number in range(12)]
    requests = [request(charger_id) for charger_id in chargers]

    answers = [future.result(10) for future in send_together(batcher, threads, gate, requests)]

    assert gate.reached == 2
    assert [answer.charger_id for answer in answers] == chargers
    assert [answer.command_id for answer in answers] == [one.command_id for one in requests]
    for charger_id, one in zip(chargers, requests, strict=True):
        row = fleet.row(charger_id)
        assert (row.desired_count, row.generation, row.newest_command_id) == (0, 2, one.command_id)
        command = fleet.commands(charger_id)[-1]
        assert (command.id, command.generation, command.requested_by, command.request_id) == (
            one.command_id,
            2,
            "tester",
            "a-request",
        )


def test_a_recorded_request_does_not_wait_for_later_ones(
    fleet: Fleet, batcher: Batcher, threads: ThreadPoolExecutor, gate: Gate
) -> None:
    requests = [request(fleet.ready(identity=f"CP-{number}")) for number in range(6)]

    with gate.closed():
        sent = [threads.submit(batcher.record, requests[0])]
        wait_until(lambda: gate.reached == 1)
        sent += [threads.submit(batcher.record, one) for one in requests[1:5]]
        wait_until(lambda: batcher.waiting == 4)
        gate.let_one_pass()
        wait_until(lambda: gate.reached == 2)
        late = threads.submit(batcher.record, requests[5])
        wait_until(lambda: batcher.waiting == 1)
        gate.let_one_pass()
        wait_until(lambda: gate.reached == 3)
        recorded = [future.result(10).command_id for future in sent]

        assert not late.done()

    assert recorded == [one.command_id for one in requests[:5]]
    assert late.result(10).command_id == requests[5].command_id


def test_different_requests_for_one_charger_get_a_generation_each(
    fleet: Fleet, batcher: Batcher, threads: ThreadPoolExecutor, gate: Gate
) -> None:
    other, charger_id = fleet.ready(identity="CP-1"), fleet.ready(identity="CP-2")
    requests = [request(other), request(charger_id), request(charger_id, EventType.RESET_CHARGER)]

    answers = [future.result(10) for future in send_together(batcher, threads, gate, requests)]

    assert {answer.generation for answer in answers[1:]} == {2, 3}
    newest = max(answers[1:], key=lambda answer: answer.generation)
    row = fleet.row(charger_id)
    assert (row.newest_command_id, row.desired_count) == (newest.command_id, newest.desired_count)
    assert len(fleet.commands(charger_id)) == 3


def test_the_same_request_twice_at_once_is_one_command(
    fleet: Fleet, batcher: Batcher, threads: ThreadPoolExecutor, gate: Gate
) -> None:
    other, charger_id = fleet.ready(identity="CP-1"), fleet.ready(identity="CP-2")

    requests = [request(other), request(charger_id), request(charger_id)]

    _, one, another = [future.result(10) for future in send_together(batcher, threads, gate, requests)]

    assert one.command_id == another.command_id
    assert {one.repeated, another.repeated} == {True, False}
    assert len(fleet.commands(charger_id)) == 2


def test_a_request_that_is_refused_does_not_spoil_the_others(
    fleet: Fleet, batcher: Batcher, threads: ThreadPoolExecutor, gate: Gate
) -> None:
    first, good = fleet.ready(identity="CP-1"), fleet.ready(identity="CP-2")
    foreign = fleet.ready("globex", identity="CP-3")

    before, fine, refused = send_together(
        batcher, threads, gate, [request(first), request(good), request(foreign)]
    )

    assert before.result(10).charger_id == first
    assert fine.result(10).charger_id == good
    with pytest.raises(ChargerNotFound):
        refused.result(10)
    assert fleet.row(foreign).generation == 1


def test_a_locked_charger_does_not_delay_the_others(
    fleet: Fleet, batcher: Batcher, threads: ThreadPoolExecutor, sessions: Sessions
) -> None:
    held, free = fleet.ready(identity="CP-1"), fleet.ready(identity="CP-2")

    with sessions.begin() as session:
        session.execute(select(Charger.id).where(Charger.id == held).with_for_update())
        waiting = threads.submit(batcher.record, request(held))
        answered = threads.submit(batcher.record, request(free)).result(10)
        assert not waiting.done()

    assert answered.charger_id == free
    assert waiting.result(10).generation == 2


def test_every_request_gets_the_error_of_an_unavailable_database(threads: ThreadPoolExecutor) -> None:
    nowhere = make_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    batcher = Batcher(nowhere, Sessions(nowhere))

    sent = [threads.submit(batcher.record, request("dep-1")) for _ in range(8)]

    for future in sent:
        with pytest.raises(OperationalError):
            future.result(10)


def test_a_database_that_hangs_is_waited_for_once_and_not_by_each_batch(
    threads: ThreadPoolExecutor, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.live.batcher.MAX_BATCH", 2)

    def time_out() -> None:
        gate.pass_through()
        raise psycopg.OperationalError("connection timeout expired")

    hanging = create_engine("postgresql+psycopg://", creator=time_out)
    batcher = Batcher(hanging, Sessions(hanging))

    with gate.closed():
        sent = [threads.submit(batcher.record, request("dep-1"))]
        wait_until(lambda: gate.reached == 1)
        sent += [threads.submit(batcher.record, request("dep-1")) for _ in range(7)]
        wait_until(lambda: batcher.waiting == 8)
    for future in sent:
        with pytest.raises(OperationalError):
            future.result(10)

    assert gate.reached == 1


def test_a_request_that_no_statement_can_hold_does_not_spoil_the_others(
    fleet: Fleet, batcher: Batcher, threads: ThreadPoolExecutor, gate: Gate
) -> None:
    first, good, other = (fleet.ready(identity=f"CP-{number}") for number in range(3))
    bad = LifecycleRequest(EventType.STOP_CHARGER, other, "acme", "half a pair: \ud800", "a-request")

    before, fine, refused = send_together(batcher, threads, gate, [request(first), request(good), bad])

    assert before.result(10).charger_id == first
    assert fine.result(10).charger_id == good
    with pytest.raises(UnicodeEncodeError):
        refused.result(10)


def test_a_new_request_does_not_fail_with_those_that_timed_out_waiting_for_a_connection(
    fleet: Fleet, engine: Engine, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, late = (request(fleet.ready(identity=f"CP-{number}")) for number in range(2))
    monkeypatch.setattr("api.live.batcher.CONNECT_TIMEOUT_S", 0.5)
    busy = create_engine(
        engine.url, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=0, pool_timeout=0.5
    )
    batcher = Batcher(busy, Sessions(engine))

    with busy.connect():
        timed_out = threads.submit(batcher.record, first)
        wait_until(lambda: batcher.waiting == 1)
        sleep(0.3)  # most of the time that the first request waits for a connection
        answered = threads.submit(batcher.record, late)
        with pytest.raises(PoolTimeout):
            timed_out.result(10)

    assert answered.result(10).command_id == late.command_id
    busy.dispose()


class ProcessEnds(BaseException):
    """What gevent raises in a greenlet that it ends is no `Exception` either."""


def test_the_next_request_is_recorded_when_the_one_that_sends_the_statement_is_ended(
    fleet: Fleet, batcher: Batcher, threads: ThreadPoolExecutor, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, other = (request(fleet.ready(identity=f"CP-{number}")) for number in range(2))
    monkeypatch.setattr("api.live.batcher.MAX_BATCH", 1)

    def end_the_first(*_: Any) -> None:
        if gate.reached == 1:
            raise ProcessEnds

    event.listen(batcher._engine, "before_cursor_execute", end_the_first)
    with gate.closed():
        first = threads.submit(batcher.record, ended)
        wait_until(lambda: gate.reached == 1)
        second = threads.submit(batcher.record, other)
        wait_until(lambda: batcher.waiting == 1)

    with pytest.raises(ProcessEnds):
        first.result(10)
    assert second.result(10).command_id == other.command_id


def test_a_lone_request_is_recorded_by_its_own_thread(fleet: Fleet, batcher: Batcher) -> None:
    used: list[str] = []
    event.listen(batcher._engine, "before_cursor_execute", lambda *_: used.append(current_thread().name))

    batcher.record(request(fleet.ready()))

    assert used == [current_thread().name]
