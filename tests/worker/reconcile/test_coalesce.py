"""One charger takes one thread of a process, and its row is read once more after every hint about it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.waiting import wait_until
from worker.reconcile.coalesce import MAX_THREADS_PER_CHARGER, CoalescingQueue

OVERTAKEN_AFTER_S = 0.3


class Converge:
    """Stands in for the real one, which must be stopped in the middle of its call: it reads, then it calls."""

    def __init__(self) -> None:
        self.desired = 0
        self.applied: list[int] = []
        self.calls = 0
        self.threads = 0
        self.max_threads = 0
        self.may_return = threading.Event()
        self._lock = threading.Lock()

    def __call__(self) -> None:
        desired = self.desired
        with self._lock:
            self.calls += 1
            self.threads += 1
            self.max_threads = max(self.max_threads, self.threads)
        self.may_return.wait(30)
        with self._lock:
            self.threads -= 1
            self.applied.append(desired)


def test_a_hint_during_the_call_costs_no_thread_and_brings_another_round() -> None:
    queue, converge = CoalescingQueue(), Converge()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(queue.process, "dep-1", converge)
        wait_until(lambda: converge.threads == 1)
        converge.desired = 1

        for _ in range(5):
            queue.process("dep-1", converge)  # returns at once
        converge.may_return.set()
        first.result(10)

    assert converge.applied == [0, 1]


def test_other_chargers_do_not_wait() -> None:
    queue, converge, other = CoalescingQueue(), Converge(), Converge()
    other.may_return.set()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(queue.process, "dep-1", converge)
        wait_until(lambda: converge.threads == 1)

        queue.process("dep-2", other)

        assert other.applied == [0]
        converge.may_return.set()
        first.result(10)


def test_a_call_that_hangs_is_overtaken_but_not_by_everybody() -> None:
    queue, converge = CoalescingQueue(overtaken_after_s=OVERTAKEN_AFTER_S), Converge()
    with ThreadPoolExecutor(8) as pool:
        hints = [pool.submit(queue.process, "dep-1", converge)]
        wait_until(lambda: converge.threads == 1)
        for _ in range(MAX_THREADS_PER_CHARGER + 2):
            threading.Event().wait(OVERTAKEN_AFTER_S + 0.1)
            converge.desired += 1
            hints.append(pool.submit(queue.process, "dep-1", converge))

        wait_until(lambda: sum(hint.done() for hint in hints) == len(hints) - MAX_THREADS_PER_CHARGER)
        assert converge.max_threads == MAX_THREADS_PER_CHARGER
        converge.may_return.set()
        for hint in hints:
            hint.result(10)

    assert converge.desired in converge.applied


def test_an_error_ends_the_processing_and_the_next_hint_begins_another() -> None:
    queue, converge = CoalescingQueue(), Converge()
    converge.may_return.set()

    def fail() -> None:
        raise OSError

    with pytest.raises(OSError):
        queue.process("dep-1", fail)
    queue.process("dep-1", converge)

    assert converge.applied == [0]


def test_no_hint_is_lost_whenever_it_comes() -> None:
    """Many threads request more and send hints; the last run reads the newest request."""
    queue = CoalescingQueue()
    requested, read = [0], [0]
    lock = threading.Lock()

    def read_request() -> None:
        with lock:
            newest = requested[0]
        read[0] = max(read[0], newest)

    def request_and_hint() -> None:
        for _ in range(500):
            with lock:
                requested[0] += 1
            queue.process("dep-1", read_request)

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(request_and_hint) for _ in range(4)]:
            each.result(60)

    assert read[0] == requested[0] == 2_000
