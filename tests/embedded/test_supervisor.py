import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from embedded import supervisor as supervisor_module
from embedded.process import NotReady, Program
from embedded.supervisor import StopRequested, Supervisor, trim
from tests.support.waiting import wait_until

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def script(name: str, code: str, *, layer: int = 0, stop_within_s: float = 5) -> Program:
    """A program of a few lines of Python."""
    argv = (sys.executable, "-S", "-c", code)
    return Program(name, argv, layer=layer, stop_within_s=stop_within_s)


class Supervision:
    """A supervisor, and what it has reported."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reports: list[str] = []
        self.supervisor = Supervisor(folder, self.reports.append)

    def output(self, name: str) -> str:
        log = self.supervisor.log(name)
        return log.read_text() if log.exists() else ""

    def pid(self, name: str) -> int:
        rows = json.loads((self.folder / "processes.json").read_text())
        return int(next(row["pid"] for row in rows if row["name"] == name))

    def watch_until(self, text: str, name: str, times: int = 1) -> None:
        """Supervise until the program has printed the text `times` times."""
        seen = threading.Event()

        def stop_when_seen() -> None:
            try:
                wait_until(lambda: self.output(name).count(text) >= times)
                seen.set()
            finally:
                self.supervisor.request_stop()

        waiting = threading.Thread(target=stop_when_seen)
        waiting.start()
        with pytest.raises(StopRequested):
            self.supervisor.watch()
        waiting.join()
        assert seen.is_set()


@pytest.fixture
def supervision(tmp_path: Path) -> Iterator[Supervision]:
    supervision = Supervision(tmp_path)
    yield supervision
    supervision.supervisor.stop()


def test_waiting_ends_when_every_program_is_ready(supervision: Supervision) -> None:
    for name in ("one", "two"):
        supervision.supervisor.start(
            Program(
                name,
                (sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(60)"),
                is_ready=lambda name=name: "up" in supervision.output(name),  # type: ignore[misc]
            )
        )

    supervision.supervisor.wait_until_ready(within_s=10)

    assert "up" in supervision.output("one")
    assert "up" in supervision.output("two")


def test_a_program_that_dies_is_started_again_and_that_is_reported(supervision: Supervision) -> None:
    supervision.supervisor.start(script("worker", "import time; print('up', flush=True); time.sleep(60)"))
    wait_until(lambda: "up" in supervision.output("worker"))
    os.kill(supervision.pid("worker"), signal.SIGKILL)

    supervision.watch_until("up", "worker", times=2)

    assert [line.split(" (log")[0] for line in supervision.reports] == [
        "worker was killed by SIGKILL; starting it again in 0.5 s"
    ]


def test_the_delay_before_a_restart_grows_with_each_death(
    supervision: Supervision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_DELAY_S", 0.1)
    supervision.supervisor.start(script("worker", "print('up', flush=True); raise SystemExit(3)"))

    supervision.watch_until("up", "worker", times=4)

    delays = [line.split(" again in ")[1].split(" s")[0] for line in supervision.reports]
    assert delays[:3] == ["0.1", "0.2", "0.4"]
    assert "ended with exit code 3" in supervision.reports[0]


def test_a_program_that_cannot_start_is_reported_with_its_last_lines(
    supervision: Supervision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_DELAY_S", 0.01)
    supervision.supervisor.start(
        Program(
            "api",
            (sys.executable, "-S", "-c", "raise SystemExit('no such table')"),
            is_ready=lambda: False,
        )
    )

    with pytest.raises(NotReady, match=r"(?s)api does not start.*no such table"):
        supervision.supervisor.wait_until_ready(within_s=10)


def test_a_program_that_cannot_say_when_it_is_ready_must_live_for_a_while(
    supervision: Supervision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_DELAY_S", 0.01)
    supervision.supervisor.start(script("worker", "raise SystemExit('no such module')"))

    with pytest.raises(NotReady, match=r"(?s)worker does not start.*no such module"):
        supervision.supervisor.wait_until_ready(within_s=10)


def test_a_program_that_is_not_there_is_reported_by_its_name(
    supervision: Supervision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_DELAY_S", 0.01)
    supervision.supervisor.start(Program("api", ("/no/such/program",), is_ready=lambda: False))

    with pytest.raises(NotReady, match="/no/such/program: No such file"):
        supervision.supervisor.wait_until_ready(within_s=10)


def test_a_program_that_is_never_ready_is_reported_after_its_time(supervision: Supervision) -> None:
    program = script("api", "import time; time.sleep(60)")
    supervision.supervisor.start(Program(program.name, program.argv, is_ready=lambda: False))

    with pytest.raises(NotReady, match=r"api was not ready after 0.2 s"):
        supervision.supervisor.wait_until_ready(within_s=0.2)


def test_the_answer_of_a_program_that_is_not_ready_is_reported_once_and_in_the_error(
    supervision: Supervision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not read more often, because each answer may take seconds."""
    monkeypatch.setattr(supervisor_module, "REPORT_AFTER_S", 0.1)
    program = script("api", "import time; time.sleep(60)")
    answers = iter(["", *(["HTTP 503 no database\nmore"] * 2)])
    supervision.supervisor.start(
        Program(program.name, program.argv, is_ready=lambda: False, why_not=lambda: next(answers))
    )

    with pytest.raises(
        NotReady, match=r"^api was not ready after 0.5 s: HTTP 503 no database; the end of .*"
    ):
        supervision.supervisor.wait_until_ready(within_s=0.5)

    assert supervision.reports == ["api is not ready yet: HTTP 503 no database"]


