"""Tasks that stop at each of their ECS calls, so that a test decides what happens before they continue.

Real threads, but only one of them runs at a time: the same decisions give the same course of events.
"""

import contextlib
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

from sqlalchemy import QueuePool

from shared.database.engine import Sessions
from shared.error_codes import ErrorCode
from tests.support.fake_ecs import FakeEcs
from worker.ecs.client import EcsRejected, EcsUnavailable, TaskView

CALL_TIMEOUT_S = 30  # for a task to reach its next call; the database's own time-outs are shorter

CHANGES = (
    "ensure_task_definition",
    "delete_task_definitions",
    "ensure_service",
    "delete_service",
    "remaining_service",
    "stop_task",
)
READS = ("task_definitions", "describe_services", "describe_tasks", "current_task", "last_stopped_task")


class Fate(Enum):
    """What happens to the call at which a task waits: first before it is made, then before its answer."""

    GOES_ON = "it is made, or answered"
    CUT = "it is not made, or its answer is lost"
    KILLED = "the process is killed there"
    REFUSED = "ECS will never do it"
    LATE = "no answer, and ECS does it later"
    MISSING = "ECS answers that there is no such thing"


class Killed(BaseException):
    """Ends the thread as `kill -9` ends a process: nothing of ours catches it."""


class SteppedTask:
    """A worker's task, run call by call."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.ended = False
        self.called: str | None = None  #: the call that it waits at
        self._work = work
        self._fate = Fate.GOES_ON
        self._error: BaseException | None = None
        self._turn = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.resume()

    def resume(self, fate: Fate = Fate.GOES_ON) -> None:
        """Let it run up to its next call, or its end. Raises what it raised."""
        self._fate = fate
        self._turn.release()
        assert self._back.acquire(timeout=CALL_TIMEOUT_S), f"the task hangs after {self.called}"
        if self.ended:
            self._thread.join()
        if self._error is not None:
            raise self._error

    def wait(self, call: str) -> Fate:
        """In the task's own thread: stop here."""
        self.called = call
        self._back.release()
        self._turn.acquire()
        return self._fate

    def _run(self) -> None:
        _own.task = self
        self._turn.acquire()
        try:
            self._work()
        except Killed:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self.ended = True
            self._back.release()


class _Own(threading.local):
    task: SteppedTask | None = None
    in_call = False


_own = _Own()


class SteppedEcs(FakeEcs):
    """An ECS at whose calls the tasks stop. Calls from other threads pass."""

    def __init__(self, sessions: Sessions) -> None:
        super().__init__()
        self.away = False  #: no call gets through
        self.refused = 0
        self.ghosts: list[Callable[[], object]] = []
        #: By charger and generation of the restart: the tasks that were stopped for it.
        self.stopped_for: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        self._stopping: set[str] = set()
        self._pool: QueuePool = sessions.kw["bind"].pool
        for name in (*CHANGES, *READS):
            setattr(self, name, self._stepped(name, getattr(self, name)))

    def stop_task(self, task_arn: str, reason: str) -> None:
        """The task still runs until `settle`."""
        generation = re.search(r"restart, generation (\d+)", reason)
        assert generation is not None, f"a task is stopped for no restart: {reason}"
        for charger_id, service in self.services.items():
            if any(task.arn == task_arn for task in service.tasks):
                self.stopped_for[charger_id, int(generation[1])].add(task_arn)
        self._stopping.add(task_arn)

    def current_task(self, charger_id: str) -> str | None:
        """As ListTasks, which leaves out a task that is being stopped."""
        service = self.services.get(charger_id)
        live = service.live if service else []
        return next((task.arn for task in live if task.arn not in self._stopping), None)

    def describe_tasks(self, task_arns: Sequence[str]) -> dict[str, TaskView]:
        """A task that is being stopped has desired_status STOPPED while it still runs."""
        return {
            arn: replace(view, desired_status="STOPPED") if arn in self._stopping else view
            for arn, view in super().describe_tasks(task_arns).items()
        }

    def settle(self) -> None:
        for task in [task for service in self.services.values() for task in service.live]:
            if task.arn in self._stopping:
                task.status = "STOPPED"
        super().settle()

    def _stepped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*args: Any, **kwargs: Any) -> Any:
            task = _own.task
            if task is None or _own.in_call:
                return call(*args, **kwargs)
            self._before_call(task, name, self._ghost(name, args, kwargs))
            _own.in_call = True
            try:
                answer = call(*args, **kwargs)
            finally:
                _own.in_call = False
            return self._answered(task, name, answer)

        return stepped

    def _before_call(self, task: SteppedTask, name: str, ghost: Callable[[], object] | None) -> None:
        assert self._pool.checkedout() == 0, f"a transaction is open during {name}"
        fate = task.wait(f"before {name}")
        if fate is Fate.KILLED:
            raise Killed
        if fate is Fate.REFUSED and name in CHANGES:
            self.refused += 1
            raise EcsRejected(ErrorCode.PROVIDER_REJECTED, f"{name}: refused")
        if fate is Fate.LATE and ghost is not None:
            self.ghosts.append(ghost)
        if self.away or fate in {Fate.CUT, Fate.LATE}:
            raise EcsUnavailable(f"{name}: no answer")

    def _ghost(self, name: str, args: Any, kwargs: Any) -> Callable[[], object] | None:
        """The call that may still take effect after its caller gave up: an UpdateService or a StopTask."""
        if name == "stop_task":
            return lambda: SteppedEcs.stop_task(self, *args, **kwargs)
        if name != "ensure_service" or not self._is_active(args[0]):
            return None

        def update() -> None:
            if self._is_active(args[0]):
                with contextlib.suppress(EcsRejected):
                    FakeEcs.ensure_service(self, *args, **kwargs)

        return update

    def _is_active(self, charger_id: str) -> bool:
        service = self.services.get(charger_id)
        return service is not None and service.status == "ACTIVE"

    def _answered(self, task: SteppedTask, name: str, answer: Any) -> Any:
        fate = task.wait(f"after {name}")
        if fate is Fate.KILLED:
            raise Killed
        if fate in {Fate.CUT, Fate.LATE}:
            raise EcsUnavailable(f"{name}: the answer is lost")
        if fate is Fate.MISSING and name == "describe_services":
            return dict.fromkeys(answer)
        if fate is Fate.MISSING and name == "describe_tasks":
            return {}
        return answer
