"""The worker's threads: as many tasks at once as it has slots, not counting those whose call hangs.

With Celery's own pool, calls to ECS that hang for a few chargers take one thread after the other until the
time-outs come, and everybody's commands wait for them.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from enum import IntEnum
from time import monotonic
from typing import Any

from billiard.einfo import ExceptionInfo
from celery.concurrency import thread
from celery.concurrency.base import apply_target

from shared.queues import TaskName

SLOW_S = 2.0  # a task that has run for longer gives its slot back; ordinary calls take a tenth of it
GROWTH = 4  # times the slots of the start: connections to AWS are counted for so many
HANGING = 3  # tasks per slot that may do so; what more there is waits for the time-outs
BACKGROUND_SHARE = 4  # of so many slots, tasks that nobody waits for may hold one
FAIR_EVERY = 8  # of so many tasks, one is what has waited the longest, in whichever lane


class Lane(IntEnum):
    """Which of the tasks that wait for a slot goes first, except for one in FAIR_EVERY."""

    FIRST = 0  #: start, stop, restart, and the maintenance that finishes them
    PROVISIONING = 1  #: create, update
    BACKGROUND = 2  #: what nobody waits for


LANE_OF = {
    TaskName.PROVISION: Lane.PROVISIONING,
    TaskName.UPDATE: Lane.PROVISIONING,
    TaskName.DELETE: Lane.BACKGROUND,
    TaskName.REPAIR: Lane.BACKGROUND,
    TaskName.ROLL_OUT: Lane.BACKGROUND,
}


class TaskPool(thread.TaskPool):
    """What `worker_pool` names: Celery's pool of threads, with these slots. `-c` is their number."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.executor: Any = Slots(self.limit)
        self.most = self.limit * GROWTH  #: to which it may grow

    @property
    def info(self) -> dict[str, Any]:
        """What `celery inspect stats` and Flower's page say of the pool."""
        return {
            "implementation": f"{type(self).__module__}:{type(self).__name__}",
            "max-concurrency": self.limit,
            **self.executor.info(),
        }

    def grow(self, n: int) -> None:
        """Run n more tasks at once, from now on."""
        self._resize(self.limit + n)

    def shrink(self, n: int) -> None:
        """Run n fewer tasks at once. Tasks under way go on; new ones wait until there are few enough."""
        self._resize(self.limit - n)

    def _resize(self, slots: int) -> None:
        self.limit = slots  # of which Celery computes how many messages the worker may hold
        self.executor.resize(slots)

    def on_apply(  # type: ignore[override]  # the stubs have a pool without error callbacks
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        error_callback: Callable[..., Any],
        callback: Callable[..., Any] | None = None,
        accept_callback: Callable[..., Any] | None = None,
        **_: Any,
    ) -> Any:
        """As Celery's, but tasks go by their lanes, and a message that breaks what is around the task gives its place back."""

        def guarded(*task: Any) -> Any:
            try:
                return target(*task)
            except BaseException:
                error_callback(ExceptionInfo())
                raise

        lane = LANE_OF.get(args[0], Lane.FIRST)  # the task's name
        waits = self.executor.submit_in(lane, apply_target, guarded, args, kwargs, callback, accept_callback)
        return thread.ApplyResult(waits)  # type: ignore[attr-defined]  # the stubs lack it


