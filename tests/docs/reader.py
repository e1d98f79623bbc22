"""Runs the blocks of a page as a reader does who pastes them into a terminal."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scripts.install import WHOLE
from tests.docs.pages import ROOT, Block
from tests.support.waiting import wait_until

#: What a fresh checkout does not have.
LEFT_OUT = (".git", ".venv", ".chargehand", ".*_cache", "__pycache__", ".coverage*", ".hypothesis")
#: What a virtual environment has, besides the marks of scripts/install.py.
INSTALLED = ("bin", "lib", "lib64", "pyvenv.cfg")
BLOCK_WITHIN_S = 120

# Both start a shell with the variables and in the folder that the previous block left. RUN saves the variables at its end, without
# arrays and those that only bash sets.
BEGIN = '. "$1" 2>/dev/null; cd "$PWD"\n'
RUN = BEGIN + r"""set -e; . "$2"; declare -p | grep -vE '^declare -[a-zA-Z]*[raA]' >"$1" """


class Failed(Exception):
    """A block did not do what its page says."""


def check_out(folder: Path) -> Path:
    """Copy the sources into the folder, with a `.venv` that links to the installed packages and counts as up to date.

    The `.venv` folder and its marks are copies, so `make` cannot change the environment of the tests.
    """
    checkout = folder / "chargehand"
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(*LEFT_OUT))
    venv = checkout / ".venv"
    venv.mkdir()
    for name in INSTALLED:
        if (Path(sys.prefix) / name).exists():
            (venv / name).symlink_to(Path(sys.prefix) / name)
    for name in (WHOLE, ".run", ".dev"):
        (venv / name).touch()  # after the copy, so newer than the lock
    return checkout


class Reader:
    """One terminal: a block has the variables of the blocks before it; its programs have only the exported ones."""

    def __init__(self, checkout: Path, scratch: Path, environment: dict[str, str]) -> None:
        self._checkout, self._scratch = checkout, scratch
        scratch.mkdir(parents=True, exist_ok=True)
        self._variables = write_variables(scratch / "variables", checkout, environment)

    def run(self, block: Block) -> str:
        """Run the block and return what it prints. Raises Failed unless it prints something and exits with 0, or by Ctrl-C."""
        if block.file:
            (self._checkout / block.file).write_text(block.code)
            return block.code
        printed = self._until_ctrl_c(block) if block.ended_after else self._to_its_end(block)
        if not printed.strip():
            raise Failed(f"{block} printed nothing:\n{block.code}")
        return printed

    def _to_its_end(self, block: Block) -> str:
        file = self._scratch / "block"
        file.write_text(block.code)
        done = subprocess.run(
            ["bash", "-c", RUN, "bash", self._variables, file],
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=BLOCK_WITHIN_S,
        )
        if done.returncode or "command not found" in done.stderr:
            raise Failed(f"{block} ended with {done.returncode}:\n{block.code}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def _until_ctrl_c(self, block: Block) -> str:
        """Return what the block prints. Its exit status is ignored: a Celery worker exits with 1 after Ctrl-C."""
        output = self._scratch / "output"
        with until_ctrl_c(block, self._variables, output) as child:
            wait_until(lambda: block.ended_after in output.read_text() or child.poll() is not None, 60)
        if block.ended_after not in output.read_text():
            raise Failed(f"{block} ended with {child.returncode}:\n{block.code}\n{output.read_text()}")
        return output.read_text()


def write_variables(file: Path, folder: Path, environment: dict[str, str]) -> Path:
    """Write the file that gives a shell the environment and the folder, and return it."""
    file.write_text(
        "".join(
            f"declare -x {name}={shlex.quote(value)}\n"
            for name, value in {**environment, "PWD": str(folder)}.items()
            if name.isidentifier()
        )
    )
    return file


@contextmanager
def until_ctrl_c(block: Block, variables: Path, output: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the block in a session of its own; at the end send Ctrl-C to every process that it started."""
    with output.open("wb") as sink:
        child = subprocess.Popen(
            ["bash", "-c", BEGIN + block.code, "bash", variables],
            env={},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGINT)
        child.wait(timeout=30)
