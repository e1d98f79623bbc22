"""ECS does not forget: what was answered stands after the embedded one was stopped, killed or damaged."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from embedded.ecs.process import EcsProcess
from embedded.ecs.scheduling.containers import end_orphans
from tests.embedded.ecs.support import CLUSTER, QUICK, TASK_COMMAND, Fleet, until


@pytest.fixture
def own_fleet(own_process: EcsProcess) -> Iterator[Fleet]:
    fleet = Fleet(own_process)
    yield fleet
    fleet.delete_all()


def test_services_definitions_and_tags_survive_a_restart(own_fleet: Fleet) -> None:
    process = own_fleet.process
    kept = own_fleet.create(own_fleet.define(), tags=[{"key": "organization", "value": "org-1"}])
    off = own_fleet.create(own_fleet.define("family"), desiredCount=0)
    own_fleet.logs.create_log_group(logGroupName="/of/my/own")
    own_fleet.until_running(kept)
    stopped = own_fleet.task(kept)
    before = own_fleet.describe(kept)

    assert process.stop() == 0
    process.start()

    own_fleet.until_running(kept)
    after = own_fleet.describe(kept)
    assert (after["createdAt"], after["tags"]) == (before["createdAt"], before["tags"])
    assert after["deployments"][0]["id"] == before["deployments"][0]["id"]
    assert own_fleet.counts(off) == (0, 0, 0)
    assert own_fleet.define("family").endswith("family:2")
    task = own_fleet.describe_task(stopped)
    assert (task["lastStatus"], task["stopCode"]) == ("STOPPED", "TerminationNotice")
    assert own_fleet.task(kept) != stopped
    assert own_fleet.logs.filter_log_events(logGroupName="/of/my/own")["events"] == []


def test_a_stop_ends_every_task_and_soon(own_fleet: Fleet) -> None:
    definition = own_fleet.define(CHARGER_TASK_STOPS_IN_S="60", stop_timeout_s=30)
    names = [own_fleet.create(definition) for _ in range(3)]
    for name in names:
        own_fleet.until_running(name)
        own_fleet.until_printed(own_fleet.task(name), "started")
    pids = [own_fleet.pid(name) for name in names]

    begun = time.monotonic()
    assert own_fleet.process.stop() == 0

    assert time.monotonic() - begun < 4
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def test_an_answered_call_survives_a_kill(own_fleet: Fleet) -> None:
    name = own_fleet.create(own_fleet.define(), desiredCount=0)
    own_fleet.update(name, desiredCount=1)
    own_fleet.process.kill()

    own_fleet.process.start()

    assert own_fleet.describe(name)["desiredCount"] == 1
    own_fleet.until_running(name)


def test_after_a_kill_the_old_process_ends_before_its_successor_starts(own_fleet: Fleet) -> None:
    """The tasks hold a lock, and say so when they meet another of their service."""
    name = own_fleet.given(CHARGER_TASK_STOPS_IN_S="0.7")
    old, old_pid = own_fleet.task(name), own_fleet.pid(name)
    own_fleet.until_printed(old, "started")

    own_fleet.process.kill()
    assert psutil.pid_exists(old_pid)
    own_fleet.process.start()

    assert not psutil.pid_exists(old_pid)
    own_fleet.until_running(name)
    own_fleet.until_printed(own_fleet.task(name), "started")
    assert own_fleet.describe_task(old)["lastStatus"] == "STOPPED"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_a_killed_ecs_takes_its_tasks_along(own_fleet: Fleet) -> None:
    name = own_fleet.given()
    own_fleet.until_printed(own_fleet.task(name), "started")
    pid = own_fleet.pid(name)

    own_fleet.process.kill()

    until(lambda: not psutil.pid_exists(pid))


def test_an_orphan_that_will_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedded.ecs.scheduling.containers.ORPHAN_GRACE_S", 0.3)
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", stubborn], stdout=subprocess.PIPE, start_new_session=True
    ) as orphan:
        assert orphan.stdout is not None
        orphan.stdout.readline()
        (tmp_path / "task").write_text(f"{orphan.pid} {psutil.Process(orphan.pid).create_time()}")

        assert end_orphans(tmp_path) == 1

        assert not psutil.pid_exists(orphan.pid)
    assert not list(tmp_path.iterdir())


def test_a_process_that_only_has_the_number_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "reused").write_text(f"{os.getpid()} {psutil.Process().create_time() - 60}")
    (tmp_path / "garbage").write_text("no record")

    assert end_orphans(tmp_path) == 0

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [b"not a database", b""], ids=["overwritten", "cut"])
def test_a_damaged_state_is_put_aside(own_fleet: Fleet, damage: bytes) -> None:
    process = own_fleet.process
    name = own_fleet.create(own_fleet.define(), desiredCount=0)
    process.stop()
    state = process.state_dir / "state.sqlite"
    state.write_bytes(damage or state.read_bytes()[:5_000])

    process.start()

    answer = own_fleet.ecs.describe_services(cluster=CLUSTER, services=[name])
    assert [failure["reason"] for failure in answer["failures"]] == ["MISSING"]
    assert list(process.state_dir.glob("state.sqlite.corrupt-*"))
    [warning] = [line for line in process.log.read_text().splitlines() if "unreadable" in line]
    assert "starting empty" in warning
    assert own_fleet.given()


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = subprocess.run(
            [sys.executable, "-m", "embedded.ecs", "--port", str(port), "--state-dir", str(tmp_path)],
            env=os.environ | {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests"},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    assert answer.returncode == 1
    [line] = answer.stderr.splitlines()
    assert str(port) in line


def test_it_ends_with_the_parent_that_holds_its_input(tmp_path: Path) -> None:
    process = EcsProcess(tmp_path, task_command=TASK_COMMAND, arguments=QUICK)
    process.start()
    fleet = Fleet(process)
    task = fleet.pid(fleet.given())

    process.close_input()

    until(lambda: not psutil.pid_exists(task))


def test_a_second_one_on_the_same_state_is_refused(own_process: EcsProcess) -> None:
    second = EcsProcess(own_process.state_dir)

    with pytest.raises(RuntimeError, match="in use"):
        second.start()