class Slots:
    """Threads for `slots` quick tasks at once and, besides, for HANGING times as many slow ones."""

    def __init__(self, slots: int, *, slow_s: float = SLOW_S) -> None:
        self._slots, self._slow_s = slots, slow_s
        self._changed = threading.Condition()  # guards what follows
        #: When each came, and what it is.
        self._waiting: tuple[deque[tuple[float, Callable[[], None]]], ...] = tuple(deque() for _ in Lane)
        self._begun = 0  #: tasks so far
        self._running: dict[int, float] = {}  #: when each thread began its task, by the thread's id
        self._background: set[int] = set()  #: the threads whose task is of that lane
        self._idle = 0
        self._stopped = threading.Event()
        self._threads: set[threading.Thread] = set()  #: Celery counts them
        self._watch: threading.Thread | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `submit_in`, in the first lane."""
        return self.submit_in(Lane.FIRST, fn, *args, **kwargs)

    def submit_in(self, lane: Lane, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it as soon as a slot is free, in the order of arrival in its lane. Raises RuntimeError after the shutdown."""
        future: Future[Any] = Future()

        def task() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fn(*args, **kwargs))
                except BaseException as error:  # the future's owner is told; the thread goes on
                    future.set_exception(error)

        with self._changed:
            if self._stopped.is_set():
                raise RuntimeError("the pool has been shut down")
            self._waiting[lane].append((monotonic(), task))
            self._find_a_thread()
            if self._watch is None:
                self._watch = self._start(self._give_slots_back)
        return future

    def resize(self, slots: int) -> None:
        """Have so many slots from now on."""
        with self._changed:
            self._slots = slots
            self._changed.notify_all()  # threads beyond the new number end
            self._find_a_thread()

    def info(self) -> dict[str, int]:
        """The numbers of tasks that run, of those among them that gave their slot back, and that wait."""
        with self._changed:
            return {
                "running": len(self._running),
                "slow": len(self._running) - self._quick(),
                "waiting": sum(map(len, self._waiting)),
                "threads": len(self._threads),
            }

    def shutdown(self) -> None:
        """Take no more, and return when what was taken is done."""
        with self._changed:
            self._stopped.set()
            self._changed.notify_all()
        while True:
            with self._changed:
                self._find_a_thread()  # also now, slots of calls that hang are given back
                left = [each for each in self._threads if each.is_alive()]
            if not left:
                return
            left[0].join(self._slow_s / 4)

    def _find_a_thread(self) -> None:
        """The lock is held. Wake or start one for what has waited the longest, if there is a slot for it."""
        if self._next_lane() is None:
            return
        if self._idle:
            self._changed.notify()
        elif len(self._threads) < self._most():
            self._threads.add(self._start(self._work))

    def _next_lane(self) -> Lane | None:
        """The lock is held. The lane of the next task; None while no slot is free for what waits."""
        if not self._slot_is_free():
            return None
        lanes = [lane for lane in Lane if self._waiting[lane] and self._may_run(lane)]
        if lanes and self._begun % FAIR_EVERY == FAIR_EVERY - 1:
            return min(lanes, key=lambda lane: self._waiting[lane][0][0])
        return next(iter(lanes), None)

    def _may_run(self, lane: Lane) -> bool:
        """The lock is held."""
        if lane is not Lane.BACKGROUND:
            return True
        return self._quick(self._background) < max(1, self._slots // BACKGROUND_SHARE)

    def _slot_is_free(self) -> bool:
        """The lock is held."""
        return len(self._running) < self._slots or self._quick() < self._slots

    def _quick(self, threads: set[int] | None = None) -> int:
        """The lock is held. How many tasks, of all threads or of these, hold a slot."""
        slow = monotonic() - self._slow_s
        running = self._running
        began = running.values() if threads is None else [running[each] for each in threads]
        return sum(began_at > slow for began_at in began)

    def _most(self) -> int:
        """The lock is held. How many threads there may be."""
        return self._slots * (1 + HANGING)

    def _start(self, loop: Callable[[], None]) -> threading.Thread:
        started = threading.Thread(target=loop, name="slot", daemon=True)
        started.start()
        return started

    def _work(self) -> None:
        me = threading.get_ident()
        while True:
            with self._changed:
                self._running.pop(me, None)
                self._background.discard(me)
                while (lane := self._next_lane()) is None:
                    if self._stopped.is_set() and not any(self._waiting):
                        self._changed.notify_all()  # who waits for a slot that nobody needs any more
                        return
                    if len(self._threads) > self._most():
                        self._threads.remove(threading.current_thread())
                        return
                    self._idle += 1
                    self._changed.wait()
                    self._idle -= 1
                _, task = self._waiting[lane].popleft()
                self._begun += 1
                self._running[me] = monotonic()
                if lane is Lane.BACKGROUND:
                    self._background.add(me)
                self._find_a_thread()
            task()

    def _give_slots_back(self) -> None:
        """Nobody tells when a task becomes slow."""
        while not self._stopped.wait(self._slow_s / 4):
            with self._changed:
                self._find_a_thread()
