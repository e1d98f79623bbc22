"""Starts programs as child processes in groups of their own, and ends them with their descendants."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LAUNCHER = Path(__file__).with_name("launch.py")
POLL_S = 0.02
TAIL_BYTES = 8_192


def has_started() -> bool:
    """The readiness check of a program that listens on no port."""
    return True


@dataclass(frozen=True)
class Program:
    """What to run, when it is ready, and how to stop it."""

    name: str
    argv: tuple[str, ...]
    is_ready: Callable[[], bool] = has_started  #: called until it returns true
    why_not: Callable[[], str] = str  #: why it is not ready; empty if unknown
    env: Mapping[str, str] | None = field(default=None, repr=False)  #: None inherits ours
    cwd: Path | None = None  #: None is ours
    user: str = ""  #: account to run as, in the syntax of launch.py; for root only
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 5.0  #: seconds until it is killed
    layer: int = 0  #: higher layers are stopped first


class NotReady(Exception):
    """The program ended, or was not ready in time. The message has the last lines of its log."""


def spawn(program: Program, log: Path) -> subprocess.Popen[bytes]:
    """Start the program and append its output to `log`. It gets its stop signal if this process ends. Raises OSError."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            launch(program.argv, program.user, program.stop_signal),
            env=program.env,
            cwd=program.cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def launch(argv: Sequence[str], user: str = "", death_signal: signal.Signals = signal.SIGKILL) -> list[str]:
    """The command line that runs `argv`, as the user if given, until this process ends."""
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER)]
    return [*launcher, str(int(death_signal)), str(os.getpid()), user, *argv]


def end(stop_signals: Mapping[psutil.Process, signal.Signals], within_s: float) -> None:
    """Send the stop signals, wait, then kill what still runs of the processes and their descendants. Safe to repeat."""
    families = [descendant for process in stop_signals for descendant in _with_descendants(process)]
    for process, stop_signal in stop_signals.items():
        _send(process, stop_signal)
    psutil.wait_procs(stop_signals, timeout=within_s)
    # psutil distinguishes a process from a later one with the same pid.
    left = [process for process in families if process.is_running()]
    for process in left:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(left, timeout=2)


def _with_descendants(process: psutil.Process) -> list[psutil.Process]:
    """The process and its descendants, including those in other process groups."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


@contextlib.contextmanager
def running(program: Program, log: Path, *, within_s: float = 30) -> Iterator[None]:
    """Run the program for the length of a with-block. Raises NotReady."""
    child = spawn(program, log)
    try:
        _wait_until_ready(program, child, log, within_s)
        yield
    finally:
        end({psutil.Process(child.pid): program.stop_signal}, program.stop_within_s)
        child.wait()


def _wait_until_ready(program: Program, child: subprocess.Popen[bytes], log: Path, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not program.is_ready():
        if child.poll() is not None:
            raise NotReady(f"{program.name} ended with {child.returncode}\n{last_lines(log)}")
        if time.monotonic() > deadline:
            raise NotReady(
                f"{program.name} was not ready after {within_s:g} s{because(program)}\n{last_lines(log)}"
            )
        time.sleep(POLL_S)


def because(program: Program) -> str:
    """`: REASON`, the first line of why the program is not ready; empty if unknown."""
    reason = program.why_not().strip().partition("\n")[0]
    return f": {reason}" if reason else ""


def last_lines(log: Path, count: int = 10) -> str:
    """The end of a log file, indented for a message; empty if there is no file."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(f"    {line}" for line in lines[-count:])
