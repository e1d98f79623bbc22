"""A call that hangs costs others no slot for long."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

from shared.queues import TaskName
from tests.embedded.waiting import wait_until
from worker.broker.pool import BACKGROUND_SHARE, HANGING, Lane, Slots, TaskPool

SLOTS = 4
SLOW_S = 0.4


class Hanging:
    """Tasks that go on until they are told to end."""

    def __init__(self) -> None:
        self.begun = 0
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()
        self._end = threading.Event()

    def __call__(self, *_: object) -> None:
        with self._lock:
            self.begun += 1
            self._now += 1
            self.most = max(self.most, self._now)
        self._end.wait(30)
        with self._lock:
            self._now -= 1

    def end(self) -> None:
        self._end.set()


@contextmanager
def running(slots: Slots, *hanging: Hanging) -> Iterator[Slots]:
    try:
        yield slots
    finally:
        for each in hanging:
            each.end()
        slots.shutdown()


@contextmanager
def running_pool(slots: int) -> Iterator[TaskPool]:
    pool = TaskPool(slots)
    try:
        yield pool
    finally:
        pool.on_stop()


def test_tasks_run_in_the_order_in_which_they_came() -> None:
    seen: list[int] = []
    with running(Slots(1, slow_s=SLOW_S)) as slots:
        futures = [slots.submit(seen.append, number) for number in range(200)]
        for future in futures:
            future.result(10)

    assert seen == list(range(200))


def test_a_start_goes_before_creates_and_those_before_removals_that_wait_for_a_slot() -> None:
    seen: list[str] = []
    first = Hanging()
    with running_pool(1) as pool:
        pool.on_apply(first, ("other",), {}, error_callback=print)
        wait_until(lambda: first.begun == 1)
        for name in (TaskName.DELETE, TaskName.REPAIR, TaskName.PROVISION, TaskName.START, TaskName.OBSERVE):
            pool.on_apply(seen.append, (name.value,), {}, error_callback=print)
        first.end()
        wait_until(lambda: len(seen) == 5)

    assert seen == [
        "charger.start",
        "maintenance.observe",
        "charger.provision",
        "charger.delete",
        "charger.repair",
    ]


@pytest.mark.parametrize("lane", [Lane.PROVISIONING, Lane.BACKGROUND])
def test_a_task_of_a_lower_lane_is_run_while_more_starts_wait_than_there_are_slots_for(lane: Lane) -> None:
    """Each start is followed by another one, for ever."""
    started = 0
    before: list[int] = []  # starts, when the task of the lower lane was run
    with running(Slots(1, slow_s=SLOW_S)) as slots:

        def start() -> None:
            nonlocal started
            started += 1
            if not before and started < 1000:
                slots.submit(start)

        for _ in range(3):
            slots.submit(start)
        slots.submit_in(lane, lambda: before.append(started))
        wait_until(lambda: bool(before))

    assert before[0] < 1000


def test_removals_hold_a_quarter_of_the_slots_at_most() -> None:
    removal, start = Hanging(), Hanging()
    with running(Slots(2 * BACKGROUND_SHARE, slow_s=30), removal, start) as slots:
        for _ in range(2 * BACKGROUND_SHARE):
            slots.submit_in(Lane.BACKGROUND, removal)
        wait_until(lambda: removal.begun == 2)
        for _ in range(2 * BACKGROUND_SHARE):
            slots.submit(start)

        wait_until(lambda: start.begun == 2 * BACKGROUND_SHARE - 2)

        assert removal.begun == 2


def test_removals_that_hang_hold_up_no_others() -> None:
    removal = Hanging()
    with running(Slots(BACKGROUND_SHARE, slow_s=SLOW_S), removal) as slots:
        slots.submit_in(Lane.BACKGROUND, removal)
        wait_until(lambda: removal.begun == 1)

        assert slots.submit_in(Lane.BACKGROUND, lambda: "done").result(10) == "done"


def test_no_more_quick_tasks_run_at_once_than_there_are_slots() -> None:
    task = Hanging()
    with running(Slots(SLOTS, slow_s=SLOW_S), task) as slots:
        for _ in range(3 * SLOTS):
            slots.submit(task)
        wait_until(lambda: task.begun == SLOTS)

        threading.Event().wait(SLOW_S / 2)  # time enough for more of them

        assert task.begun == SLOTS


def test_a_task_that_hangs_gives_its_slot_back() -> None:
    task = Hanging()
    with running(Slots(SLOTS, slow_s=SLOW_S), task) as slots:
        for _ in range(SLOTS):
            slots.submit(task)
        wait_until(lambda: task.begun == SLOTS)
        began = monotonic()

        other = slots.submit(monotonic)

        assert other.result(10) - began < SLOW_S + 5
        assert task.begun == SLOTS


def test_so_many_tasks_may_hang_and_no_more() -> None:
    task = Hanging()
    with running(Slots(1, slow_s=SLOW_S), task) as slots:
        for _ in range(2 + 2 * HANGING):
            slots.submit(task)

        wait_until(lambda: task.begun == 1 + HANGING, within_s=20)
        threading.Event().wait(2 * SLOW_S)

        assert task.most == 1 + HANGING


def test_a_task_that_fails_costs_no_slot() -> None:
    def fail() -> None:
        raise SystemExit

    with running(Slots(1, slow_s=SLOW_S)) as slots:
        failed = slots.submit(fail)
        after = slots.submit(lambda: "done")

        assert after.result(10) == "done"
        with pytest.raises(SystemExit):
            failed.result(10)


def test_the_shutdown_waits_for_what_was_taken() -> None:
    done: list[int] = []

    def slowly(number: int) -> None:
        threading.Event().wait(0.02)
        done.append(number)

    slots = Slots(SLOTS, slow_s=SLOW_S)
    for number in range(5 * SLOTS):
        slots.submit(slowly, number)

    slots.shutdown()

    assert sorted(done) == list(range(5 * SLOTS))
    with pytest.raises(RuntimeError):
        slots.submit(slowly, 0)


def test_the_shutdown_does_not_wait_for_calls_that_hang_one_after_the_other() -> None:
    task = Hanging()
    slots = Slots(1, slow_s=SLOW_S)
    for _ in range(1 + HANGING):
        slots.submit(task)
    ending = threading.Thread(target=slots.shutdown)
    ending.start()

    wait_until(lambda: task.begun == 1 + HANGING)
    task.end()
    ending.join(10)

    assert not ending.is_alive()


def test_many_submitters_lose_nothing() -> None:
    done: list[int] = []

    def submit_some(slots: Slots) -> Callable[[], None]:
        def some() -> None:
            for number in range(500):
                slots.submit(done.append, number)

        return some

    slots = Slots(SLOTS, slow_s=SLOW_S)
    threads = [threading.Thread(target=submit_some(slots)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    slots.shutdown()

    assert sorted(done) == sorted(list(range(500)) * 4)


def test_a_pool_that_grows_takes_more_at_once() -> None:
    task = Hanging()
    with running(Slots(1, slow_s=30), task) as slots:
        for _ in range(4):
            slots.submit(task)
        wait_until(lambda: task.begun == 1)

        slots.resize(3)

        wait_until(lambda: task.begun == 3)
        found = slots.info()
        assert (found["running"], found["slow"], found["waiting"]) == (3, 0, 1)
        assert found["threads"] >= 3  # one more may have been started for a slot that another took first


def test_a_pool_that_shrinks_lets_calls_end_and_begins_no_other_before_there_are_few_enough() -> None:
    first, others = Hanging(), Hanging()
    with running(Slots(3, slow_s=30), first, others) as slots:
        for _ in range(3):
            slots.submit(first)
        wait_until(lambda: first.begun == 3)

        slots.resize(1)
        for _ in range(3):
            slots.submit(others)
        first.end()

        wait_until(lambda: others.begun == 1)
        threading.Event().wait(0.1)  # time enough for more of them
        assert others.begun == 1


def test_threads_beyond_a_smaller_number_end() -> None:
    task = Hanging()
    with running(Slots(8, slow_s=30), task) as slots:
        for _ in range(8):
            slots.submit(task)
        wait_until(lambda: task.begun == 8)

        slots.resize(1)
        task.end()

        wait_until(lambda: slots.info()["threads"] == 1 + HANGING)
        assert slots.submit(lambda: "done").result(10) == "done"
