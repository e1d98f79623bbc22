"""The task of the tests. It prints OVERLAP when another task of its service still runs."""

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
            print_line("OVERLAP")
    print_line(f"started {os.getpid()}")
    if "CHARGER_TASK_PRINTS" in os.environ:
        print_line(os.environ["CHARGER_TASK_PRINTS"])
    if "CHARGER_TASK_COMPLAINS" in os.environ:
        print(os.environ["CHARGER_TASK_COMPLAINS"], file=sys.stderr, flush=True)
    if "CHARGER_TASK_SHOWS_ENVIRONMENT" in os.environ:
        print_line(json.dumps(dict(os.environ)))
    if "CHARGER_TASK_HAS_CHILD" in os.environ:
        child = subprocess.Popen(["sleep", "120"])
        print_line(f"child {child.pid}")
    time.sleep(float(os.environ.get("CHARGER_TASK_LIVES_S", "300")))
    sys.exit(int(os.environ.get("CHARGER_TASK_EXITS_WITH", "0")))


def print_line(line: str, end: str = "\n") -> None:
    """Without a buffer, because a signal handler prints too, maybe in the middle of a line."""
    os.write(sys.stdout.fileno(), f"{line}{end}".encode())


def end(_: int, __: FrameType | None) -> NoReturn:
    print_line("stopping")
    time.sleep(float(os.environ.get("CHARGER_TASK_STOPS_IN_S", "0")))
    print_line("without line end", end="")
    sys.exit(0)


main()
