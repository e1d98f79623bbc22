"""The one command, as a person meets it: what it prints, what then works, what it leaves behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import boto3
import jwt
import psutil
import psycopg
import pytest
from botocore.exceptions import ClientError

from embedded.ports import HOST, free_port
from embedded.stack.greeting import FIRST_CHARGER, unusual
from embedded.stack.joining import belongs_to_a_stack
from embedded.stack.state_folder import STACK_FILE
from tests.conftest import JWT_SECRET
from tests.embedded.waiting import wait_until

CHARGER = {
    "identity": "CP-1",
    "brand_slug": "wallbox",
    "model_slug": "wallbox-pulsar-plus",
    "connector_type": "Type2",
    "ocpp_version": "OCPP1.6",
}
READY_WITHIN_S = 60  # the tests may share the machine; on an idle laptop it is a few seconds


@dataclass
class Up:
    """A `chargehand up`, and its state folder."""

    folder: Path
    process: "subprocess.Popen[bytes]"
    port: int

    @property
    def output(self) -> str:
        return (self.folder / "up.out").read_text()

    def wait_until_ready(self) -> None:
        wait_until(lambda: "is ready" in self.output or self.process.poll() is not None, READY_WITHIN_S)
        assert "is ready" in self.output, self.output

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def pid(self, name: str) -> int:
        rows = json.loads((self.folder / "processes.json").read_text())
        return int(next(row["pid"] for row in rows if row["name"] == name))

    def printed(self, pattern: str) -> str:
        found = re.search(pattern, self.output)
        assert found is not None, self.output
        return found[1]

    @property
    def stack(self) -> dict[str, Any]:
        """What the stack's own file says of it."""
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
        self.process.send_signal(number)
        self.process.wait(timeout=20)


