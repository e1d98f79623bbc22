"""Runs the embedded ECS as a child process, for tests and benchmarks."""

import contextlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from embedded.ecs.authentication import Credentials, basic
from embedded.ports import HOST, answers, free_port

READY_WITHIN_S = 30
STOPPED_WITHIN_S = 15
POLL_S = 0.02

Json = dict[str, Any]

#: The access key of an EcsProcess.
TESTS = Credentials("tests", "tests")


class EcsProcess:
    """An embedded ECS at `endpoint_url`. It can be stopped or killed, and started again with the same state."""

    def __init__(
        self,
        state_dir: Path,
        *,
        task_command: Sequence[str] = (),
        arguments: Sequence[str] = (),
        port: int | None = None,
    ) -> None:
        self.state_dir = state_dir
        self.port = port or free_port()
        self.endpoint_url = f"http://{HOST}:{self.port}"
        self.log = state_dir / "ecs.log"
        self._argv = [
            sys.executable,
            "-m",
            "embedded.ecs",
            "--port",
            str(self.port),
            "--state-dir",
            str(state_dir),
        ]
        self._argv += ["--until-stdin-closes", *arguments]
        if task_command:
            self._argv += ["--task-command", shlex.join(task_command)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which boto3 may call it."""
        return {
            "AWS_ACCESS_KEY_ID": TESTS.access_key_id,
            "AWS_SECRET_ACCESS_KEY": TESTS.secret_access_key,
        }

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self) -> None:
        """Start it and wait until it is ready. Raises RuntimeError with its log."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                env=os.environ | self.environment,
                cwd=Path(__file__).parents[2],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        is_ready = answers(f"{self.endpoint_url}/_chargehand/health")
        deadline = time.monotonic() + READY_WITHIN_S
        while not is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the embedded ECS did not start:\n{self.log.read_text(errors='replace')}")
            time.sleep(POLL_S)

    def stop(self) -> int:
        """Send SIGTERM and wait. Returns the exit code."""
        return self._end(lambda process: process.terminate())

    def kill(self) -> None:
        """Send SIGKILL and wait. Leaves behind what a crash leaves behind."""
        self._end(lambda process: process.kill())

    def close_input(self) -> int:
        """Close its standard input, as when this process dies, and wait. Returns the exit code."""
        return self._end(lambda process: None)

    def _end(self, send_signal: Callable[[subprocess.Popen[bytes]], None]) -> int:
        with self._running() as process:
            send_signal(process)
            process.communicate(timeout=STOPPED_WITHIN_S)  # closes its input
        self._process = None
        return process.returncode

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the embedded ECS is not running")
        return self._process

    @property
    def is_running(self) -> bool:
        return self._process is not None

    # Control routes

    def set_faults(self, *rules: Json) -> None:
        """Replace the rules; without one, calls and tasks work again. For their fields see `embedded.ecs.faults.rules.Rule`."""
        self.request("PUT", "/_chargehand/faults", list(rules))

    def faults(self) -> list[Json]:
        """The rules in force, with their counters."""
        rules: list[Json] = self.request("GET", "/_chargehand/faults")["rules"]
        return rules

    def calls(self, *actions: str, after: int = 0) -> list[Json]:
        """The recorded API calls with a `number` above `after`, oldest first; of these actions only, if any is given."""
        calls: list[Json] = self.request("GET", f"/_chargehand/calls?after={after}")
        return [call for call in calls if not actions or call["action"] in actions]

    def clear_calls(self) -> None:
        """Delete the recorded calls."""
        self.request("DELETE", "/_chargehand/calls")

    def tasks(self) -> list[Json]:
        """The unfinished tasks: `task` (its ARN), `service`, `status`, `pid`."""
        tasks: list[Json] = self.request("GET", "/_chargehand/tasks")
        return tasks

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Send a request to a control route. Returns the answer's JSON. Raises urllib.error.HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.endpoint_url}{path}"
        headers = {"Content-Type": "application/json", "Authorization": basic(TESTS)}
        prepared = Request(url, data, headers, method=method)  # noqa: S310 - our own http:// URL
        with urlopen(prepared, timeout=10) as answer:  # noqa: S310 - our own http:// URL
            return json.loads(answer.read() or b"null")

    def try_request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Like `request`, but returns the status and JSON of an error answer too."""
        try:
            return 200, self.request(method, path, body)
        except HTTPError as error:
            with error:
                return error.code, json.loads(error.read())


@contextlib.contextmanager
def running_ecs(
    state_dir: Path,
    *,
    task_command: Sequence[str] = (),
    arguments: Sequence[str] = (),
    port: int | None = None,
) -> Iterator[EcsProcess]:
    """An embedded ECS for the length of a with-block. Raises RuntimeError if it does not start."""
    ecs = EcsProcess(state_dir, task_command=task_command, arguments=arguments, port=port)
    ecs.start()
    try:
        yield ecs
    finally:
        if ecs.is_running:
            ecs.stop()
