"""Keeps programs running: starts them, restarts those that die, and stops all in order."""

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NoReturn

import psutil

from embedded.process import NotReady, Program, because, end, has_started, last_lines, spawn
from embedded.secret_file import write_private

TICK_S = 0.05
FIRST_DELAY_S = 0.5  # before the first restart; doubles with each death
MAX_DELAY_S = 30.0
SETTLED_AFTER_S = 2.0  # a program without a readiness check counts as ready after this time
HEALTHY_AFTER_S = 30.0  # a death after such a run counts as the first
MAX_DEATHS_BEFORE_READY = 3
LEFTOVER_WITHIN_S = 5.0  # for programs that a killed supervisor left to stop; then they are killed
REPORT_AFTER_S = 5.0  # the time after which the answer of a program that is not ready is shown
MAX_LOG_BYTES = 10_000_000
TRIM_EVERY_S = 5.0


class StopRequested(Exception):
    """`request_stop` was called."""


@dataclass
class Child:
    """A program and its current process."""

    program: Program
    popen: subprocess.Popen[bytes]
    #: It has the creation time, so it is not confused with a later process of the same pid.
    process: psutil.Process
    started_at: float
    deaths: int = 0  #: in a row
    ready: bool = False
    restart_at: float | None = None  #: when to start it again; None while it runs


