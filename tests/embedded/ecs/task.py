"""What the tests run as a task. It says on standard output when another task of its service still runs."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import NoReturn


def main() -> None:
    signal.signal(signal.SIGTERM, end)
    lock = open("../lock", "a")  # noqa: PTH123, SIM115 - held until the process is gone
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if "CHARGER_TASK_MAY_OVERLAP" not in os.environ:
            say("OVERLAP")
    say(f"started {os.getpid()}")
    if "CHARGER_TASK_SAYS" in os.environ:
        say(os.environ["CHARGER_TASK_SAYS"])
    if "CHARGER_TASK_COMPLAINS" in os.environ:
        print(os.environ["CHARGER_TASK_COMPLAINS"], file=sys.stderr, flush=True)
    if "CHARGER_TASK_SHOWS_ENVIRONMENT" in os.environ:
        say(json.dumps(dict(os.environ)))
    if "CHARGER_TASK_HAS_CHILD" in os.environ:
        child = subprocess.Popen(["sleep", "120"])
        say(f"child {child.pid}")
    time.sleep(float(os.environ.get("CHARGER_TASK_LIVES_S", "300")))
    sys.exit(int(os.environ.get("CHARGER_TASK_EXITS_WITH", "0")))


def say(line: str, end: str = "\n") -> None:
    """Past any buffer: a signal handler says something too, maybe in the middle of a line."""
    os.write(sys.stdout.fileno(), f"{line}{end}".encode())


def end(_: int, __: FrameType | None) -> NoReturn:
    say("asked to stop")
    time.sleep(float(os.environ.get("CHARGER_TASK_STOPS_IN_S", "0")))
    say("without line end", end="")
    sys.exit(0)


main()
