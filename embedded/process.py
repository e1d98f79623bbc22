"""One program as a child process: started in a group of its own, and ended with all that it started."""

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
    """All that there is to ask of a program that listens nowhere."""
    return True


@dataclass(frozen=True)
class Program:
    """What to run, when it is of use, and how it likes to be stopped."""

    name: str
    argv: tuple[str, ...]
    is_ready: Callable[[], bool] = has_started  #: asked again and again until it is true
    why_not: Callable[[], str] = str  #: asked when that takes long; empty where there is nothing to say
    env: Mapping[str, str] | None = field(default=None, repr=False)  #: None hands on our own
    cwd: Path | None = None  #: None is our own
    user: str = ""  #: account to run as; only root can ask for one; launch.py says how
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 5.0  #: killed after that
    layer: int = 0  #: higher layers are stopped first


class NotReady(Exception):
    """The program ended, or was not ready in time. The message ends with its last lines."""


def spawn(program: Program, log: Path) -> subprocess.Popen[bytes]:
    """Start the program, its output appended to `log`. It gets its stop signal if this process dies."""
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
    """The command line that runs `argv` as the user, if one is named, and not longer than we live."""
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER)]
    return [*launcher, str(int(death_signal)), str(os.getpid()), user, *argv]


def end(stop_signals: Mapping[psutil.Process, signal.Signals], within_s: float) -> None:
    """Ask all of them to stop, wait, then kill what still runs of them, and whatever they left behind."""
    families = [descendant for process in stop_signals for descendant in _family(process)]
    for process, stop_signal in stop_signals.items():
        _send(process, stop_signal)
    psutil.wait_procs(stop_signals, timeout=within_s)
    # psutil tells a reused pid from the process that it has seen before.
    left = [process for process in families if process.is_running()]
    for process in left:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(left, timeout=2)


def _family(process: psutil.Process) -> list[psutil.Process]:
    """The process and all its descendants, also those in groups of their own."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


@contextlib.contextmanager
def running(program: Program, log: Path, *, within_s: float = 30) -> Iterator[None]:
    """The program, ready, for the length of a with-block. Raises NotReady."""
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
    """What a program that is not ready answers, to go on a sentence with."""
    reason = program.why_not().strip().partition("\n")[0]
    return f": {reason}" if reason else ""


def last_lines(log: Path, count: int = 10) -> str:
    """The end of a log file, for a message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(f"    {line}" for line in lines[-count:])