def start_up(folder: Path, **environment: str) -> Up:
    port = int(environment.setdefault("PORT", str(free_port())))
    kept = {name: value for name, value in os.environ.items() if not belongs_to_a_stack(name)}
    with (folder / "up.out").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "chargehand", "up"],
            env={**kept, "STATE_DIR": str(folder), **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Up(folder, process, port)


@pytest.fixture
def state() -> Iterator[Path]:
    with TemporaryDirectory(prefix="chargehand-up-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextmanager
def running_up(state: Path, **environment: str) -> Iterator[Up]:
    """Ready, and ended at the latest with the block."""
    up = start_up(state, **environment)
    try:
        up.wait_until_ready()
        yield up
    finally:
        if up.process.poll() is None:
            up.end()


#: Variables of other projects, each of which has once led a part of ours elsewhere, or kept it from starting.
STRAYS = {
    "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
    "CELERY_WORKER_CONCURRENCY": "0",
    "FLASK_DEBUG": "1",
    "FLOWER_UNIX_SOCKET": "/no/such/folder/socket",
    "FLOWER_URL_PREFIX": "elsewhere",
    "GUNICORN_CMD_ARGS": "--bind=127.0.0.1:1 --preload",
    "LOADER": "elsewhere",
    "MOTO_ACCOUNT_ID": "1",
    "PGCHANNELBINDING": "require",
    "PGCLIENTENCODING": "LATIN1",
    "PGDATA": "/no/such/folder",
    "PGDATESTYLE": "German",
    "PGHOST": "192.0.2.1",
    "PGHOSTADDR": "192.0.2.1",
    "PGOPTIONS": "-c search_path=elsewhere",
    "PGPASSWORD": "another",
    "PGREQUIREAUTH": "none",
    "PGSERVICE": "elsewhere",
    "PGSSLMODE": "require",
    "PSYCOPG_IMPL": "none",
    "WORKDIR": "/no/such/folder",
    "CELERY_WORKDIR": "/no/such/folder",
}


@pytest.fixture(scope="module")
def shared_up() -> Iterator[Up]:
    """For tests that leave it running. Its shell has what other projects need."""
    with (
        TemporaryDirectory(prefix="chargehand-up-", ignore_cleanup_errors=True) as name,
        running_up(Path(name), **STRAYS) as up,
    ):
        yield up


def test_the_printed_addresses_answer(shared_up: Up) -> None:
    with urlopen(f"http://{HOST}:{shared_up.port}/ready") as answer:
        assert answer.status == 200
    with urlopen(shared_up.printed(r"API page +(\S+)")) as answer:  # noqa: S310
        assert answer.status == 200
    with pytest.raises(HTTPError, match="401"):
        urlopen(shared_up.printed(r"Flower +(\S+)"))  # noqa: S310
    with psycopg.connect(shared_up.stack["database"]) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM catalog_models").fetchone() == (True,)


def test_the_printed_commands_create_a_charger_that_stops_and_comes_back_with_the_command(
    state: Path,
) -> None:
    with running_up(state) as up:
        printed = run_printed_commands(up)
        assert "accepted" in printed
        assert "BootNotification" in printed
        family = up.family()
        assert any("simulator" in process.cmdline() for process in family)

        begin = time.monotonic()
        up.end(signal.SIGTERM)
        assert time.monotonic() - begin < 15

    assert up.process.returncode == 0
    assert up.output.endswith("Stopping.\n")
    assert [process for process in family if process.is_running()] == []
    booted = up.log("csms").count(f"{FIRST_CHARGER} booted")
    with running_up(state, PORT=str(up.port)) as again:
        assert "It has 1 charger from the last run." in again.output
        wait_until(lambda: again.log("csms").count(f"{FIRST_CHARGER} booted") > booted, 20)
        assert FIRST_CHARGER in run_printed_commands(again)


def run_printed_commands(up: Up) -> str:
    """As a person does who copies and pastes."""
    _, _, commands = up.output.partition("In a second terminal, in this folder:")
    kept = {name: value for name, value in os.environ.items() if not belongs_to_a_stack(name)}
    done = subprocess.run(["/bin/sh", "-ec", commands], env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_printed_holds_no_secret(shared_up: Up) -> None:
    """CI keeps it. Where Flower's password is, it says."""
    stack = shared_up.stack
    secrets = [stack["token"], *(urlsplit(stack[name]).password for name in ("database", "redis"))]
    secrets += [stack["flower_password"], stack["environment"]["AWS_SECRET_ACCESS_KEY"]]

    assert all(secrets)
    assert Path(shared_up.printed(r"password in (\S+)")).read_text() == stack["flower_password"]
    assert not [secret for secret in secrets if secret in shared_up.output]


def test_what_belongs_to_other_programs_is_named_and_has_no_effect(shared_up: Up) -> None:
    line = shared_up.printed(r"Not used, because they belong to other programs: (.*)\.\n")

    assert set(line.split(", ")) == set(STRAYS) - {"PSYCOPG_IMPL"}
    for part in ("api", "worker", "flower", "postgres"):
        assert not STRAYS.keys() & psutil.Process(shared_up.pid(part)).environ().keys()


def test_a_part_that_is_not_where_people_expect_it_says_so(shared_up: Up) -> None:
    assert (":9000/" in shared_up.stack["csms"]) != ("(not on the usual port 9000)" in shared_up.output)
    assert unusual("csms", "ws://127.0.0.1:9001/ocpp") == " (not on the usual port 9000)"
    assert unusual("csms", "ws://127.0.0.1:9000/ocpp") == ""
    assert unusual("flower", "http://127.0.0.1:55551") == " (not on the usual port 5555)"


def test_secrets_come_from_files_named_from_the_folder_in_which_it_was_called(
    state: Path, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its programs run in the state folder, and a process that joins gets the broker itself."""
    broker_url = f"{redis_url.rpartition('/')[0]}/6"
    secrets = {"BROKER_URL": broker_url, "JWT_SECRET": JWT_SECRET, "FLOWER_BASIC_AUTH": "somebody:else"}
    for name, secret in secrets.items():
        (tmp_path / name).write_text(f"{secret}\n")
    monkeypatch.chdir(tmp_path)

    with running_up(state, **{f"{name}_FILE": name for name in secrets}) as up:
        assert up.stack["environment"]["BROKER_URL"] == broker_url
        assert up.get("/ocpp/chargers")["total"] == 0
        assert jwt.decode(up.stack["token"], JWT_SECRET, algorithms=["HS256"])
        flower = psutil.Process(up.pid("flower")).environ()
        assert flower["FLOWER_BASIC_AUTH"] == f"chargehand:{up.stack['flower_password']}"


def test_ctrl_c_while_it_starts_ends_every_process(state: Path) -> None:
    up = start_up(state)
    wait_until((state / "processes.json").exists, 20)
    family = up.family()

    begin = time.monotonic()
    up.end(signal.SIGINT)

    assert time.monotonic() - begin < 15
    assert up.process.returncode == 0
    assert up.output == "Stopping.\n"
    assert [process for process in family if process.is_running()] == []


def test_a_killed_worker_is_started_again(shared_up: Up) -> None:
    before = shared_up.pid("worker")

    os.kill(before, signal.SIGKILL)

    wait_until(lambda: "worker was killed by SIGKILL; starting it again in 0.5 s" in shared_up.output)
    wait_until(lambda: shared_up.pid("worker") != before and psutil.pid_exists(shared_up.pid("worker")))


def test_nothing_outlives_a_killed_command_and_the_next_one_starts(state: Path) -> None:
    with running_up(state) as up:
        family = up.family()
        up.process.kill()
        up.process.wait()

    with running_up(state):
        assert [process for process in family if process.is_running()] == []


def test_the_stack_file_says_where_everything_is_and_only_its_owner_reads_it(shared_up: Up) -> None:
    file = shared_up.folder / STACK_FILE
    stack = json.loads(file.read_text())

    assert file.stat().st_mode & 0o777 == 0o600
    assert (stack["pid"], stack["organization"]) == (shared_up.process.pid, "demo")
    for name, pattern in (("api", r"API +(\S+)"), ("csms", r"CSMS +(\S+)")):
        assert stack[name] == shared_up.printed(pattern)
    request = Request(f"{stack['api']}/ocpp/chargers", headers={"Authorization": f"Bearer {stack['token']}"})  # noqa: S310
    with urlopen(request, timeout=10) as answer:  # noqa: S310
        assert answer.status == 200
    joining = stack["environment"]
    assert joining["AWS_ENDPOINT_URL"] == stack["ecs"]
    assert joining["STATE_DIR"] == str(shared_up.folder)
    assert {"DATABASE_URL", "REDIS_URL", "CHARGEHAND_ENV"} <= joining.keys()


def test_the_ecs_serves_whoever_has_joined_the_stack_and_nobody_else(shared_up: Up) -> None:
    joining = shared_up.stack["environment"]
    owner = (joining["AWS_ACCESS_KEY_ID"], joining["AWS_SECRET_ACCESS_KEY"])

    def clusters(key: str, secret: str) -> list[str]:
        session = boto3.Session(key, secret, region_name=joining["AWS_REGION"])
        return session.client("ecs", endpoint_url=shared_up.stack["ecs"]).list_clusters()["clusterArns"]

    assert len(clusters(*owner)) == 1
    for stranger in (("embedded", "embedded"), ("tests", "tests"), (owner[0], "embedded")):
        with pytest.raises(ClientError, match=r"UnrecognizedClientException|InvalidSignatureException"):
            clusters(*stranger)
    with pytest.raises(HTTPError, match="401"):
        urlopen(f"{shared_up.stack['ecs']}/_chargehand/tasks")  # noqa: S310


def test_nobody_else_reads_anything_in_the_state_folder(shared_up: Up) -> None:
    """Logs, the ECS's services and PostgreSQL's tables hold what tenants gave us."""
    folder = shared_up.folder
    shared_up.post("/ocpp/chargers?wait=30&until=accepted", CHARGER | {"ws_url": shared_up.stack["csms"]})

    found = {path.relative_to(folder): path.lstat().st_mode for path in folder.rglob("*")}

    ours = {path for path in found if path.name != "up.out"}  # that is this test's
    assert [path for path in ours if found[path] & 0o077] == []
    assert folder.stat().st_mode & 0o066 == 0  # PostgreSQL of root, another user, has to pass
    names = {path.parts[0] for path in ours}
    assert names >= {
        "ecs",
        "logs",
        "postgres",
        "redis",
        "stack.json",
        "ecs-secret-access-key",
    }


def test_up_with_json_prints_one_line_when_it_is_ready_and_leaves_no_stack_file(state: Path) -> None:
    (state / STACK_FILE).write_text('{"left by": "a run that was killed"}')
    kept = {name: value for name, value in os.environ.items() if not belongs_to_a_stack(name)}
    with (state / "up.err").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "chargehand", "up", "--json"],
            env={**kept, "STATE_DIR": str(state), "PORT": str(free_port())},
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    described = json.loads(line)
    assert described == json.loads((state / STACK_FILE).read_text())

    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=30)[0]

    assert (process.returncode, rest) == (0, b"")
    assert "Chargehand is ready" in (state / "up.err").read_text()
    assert not (state / STACK_FILE).exists()


def test_a_second_command_on_the_same_state_is_refused_in_one_line(shared_up: Up) -> None:
    state = shared_up.folder

    said = refused(STATE_DIR=str(state), PORT=str(free_port()))

    assert said == (
        f"Error: chargehand runs already on {state} (pid {shared_up.process.pid}): "
        "stop that, or choose another folder with STATE_DIR\n"
    )


def test_two_parts_on_one_port_are_refused_in_one_line(tmp_path: Path) -> None:
    port = str(free_port())

    said = refused(STATE_DIR=str(tmp_path), PORT=port, CSMS_PORT=port)

    assert said == f"Error: PORT and CSMS_PORT are both {port}: choose another port for one of them\n"


def test_a_redis_that_does_not_answer_is_refused_in_one_line(tmp_path: Path) -> None:
    port = free_port()

    said = refused(STATE_DIR=str(tmp_path), PORT=str(free_port()), REDIS_URL=f"redis://{HOST}:{port}/0")

    assert said == f"Error: REDIS_URL: no Redis that takes us answers at {HOST}:{port}\n"


def test_a_terminal_that_has_joined_a_stack_starts_one_with_stores_of_its_own(
    shared_up: Up, state: Path
) -> None:
    joined = {name: value for name, value in shared_up.stack["environment"].items() if name != "STATE_DIR"}

    with running_up(state, **joined) as other:
        assert "This terminal has run `chargehand env`" in other.output
        assert other.stack["database"] != shared_up.stack["database"]
        assert other.stack["redis"] != shared_up.stack["redis"]
        assert other.stack["ecs"] != shared_up.stack["ecs"]


def test_a_taken_port_is_refused_in_one_line(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]

        said = refused(STATE_DIR=str(tmp_path), PORT=str(port))

    assert re.fullmatch(
        rf"Error: port {port} is taken( by \S+ \(pid {os.getpid()}\))?: "
        r"stop that, or choose another one with PORT\n",
        said,
    )


@pytest.mark.parametrize("variable", ["PORT", "FLOWER_PORT", "CSMS_PORT", "ECS_PORT", "POSTGRES_PORT"])
def test_what_is_no_port_is_refused_in_one_line(tmp_path: Path, variable: str) -> None:
    others = {"PORT": str(free_port())}

    said = refused(**{"STATE_DIR": str(tmp_path), **others, variable: "70000"})

    assert said == f"Error: {variable}=70000 is not a port: use a number from 1 to 65535\n"


@pytest.mark.parametrize("number", ["0", "-1", "three", "1000"])
def test_what_is_no_number_of_workers_is_refused_in_one_line(tmp_path: Path, number: str) -> None:
    said = refused(STATE_DIR=str(tmp_path), PORT=str(free_port()), WORKERS=number)

    assert said == f"Error: WORKERS={number} is not a number of workers: use a number from 1 to 8\n"


def test_a_state_folder_that_cannot_be_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    said = refused(STATE_DIR=str(file / "state"), PORT=str(free_port()))

    assert said == (
        f"Error: the state folder {file}/state is not writable (Not a directory): "
        "choose another one with STATE_DIR\n"
    )


def test_a_setting_that_makes_no_sense_is_refused_in_one_line(tmp_path: Path) -> None:
    said = refused(STATE_DIR=str(tmp_path), PORT=str(free_port()), DATABASE_URL="mysql://localhost")

    assert said == "Error: DATABASE_URL must be a postgresql:// URL\n"


def test_a_part_that_does_not_start_is_named_with_the_end_of_its_log(state: Path) -> None:
    (state / "postgres").mkdir()
    (state / "postgres" / "PG_VERSION").write_text("9\n")

    said = refused(STATE_DIR=str(state), PORT=str(free_port()))

    assert said.startswith(f"Error: postgres does not start; the end of {state}/logs/postgres.log:\n")
    assert "postgresql.conf" in said
    assert "Traceback" not in said


def refused(**environment: str) -> str:
    """What the command says when it gives up."""
    kept = {name: value for name, value in os.environ.items() if not belongs_to_a_stack(name)}
    done = subprocess.run(
        [sys.executable, "-m", "chargehand", "up"],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    return done.stderr
