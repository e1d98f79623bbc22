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
from tests.embedded.waiting import wait_until

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def script(name: str, code: str, *, layer: int = 0, stop_within_s: float = 5) -> Program:
    """A program of a few lines of Python; `print('up', flush=True)` makes it ready, if it says so."""
    argv = (sys.executable, "-S", "-c", code)
    return Program(name, argv, layer=layer, stop_within_s=stop_within_s)


class Crew:
    """A supervisor, what it said, and a thread that stops it after something happened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.supervisor = Supervisor(folder, self.said.append)

    def output(self, name: str) -> str:
        log = self.supervisor.log(name)
        return log.read_text() if log.exists() else ""

    def pid(self, name: str) -> int:
        rows = json.loads((self.folder / "processes.json").read_text())
        return int(next(row["pid"] for row in rows if row["name"] == name))

    def watch_until(self, text: str, name: str, times: int = 1) -> None:
        """Supervise until the program has printed the text so many times."""
        seen = threading.Event()

        def look() -> None:
            try:
                wait_until(lambda: self.output(name).count(text) >= times)
                seen.set()
            finally:
                self.supervisor.request_stop()

        looking = threading.Thread(target=look)
        looking.start()
        with pytest.raises(StopRequested):
            self.supervisor.watch()
        looking.join()
        assert seen.is_set()


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path)
    yield crew
    crew.supervisor.stop()


def test_waiting_ends_when_every_program_is_ready(crew: Crew) -> None:
    for name in ("one", "two"):
        crew.supervisor.start(
            Program(
                name,
                (sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(60)"),
                is_ready=lambda name=name: "up" in crew.output(name),  # type: ignore[misc]
            )
        )

    crew.supervisor.wait_until_ready(within_s=10)

    assert "up" in crew.output("one")
    assert "up" in crew.output("two")


def test_a_program_that_dies_is_started_again_and_the_supervisor_says_so(crew: Crew) -> None:
    crew.supervisor.start(script("worker", "import time; print('up', flush=True); time.sleep(60)"))
    wait_until(lambda: "up" in crew.output("worker"))
    os.kill(crew.pid("worker"), signal.SIGKILL)

    crew.watch_until("up", "worker", times=2)

    assert [line.split(" (log")[0] for line in crew.said] == [
        "worker was killed by SIGKILL; starting it again in 0.5 s"
    ]


def test_the_delay_before_a_restart_grows_with_each_death(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_DELAY_S", 0.1)
    crew.supervisor.start(script("worker", "print('up', flush=True); raise SystemExit(3)"))

    crew.watch_until("up", "worker", times=4)

    delays = [line.split(" again in ")[1].split(" s")[0] for line in crew.said]
    assert delays[:3] == ["0.1", "0.2", "0.4"]
    assert "ended with exit code 3" in crew.said[0]


def test_a_program_that_cannot_start_is_reported_with_its_last_lines(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_DELAY_S", 0.01)
    crew.supervisor.start(
        Program(
            "api",
            (sys.executable, "-S", "-c", "raise SystemExit('no such table')"),
            is_ready=lambda: False,
        )
    )

    with pytest.raises(NotReady, match=r"(?s)api does not start.*no such table"):
        crew.supervisor.wait_until_ready(within_s=10)


def test_a_program_that_cannot_say_when_it_is_ready_must_live_for_a_while(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_DELAY_S", 0.01)
    crew.supervisor.start(script("worker", "raise SystemExit('no such module')"))

    with pytest.raises(NotReady, match=r"(?s)worker does not start.*no such module"):
        crew.supervisor.wait_until_ready(within_s=10)


def test_a_program_that_is_not_there_is_reported_by_its_name(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_DELAY_S", 0.01)
    crew.supervisor.start(Program("api", ("/no/such/program",), is_ready=lambda: False))

    with pytest.raises(NotReady, match="/no/such/program: No such file"):
        crew.supervisor.wait_until_ready(within_s=10)


def test_a_program_that_is_never_ready_is_reported_after_its_time(crew: Crew) -> None:
    program = script("api", "import time; time.sleep(60)")
    crew.supervisor.start(Program(program.name, program.argv, is_ready=lambda: False))

    with pytest.raises(NotReady, match=r"api was not ready after 0.2 s"):
        crew.supervisor.wait_until_ready(within_s=0.2)


def test_what_a_program_answers_that_is_not_ready_is_said_once_and_at_the_end(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is asked no more often than that: each answer may take seconds."""
    monkeypatch.setattr(supervisor_module, "REPORT_AFTER_S", 0.1)
    program = script("api", "import time; time.sleep(60)")
    answers = iter(["", *(["HTTP 503 no database\nmore"] * 2)])
    crew.supervisor.start(
        Program(program.name, program.argv, is_ready=lambda: False, why_not=lambda: next(answers))
    )

    with pytest.raises(
        NotReady, match=r"^api was not ready after 0.5 s: HTTP 503 no database; the end of .*"
    ):
        crew.supervisor.wait_until_ready(within_s=0.5)

    assert crew.said == ["api is not ready yet: HTTP 503 no database"]


def test_a_request_to_stop_ends_the_waiting(crew: Crew) -> None:
    program = script("api", "import time; time.sleep(60)")
    crew.supervisor.start(Program(program.name, program.argv, is_ready=lambda: False))
    crew.supervisor.request_stop()

    with pytest.raises(StopRequested):
        crew.supervisor.wait_until_ready(within_s=10)


def test_one_errand_runs_to_its_end_before_the_next_step(crew: Crew) -> None:
    crew.supervisor.run_once(script("migrate", "import time; time.sleep(0.2); print('done')"))

    assert crew.output("migrate") == "done\n"


def test_a_failed_errand_is_reported_with_its_last_lines(crew: Crew) -> None:
    with pytest.raises(NotReady, match=r"(?s)migrate ended with exit code 1.*no database"):
        crew.supervisor.run_once(script("migrate", "raise SystemExit('no database')"))


def test_programs_stop_in_the_order_of_their_layers(crew: Crew, tmp_path: Path) -> None:
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
        crew.supervisor.start(script(name, code.format(order=str(order), name=name), layer=layer))
        wait_until(lambda name=name: "up" in crew.output(name))  # type: ignore[misc]

    crew.supervisor.stop()

    assert order.read_text() == "api ecs database "


def test_a_program_that_ignores_its_stop_signal_is_killed_with_its_children(crew: Crew) -> None:
    code = f"""
import subprocess, sys, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, '-S', '-c', {STUBBORN!r}], start_new_session=True)
print(child.pid, 'started', flush=True)
time.sleep(60)
"""
    crew.supervisor.start(script("stubborn", code, stop_within_s=0.3))
    wait_until(lambda: "started" in crew.output("stubborn"))
    parent = psutil.Process(crew.pid("stubborn"))
    child = parent.children()[0]

    crew.supervisor.stop()

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
    said: list[str] = []

    Supervisor(tmp_path, said.append)

    assert not child.is_running()
    assert said == [f"ending child (pid {child.pid}), left by a run that was killed"]


def test_a_stranger_with_a_recorded_pid_is_left_alone(tmp_path: Path) -> None:
    stranger = psutil.Process()
    row = {"name": "api", "pid": stranger.pid, "created": stranger.create_time() - 60, "stop_signal": 15}
    (tmp_path / "processes.json").write_text(json.dumps([row]))
    said: list[str] = []

    Supervisor(tmp_path, said.append)

    assert said == []


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