def test_a_request_to_stop_ends_the_waiting(supervision: Supervision) -> None:
    program = script("api", "import time; time.sleep(60)")
    supervision.supervisor.start(Program(program.name, program.argv, is_ready=lambda: False))
    supervision.supervisor.request_stop()

    with pytest.raises(StopRequested):
        supervision.supervisor.wait_until_ready(within_s=10)


def test_a_program_that_runs_once_is_waited_for(supervision: Supervision) -> None:
    supervision.supervisor.run_once(script("migrate", "print('done')"))

    assert supervision.output("migrate") == "done\n"


def test_a_failed_program_that_runs_once_is_reported_with_its_last_lines(supervision: Supervision) -> None:
    with pytest.raises(NotReady, match=r"(?s)migrate ended with exit code 1.*no database"):
        supervision.supervisor.run_once(script("migrate", "raise SystemExit('no database')"))


def test_programs_stop_in_the_order_of_their_layers(supervision: Supervision, tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = """
import signal, time
def end(*_):
    open({order!r}, 'a').write({name!r} + ' ')
    raise SystemExit
signal.signal(signal.SIGTERM, end)
print('up', flush=True)
time.sleep(60)
"""
    for layer, name in enumerate(("database", "ecs", "api")):
        supervision.supervisor.start(script(name, code.format(order=str(order), name=name), layer=layer))
        wait_until(lambda name=name: "up" in supervision.output(name))  # type: ignore[misc]

    supervision.supervisor.stop()

    assert order.read_text() == "api ecs database "


def test_a_program_that_ignores_its_stop_signal_is_killed_with_its_children(supervision: Supervision) -> None:
    code = f"""
import subprocess, sys, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, '-S', '-c', {STUBBORN!r}], start_new_session=True)
print(child.pid, 'started', flush=True)
time.sleep(60)
"""
    supervision.supervisor.start(script("stubborn", code, stop_within_s=0.3))
    wait_until(lambda: "started" in supervision.output("stubborn"))
    parent = psutil.Process(supervision.pid("stubborn"))
    child = parent.children()[0]

    supervision.supervisor.stop()

    assert not parent.is_running()
    assert not child.is_running()


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    killed = start_supervisor_process(tmp_path, "import time; time.sleep(60)")
    child = psutil.Process(recorded_pid(tmp_path))

    killed.kill()
    killed.wait()

    wait_until(lambda: not child.is_running())


def test_the_next_supervisor_ends_what_a_killed_one_left_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "LEFTOVER_WITHIN_S", 0.3)
    killed = start_supervisor_process(tmp_path, STUBBORN)
    child = psutil.Process(recorded_pid(tmp_path))
    wait_until(lambda: "up" in (tmp_path / "logs" / "child.log").read_text())
    killed.kill()
    killed.wait()
    assert child.is_running()
    reports: list[str] = []

    Supervisor(tmp_path, reports.append)

    assert not child.is_running()
    assert reports == [f"ending child (pid {child.pid}), left by a run that was killed"]


def test_another_process_with_a_recorded_pid_is_left_alone(tmp_path: Path) -> None:
    other = psutil.Process()
    row = {"name": "api", "pid": other.pid, "created": other.create_time() - 60, "stop_signal": 15}
    (tmp_path / "processes.json").write_text(json.dumps([row]))
    reports: list[str] = []

    Supervisor(tmp_path, reports.append)

    assert reports == []


def test_a_log_that_grew_too_long_is_cut_and_its_writer_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "MAX_LOG_BYTES", 10)
    log = tmp_path / "api.log"
    with log.open("a") as writer:
        writer.write("a line that is long\n")
        writer.flush()

        trim(log)
        writer.write("next\n")

    assert log.read_text() == "next\n"
    assert (tmp_path / "api.log.1").read_text() == "a line that is long\n"


def start_supervisor_process(folder: Path, child_code: str) -> subprocess.Popen[bytes]:
    """A supervisor in a process of its own, with one child."""
    code = f"""
import sys
from pathlib import Path
from embedded.process import Program
from embedded.supervisor import Supervisor
supervisor = Supervisor(Path({str(folder)!r}), print)
supervisor.start(Program("child", (sys.executable, "-S", "-c", {child_code!r})))
supervisor.watch()
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    wait_until((folder / "processes.json").exists)
    return process


def recorded_pid(folder: Path) -> int:
    return int(json.loads((folder / "processes.json").read_text())[0]["pid"])
