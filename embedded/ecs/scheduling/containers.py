"""Runs tasks as local processes: starts and signals them, reads their output, and reports their exits."""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, Protocol, cast

import psutil

from embedded import launch

READ_BYTES = 65_536
POLL_S = 0.2  # without pidfd_open, an exit is noticed this late
SAME_PROCESS_S = 2.0  # how far two readings of one process's start time may differ
ORPHAN_GRACE_S = 5.0


class Output(Protocol):
    """Receives what a process prints."""

    def write(self, chunk: bytes) -> None: ...
    def close(self) -> None: ...


class Exit(NamedTuple):
    """The end of a task's process."""

    task_id: str
    code: int  #: as Docker reports it: 128 + the signal for a killed process


@dataclass
class _Container:
    task_id: str
    process: subprocess.Popen[bytes]
    printed: IO[bytes]  #: standard output and standard error
    output: Output
    record: Path
    exit_fd: int | None


class Containers:
    """Use it from one thread, except for `wake` and `pids`: on Linux the processes end with the thread that started them.

    The folder `records` has a file for each process, so that the next run can end what this run left behind.
    """

    def __init__(self, records: Path) -> None:
        self._records = records
        self._containers: dict[str, _Container] = {}
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        records.mkdir(parents=True, exist_ok=True)

    def pids(self) -> dict[str, int]:
        """The process id of each running task, by task id. From any thread."""
        return {task_id: container.process.pid for task_id, container in list(self._containers.items())}

    def wake(self) -> None:
        """Make `wait` return. Safe to repeat, from any thread."""
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes just as well
            os.write(self._wake_writer, b"\0")

    def start(
        self, task_id: str, command: Sequence[str], env: Mapping[str, str], folder: Path, output: Output
    ) -> None:
        """Start the command in the folder. Raises OSError."""
        process = subprocess.Popen(
            [*_tied_to_this_process(), *command],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,  # not a session: on Linux each would get as much CPU time as the API (autogroup)
        )
        record = self._records / task_id
        record.write_text(f"{process.pid} {_start_of(process.pid)}")
        printed = cast(IO[bytes], process.stdout)
        container = _Container(task_id, process, printed, output, record, _exit_fd(process.pid))
        self._containers[task_id] = container
        os.set_blocking(printed.fileno(), False)
        self._selector.register(printed, selectors.EVENT_READ, container)
        if container.exit_fd is not None:
            self._selector.register(container.exit_fd, selectors.EVENT_READ, container)

    def signal(self, task_id: str, number: signal.Signals) -> None:
        """Send a signal; SIGKILL to all that the task started, as when a container is killed. No effect after the exit."""
        container = self._containers.get(task_id)
        if container is None:
            return
        if number == signal.SIGKILL:
            _kill_group(container.process.pid)
        else:
            container.process.send_signal(number)

    def close(self) -> None:
        """Call it after all tasks have ended."""
        self._selector.close()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def wait(self, timeout_s: float | None) -> list[Exit]:
        """Read output until a task ends, `wake` is called or the time is up. Returns the exits."""
        ended: dict[str, _Container] = {}
        if sys.platform != "linux" and self._containers:
            timeout_s = POLL_S if timeout_s is None else min(timeout_s, POLL_S)
        for key, _ in self._selector.select(timeout_s):
            if key.fd == self._wake_reader:
                self._empty_wake_pipe()
            elif key.fd == key.data.exit_fd:
                ended[key.data.task_id] = key.data
            else:
                self._read(key.data)
        for container in self._containers.values():
            if container.exit_fd is None and container.process.poll() is not None:
                ended[container.task_id] = container
        return [self._reap(container) for container in ended.values()]

    def _empty_wake_pipe(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_reader, READ_BYTES):
                pass

    def _read(self, container: _Container) -> bool:
        """Read one chunk, so that a task that prints a lot does not delay others. False when nothing was left."""
        try:
            chunk = os.read(container.printed.fileno(), READ_BYTES)
        except BlockingIOError:
            return False
        if chunk:
            container.output.write(chunk)
        else:
            self._selector.unregister(container.printed)
            container.printed.close()
        return bool(chunk)

    def _reap(self, container: _Container) -> Exit:
        _kill_group(container.process.pid)  # before the wait: until then the number cannot be reused
        code = container.process.wait()
        while not container.printed.closed and self._read(container):
            pass
        if not container.printed.closed:
            self._selector.unregister(container.printed)
            container.printed.close()
        container.output.close()
        if container.exit_fd is not None:
            self._selector.unregister(container.exit_fd)
            os.close(container.exit_fd)
        container.record.unlink(missing_ok=True)
        del self._containers[container.task_id]
        return Exit(container.task_id, code if code >= 0 else 128 - code)


def _tied_to_this_process() -> list[str]:
    """A launcher with which Linux sends the task SIGTERM when this process ends."""
    if sys.platform != "linux":
        return []
    return [sys.executable, "-I", "-S", launch.__file__, str(int(signal.SIGTERM)), str(os.getpid()), ""]


def _exit_fd(pid: int) -> int | None:
    """Readable once the process has ended."""
    return os.pidfd_open(pid) if sys.platform == "linux" else None


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS returns EPERM for a zombie's group
        os.killpg(pid, signal.SIGKILL)


def _start_of(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


def end_orphans(records: Path) -> int:
    """End the processes that an earlier run left behind. Returns how many there were. Safe to repeat."""
    orphans = []
    for record in records.glob("*") if records.exists() else ():
        with contextlib.suppress(ValueError, psutil.NoSuchProcess):
            pid, started = record.read_text().split()
            process = psutil.Process(int(pid))
            if abs(process.create_time() - float(started)) < SAME_PROCESS_S:
                orphans.append(process)
        record.unlink()
    for process in orphans:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(orphans, timeout=ORPHAN_GRACE_S)
    for process in stubborn:
        _kill_group(process.pid)
    psutil.wait_procs(stubborn, timeout=2)
    return len(orphans)
