"""The worker's threads: as many tasks at once as it has slots, not counting those whose call hangs.

With Celery's own pool, calls to ECS that hang for a few chargers take one thread after the other until the
time-outs come, and everybody's commands wait for them.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import Any

from billiard.einfo import ExceptionInfo
from celery.concurrency import thread

SLOW_S = 2.0  # a task that has run for longer gives its slot back; ordinary calls take a tenth of it
GROWTH = 4  # times the slots of the start: connections to AWS are counted for so many
HANGING = 3  # tasks per slot that may do so; what more there is waits for the time-outs


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
        self, target: Callable[..., Any], *args: Any, error_callback: Callable[..., Any], **options: Any
    ) -> Any:
        """As Celery's, but a message that breaks what is around the task gives its place back, too."""

        def guarded(*task: Any) -> Any:
            try:
                return target(*task)
            except BaseException:
                error_callback(ExceptionInfo())
                raise

        return super().on_apply(guarded, *args, **options)


class Slots:
    """Threads for `slots` quick tasks at once and, besides, for HANGING times as many slow ones."""

    def __init__(self, slots: int, *, slow_s: float = SLOW_S) -> None:
        self._slots, self._slow_s = slots, slow_s
        self._changed = threading.Condition()  # guards what follows
        self._waiting: deque[Callable[[], None]] = deque()
        self._running: dict[int, float] = {}  #: when each thread began its task, by the thread's id
        self._idle = 0
        self._stopped = threading.Event()
        self._threads: set[threading.Thread] = set()  #: Celery counts them
        self._watch: threading.Thread | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it as soon as a slot is free, in the order of arrival. Raises RuntimeError after the shutdown."""
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
            self._waiting.append(task)
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
                "waiting": len(self._waiting),
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
        if not self._waiting or not self._slot_is_free():
            return
        if self._idle:
            self._changed.notify()
        elif len(self._threads) < self._most():
            self._threads.add(self._start(self._work))

    def _slot_is_free(self) -> bool:
        """The lock is held."""
        return len(self._running) < self._slots or self._quick() < self._slots

    def _quick(self) -> int:
        """The lock is held. How many tasks hold a slot."""
        slow = monotonic() - self._slow_s
        return sum(began_at > slow for began_at in self._running.values())

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
                while not (self._waiting and self._slot_is_free()):
                    if self._stopped.is_set() and not self._waiting:
                        self._changed.notify_all()  # who waits for a slot that nobody needs any more
                        return
                    if len(self._threads) > self._most():
                        self._threads.remove(threading.current_thread())
                        return
                    self._idle += 1
                    self._changed.wait()
                    self._idle -= 1
                task = self._waiting.popleft()
                self._running[me] = monotonic()
                self._find_a_thread()
            task()

    def _give_slots_back(self) -> None:
        """Nobody tells when a task becomes slow."""
        while not self._stopped.wait(self._slow_s / 4):
            with self._changed:
                self._find_a_thread()
