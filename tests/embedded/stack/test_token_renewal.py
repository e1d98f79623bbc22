"""The token of stack.json, which clients on this machine use, is renewed before it expires."""

import json
import threading
from pathlib import Path

import pytest

from embedded.stack.description import write_stack_file
from embedded.stack.state_folder import STACK_FILE
from embedded.supervisor import StopRequested, Supervisor
from embedded.up import keep_running
from tests.support.environment import environment
from tests.support.waiting import wait_until


def test_a_running_stack_renews_its_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment("postgresql://db/chargehand", "redis://broker/0").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("JWT_MAX_AGE_SECONDS", "1")
    write_stack_file(tmp_path, {"token": "old", "api": "http://api"})
    supervisor = Supervisor(tmp_path, print)

    def stop_when_renewed() -> None:
        try:
            wait_until(lambda: json.loads((tmp_path / STACK_FILE).read_text())["token"] != "old")
        finally:
            supervisor.request_stop()

    waiting = threading.Thread(target=stop_when_renewed)
    waiting.start()
    with pytest.raises(StopRequested):
        keep_running(supervisor, tmp_path, {"token": "old", "api": "http://api"}, print)
    waiting.join()

    renewed = json.loads((tmp_path / STACK_FILE).read_text())
    assert renewed["token"].count(".") == 2
    assert renewed["api"] == "http://api"
    assert (tmp_path / STACK_FILE).stat().st_mode & 0o777 == 0o600
