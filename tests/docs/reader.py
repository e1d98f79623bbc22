"""Somebody who reads a page and pastes its blocks into a terminal."""

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
from tests.embedded.waiting import wait_until

#: What a fresh checkout does not have.
LEFT_OUT = (".git", ".venv", ".chargehand", ".*_cache", "__pycache__", ".coverage*", ".hypothesis")
#: What a virtual environment has, besides our marks.
INSTALLED = ("bin", "lib", "lib64", "pyvenv.cfg")
BLOCK_WITHIN_S = 120

# Both run in a shell that begins with the variables, exported or not, and in the folder that the block before left. Arrays
# and what bash alone sets are left out.
BEGIN = '. "$1" 2>/dev/null; cd "$PWD"\n'
RUN = BEGIN + r"""set -e; . "$2"; declare -p | grep -vE '^declare -[a-zA-Z]*[raA]' >"$1" """


class Failed(Exception):
    """A block did not do what its page says."""


def check_out(folder: Path) -> Path:
    """A copy of the sources in the folder, whose `.venv` leads to the installed packages and counts as up to date.

    Its folder and its marks are its own: what `make` might do to it never reaches the environment of the tests.
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
    """One terminal, whose variables live from one block to the next. A block's programs get the exported ones only."""

    def __init__(self, checkout: Path, scratch: Path, environment: dict[str, str]) -> None:
        self._checkout, self._scratch = checkout, scratch
        scratch.mkdir(parents=True, exist_ok=True)
        self._variables = write_variables(scratch / "variables", checkout, environment)

    def run(self, block: Block) -> str:
        """What the block prints. Raises Failed unless it prints something and ends with 0, or with Ctrl-C."""
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
        """What it prints. How it ends says nothing: a Celery worker ends with 1 after Ctrl-C."""
        output = self._scratch / "output"
        with until_ctrl_c(block, self._variables, output) as child:
            wait_until(lambda: block.ended_after in output.read_text() or child.poll() is not None, 60)
        if block.ended_after not in output.read_text():
            raise Failed(f"{block} ended with {child.returncode}:\n{block.code}\n{output.read_text()}")
        return output.read_text()


def write_variables(file: Path, folder: Path, environment: dict[str, str]) -> Path:
    """The file, from which a shell begins in the folder with the environment."""
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
    """The block in the foreground of a terminal of its own, ended by Ctrl-C, which reaches all that it started."""
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
