"""Runs `chargehand up` as a process, for tests."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil

from embedded.ports import HOST, free_port
from embedded.stack.joining import belongs_to_a_stack
from embedded.stack.state_folder import STACK_FILE
from tests.support.waiting import wait_until

UP = (sys.executable, "-m", "chargehand", "up")
READY_WITHIN_S = 60  # other tests may use the machine; on an idle laptop it takes a few seconds
STOPPED_WITHIN_S = 20  # 15 by the layers of embedded.stack.programs, and the time to start and end processes


@dataclass
class Up:
    """A running `chargehand up`, and its state folder."""

    folder: Path
    process: "subprocess.Popen[bytes]"
    port: int

    @property
    def output(self) -> str:
        """What it has printed for people."""
        return (self.folder / "up.out").read_text()

    @property
    def standard_output(self) -> str:
        return (self.folder / "up.json").read_text()

    def wait_until_ready(self) -> None:
        wait_until(lambda: "is ready" in self.output or self.process.poll() is not None, READY_WITHIN_S)
        assert "is ready" in self.output, self.output

    def family(self) -> list[psutil.Process]:
        """The processes that it has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def pid(self, name: str) -> int:
        rows = json.loads((self.folder / "processes.json").read_text())
        return int(next(row["pid"] for row in rows if row["name"] == name))

    def printed(self, pattern: str) -> str:
        """The first group of a pattern in the output."""
        found = re.search(pattern, self.output)
        assert found is not None, self.output
        return found[1]

    @property
    def stack(self) -> dict[str, Any]:
        """The content of stack.json."""
        description: dict[str, Any] = json.loads((self.folder / STACK_FILE).read_text())
        return description

    def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.stack['token']}"}
        with urlopen(Request(f"http://{HOST}:{self.port}{path}", headers=headers), timeout=10) as answer:
            return json.load(answer)

    def post(self, path: str, body: object) -> Any:
        headers = {"Authorization": f"Bearer {self.stack['token']}", "Content-Type": "application/json"}
        request = Request(f"http://{HOST}:{self.port}{path}", json.dumps(body).encode(), headers)
        with urlopen(request, timeout=40) as answer:  # noqa: S310
            return json.load(answer)

    def log(self, name: str) -> str:
        return (self.folder / "logs" / f"{name}.log").read_text()

    def end(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop it. Raises TimeoutExpired if it takes longer than it should."""
        self.process.send_signal(number)
        self.process.wait(timeout=STOPPED_WITHIN_S)


def start_up(folder: Path, called_in: Path | None = None, /, **environment: str) -> Up:
    """Start `chargehand up --json` on the state folder, and return at once."""
    port = int(environment.setdefault("PORT", str(free_port())))
    with (folder / "up.out").open("wb") as output, (folder / "up.json").open("wb") as json_output:
        process = subprocess.Popen(
            [*UP, "--json"],
            env=own_environment() | {"STATE_DIR": str(folder), **environment},
            cwd=called_in,
            stdout=json_output,
            stderr=output,
        )
    return Up(folder, process, port)


@contextmanager
def running_up(folder: Path, **environment: str) -> Iterator[Up]:
    """A stack for the length of a with-block."""
    up = start_up(folder, **environment)
    try:
        up.wait_until_ready()
        yield up
    finally:
        if up.process.poll() is None:
            up.end()


def refused(**environment: str) -> str:
    """Run `chargehand up`, which must fail. Returns what it printed."""
    done = subprocess.run(
        UP, env=own_environment() | environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    return done.stderr


def own_environment() -> dict[str, str]:
    """The variables of this process that do not name a stack."""
    return {name: value for name, value in os.environ.items() if not belongs_to_a_stack(name)}
