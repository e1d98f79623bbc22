"""Runs slow programs: shows that they still run, and one line when they fail."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

REPORT_EVERY_S = 5


class Failed(Exception):
    """A program ended with an error. The message is one line."""

    def __init__(self, reason: str, output: str = "") -> None:
        super().__init__(reason)
        self.output = output  #: all that it printed


def say(line: str) -> None:
    """Print a line and flush, so that the log of a CI job shows it at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def step(
    doing: str, command: Sequence[str], env: Mapping[str, str] | None = None, folder: Path | None = None
) -> None:
    """Run the program in the folder, with a line every REPORT_EVERY_S. It ends with this process. Raises Failed."""
    say(f"{doing} ...")
    began = time.monotonic()
    with TemporaryFile("w+", errors="replace") as output:
        process = start(command, env, folder, output)
        try:
            while not ended(process):
                say(f"  ... {time.monotonic() - began:.0f} s")
        except BaseException:
            process.terminate()
            process.wait()
            raise
        if process.returncode != 0:
            output.seek(0)
            printed = output.read()
            raise Failed(reason_in(printed) or f"it ended with {process.returncode}", printed)


def start(
    command: Sequence[str], env: Mapping[str, str] | None, folder: Path | None, output: IO[str]
) -> "subprocess.Popen[bytes]":
    """Start the program. Raises Failed if it cannot run, for example in a folder that is mounted noexec."""
    try:
        return subprocess.Popen(
            command, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise Failed(f"{command[0]}: {error.strerror}") from error


def ended(process: "subprocess.Popen[bytes]") -> bool:
    """Wait REPORT_EVERY_S for its end. Returns whether it has ended."""
    try:
        process.wait(REPORT_EVERY_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def reason_in(printed: str) -> str:
    """The line that says what went wrong: the last with an error, else the last one."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "\N{MULTIPLICATION SIGN}"))]
    return (errors or lines or [""])[-1]