class Supervisor:
    """Not safe to use from several threads, except for request_stop(), which signal handlers may call too."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        """Ends what a killed supervisor of the folder left running. `say` gets lines for people."""
        self._say = say
        self._logs = folder / "logs"
        self._record = folder / "processes.json"
        self._children: list[Child] = []
        self._stop_requested = False
        self._trim_at = 0.0
        self._end_leftovers()

    def log(self, name: str) -> Path:
        """The file of the program's output."""
        return self._logs / f"{name}.log"

    def request_stop(self) -> None:
        """Make the method that runs now raise StopRequested. Safe to repeat."""
        self._stop_requested = True

    def start(self, program: Program) -> None:
        """Start the program without waiting until it is ready. Raises OSError."""
        popen = spawn(program, self.log(program.name))
        self._children.append(Child(program, popen, psutil.Process(popen.pid), time.monotonic()))
        self._write_record()

    def wait_until_ready(self, within_s: float, *, layer: int | None = None) -> None:
        """Wait for all programs, or for those of a layer. Raises NotReady or StopRequested."""
        children = [child for child in self._children if layer in {None, child.program.layer}]
        began = time.monotonic()
        reported: set[str] = set()
        while waiting := [child for child in children if not child.ready]:
            self._tick()
            took_s = time.monotonic() - began
            for child in waiting:
                if child.deaths >= MAX_DEATHS_BEFORE_READY:
                    raise self._not_ready(child.program, "does not start")
                child.ready = child.restart_at is None and is_ready(child)
            if took_s > REPORT_AFTER_S:
                self._report(waiting, reported)
            if took_s > within_s:
                program = waiting[0].program
                raise self._not_ready(program, f"was not ready after {within_s:g} s{because(program)}")

    def _report(self, waiting: list[Child], reported: set[str]) -> None:
        """Say once for each program why it is not ready."""
        for child in waiting:
            name = child.program.name
            if name not in reported and (reason := because(child.program)):
                reported.add(name)
                self._say(f"{name} is not ready yet{reason}")

    def run_once(self, program: Program) -> None:
        """Run a program until it ends. Raises NotReady if it fails, or StopRequested."""
        popen = spawn(program, self.log(program.name))
        try:
            while popen.poll() is None:
                self._tick()
        finally:
            popen.kill()
            popen.wait()
        if popen.returncode:
            raise self._not_ready(program, how_it_ended(popen.returncode))

    def watch(self, renew: Callable[[], None] = lambda: None, every_s: float = math.inf) -> NoReturn:
        """Restart programs that die, and call `renew` every `every_s` seconds, until it raises StopRequested."""
        renewed_at = time.time()  # not monotonic, because that clock stops while the machine sleeps
        while True:
            self._tick()
            if time.time() - renewed_at >= every_s:
                renewed_at = time.time()
                renew()

    def stop(self) -> None:
        """Stop all programs, the highest layer first. Safe to repeat."""

        def layer(child: Child) -> int:
            return child.program.layer

        for _, group in groupby(sorted(self._children, key=layer, reverse=True), key=layer):
            children = list(group)
            stop_signals = {child.process: child.program.stop_signal for child in children}
            end(stop_signals, max(child.program.stop_within_s for child in children))
            for child in children:
                child.popen.wait()
        self._children.clear()
        self._record.unlink(missing_ok=True)

    def _tick(self) -> None:
        if self._stop_requested:
            raise StopRequested
        time.sleep(TICK_S)
        now = time.monotonic()
        for child in self._children:
            if child.restart_at is not None:
                if now >= child.restart_at:
                    self._restart(child)
            elif child.popen.poll() is not None:
                self._schedule_restart(child, now)
        if now >= self._trim_at:
            self._trim_at = now + TRIM_EVERY_S
            for child in self._children:
                trim(self.log(child.program.name))

    def _schedule_restart(self, child: Child, now: float) -> None:
        with contextlib.suppress(ProcessLookupError):  # its children are in its process group
            os.killpg(child.process.pid, signal.SIGKILL)
        if now - child.started_at > HEALTHY_AFTER_S:
            child.deaths = 0
        delay_s = min(FIRST_DELAY_S * 2**child.deaths, MAX_DELAY_S)
        child.deaths += 1
        child.restart_at = now + delay_s
        name, how = child.program.name, how_it_ended(child.popen.returncode)
        self._say(f"{name} {how}; starting it again in {delay_s:g} s (log: {self.log(name)})")

    def _restart(self, child: Child) -> None:
        child.popen = spawn(child.program, self.log(child.program.name))
        child.process = psutil.Process(child.popen.pid)
        child.started_at = time.monotonic()
        child.restart_at = None
        self._write_record()

    def _not_ready(self, program: Program, what: str) -> NotReady:
        log = self.log(program.name)
        return NotReady(f"{program.name} {what}; the end of {log}:\n{last_lines(log)}")

    def _write_record(self) -> None:
        """Record the running processes, so that the next supervisor can end them if this one is killed."""
        rows = [
            {
                "name": child.program.name,
                "pid": child.process.pid,
                "created": child.process.create_time(),
                "stop_signal": int(child.program.stop_signal),
            }
            for child in self._children
            if child.restart_at is None
        ]
        write_private(self._record, json.dumps(rows, indent=1))

    def _end_leftovers(self) -> None:
        """End what a killed supervisor left running. A process must have the recorded pid and creation time."""
        if not self._record.exists():
            return
        left = {}
        for row in json.loads(self._record.read_text()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(row["pid"])
                if process.create_time() == row["created"]:
                    left[process] = signal.Signals(row["stop_signal"])
                    self._say(f"ending {row['name']} (pid {row['pid']}), left by a run that was killed")
        end(left, LEFTOVER_WITHIN_S)
        self._record.unlink()


def is_ready(child: Child) -> bool:
    """Whether its check says so; without a check, whether it has run for SETTLED_AFTER_S."""
    if child.program.is_ready is has_started:
        return time.monotonic() - child.started_at > SETTLED_AFTER_S
    return child.program.is_ready()


def how_it_ended(returncode: int) -> str:
    """`was killed by SIGKILL` or `ended with exit code 1`."""
    if returncode < 0:
        return f"was killed by {signal.Signals(-returncode).name}"
    return f"ended with exit code {returncode}"


def trim(log: Path) -> None:
    """Move the content of a large log file to NAME.log.1. Writers append, so they continue at the new end."""
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)
