"""Answered calls survive: after a stop, a kill or damage of the file the embedded ECS starts with its state."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from embedded.ecs.process import EcsProcess
from embedded.ecs.scheduling.containers import end_orphans
from tests.support.ecs_services import CLUSTER, Fleet
from tests.support.waiting import wait_until


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


def test_a_stop_ends_every_task_within_the_shutdown_time(own_fleet: Fleet) -> None:
    """Although each may take longer by its own time-out."""
    definition = own_fleet.define(CHARGER_TASK_STOPS_IN_S="60", stop_timeout_s=30)
    names = [own_fleet.create(definition) for _ in range(3)]
    for name in names:
        own_fleet.until_running(name)
        own_fleet.until_printed(own_fleet.task(name), "started")
    pids = [own_fleet.pid(name) for name in names]

    assert own_fleet.process.stop() == 0

    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    (own_fleet.process.state_dir / "state.sqlite").unlink()  # these tasks must not start again


def test_after_a_kill_answered_calls_stand_and_old_processes_end_before_new_ones_start(
    own_fleet: Fleet,
) -> None:
    """The tasks hold a lock, and print OVERLAP when two tasks of a service run."""
    name = own_fleet.given(CHARGER_TASK_STOPS_IN_S="0.7")
    changed = own_fleet.create(own_fleet.define(), desiredCount=0)
    own_fleet.update(changed, desiredCount=1)
    old, old_pid = own_fleet.task(name), own_fleet.pid(name)
    own_fleet.until_printed(old, "started")

    own_fleet.process.kill()
    assert psutil.pid_exists(old_pid)
    own_fleet.process.start()

    assert not psutil.pid_exists(old_pid)
    own_fleet.until_running(name)
    own_fleet.until_printed(own_fleet.task(name), "started")
    assert own_fleet.describe_task(old)["lastStatus"] == "STOPPED"
    assert own_fleet.describe(changed)["desiredCount"] == 1
    own_fleet.until_running(changed)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a process whose parent ended")
def test_the_tasks_of_a_killed_ecs_end(own_fleet: Fleet) -> None:
    name = own_fleet.given()
    own_fleet.until_printed(own_fleet.task(name), "started")
    pid = own_fleet.pid(name)

    own_fleet.process.kill()

    wait_until(lambda: not psutil.pid_exists(pid))


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


def test_a_process_that_only_has_the_recorded_pid_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "reused").write_text(f"{os.getpid()} {psutil.Process().create_time() - 60}")
    (tmp_path / "garbage").write_text("no record")

    assert end_orphans(tmp_path) == 0

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [b"not a database", b""], ids=["overwritten", "cut"])
def test_a_damaged_file_is_renamed_and_a_new_one_created(own_fleet: Fleet, damage: bytes) -> None:
    process = own_fleet.process
    name = own_fleet.create(own_fleet.define(), desiredCount=0)
    process.stop()
    state = process.state_dir / "state.sqlite"
    state.write_bytes(damage or state.read_bytes()[:5_000])
    renamed = set(process.state_dir.glob("state.sqlite.corrupt-*"))

    process.start()

    answer = own_fleet.ecs.describe_services(cluster=CLUSTER, services=[name])
    assert [failure["reason"] for failure in answer["failures"]] == ["MISSING"]
    assert set(process.state_dir.glob("state.sqlite.corrupt-*")) > renamed
    warning = [line for line in process.log.read_text().splitlines() if "unreadable" in line][-1]
    assert "starting empty" in warning
    assert own_fleet.given()


def test_a_taken_port_is_refused_in_one_line(tmp_path: Path) -> None:
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


def test_it_ends_with_the_parent_that_holds_its_input(own_fleet: Fleet) -> None:
    task = own_fleet.pid(own_fleet.given())

    own_fleet.process.close_input()

    wait_until(lambda: not psutil.pid_exists(task))


def test_a_second_one_on_the_same_state_is_refused(own_process: EcsProcess) -> None:
    second = EcsProcess(own_process.state_dir)

    with pytest.raises(RuntimeError, match="in use"):
        second.start()
