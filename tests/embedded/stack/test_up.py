"""`chargehand up` as a user meets it: what it prints, what then works, and what a restart keeps.

The tests share one stack, which one of them kills and starts again, because each start takes seconds.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
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
from embedded.stack.state_folder import STACK_FILE
from tests.embedded.stack.up import Up, own_environment, refused, start_up
from tests.support.environment import JWT_SECRET
from tests.support.waiting import wait_until

CHARGER = {
    "identity": "CP-1",
    "brand_slug": "wallbox",
    "model_slug": "wallbox-pulsar-plus",
    "connector_type": "Type2",
    "ocpp_version": "OCPP1.6",
}

#: Variables of other projects. Each of them has led a program to another place, or kept it from starting.
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


@dataclass
class Shared:
    """The stack of these tests, and how it is started."""

    up: Up
    called_in: Path
    environment: dict[str, str]

    def start_again(self) -> None:
        """On the same state folder and port, after it has ended."""
        environment = self.environment | {"PORT": str(self.up.port)}
        self.up = start_up(self.up.folder, self.called_in, **environment)
        self.up.wait_until_ready()


@pytest.fixture(scope="module")
def shared(redis_url: str) -> Iterator[Shared]:
    """Its shell has the variables of other projects, and secrets in files relative to the current folder."""
    secrets = {
        "BROKER_URL": f"{redis_url.rpartition('/')[0]}/6",
        "JWT_SECRET": JWT_SECRET,
        "FLOWER_BASIC_AUTH": "somebody:else",
    }
    with (
        TemporaryDirectory(prefix="chargehand-up-", ignore_cleanup_errors=True) as state,
        TemporaryDirectory() as called_in,
    ):
        for name, secret in secrets.items():
            Path(called_in, name).write_text(f"{secret}\n")
        environment = STRAYS | {f"{name}_FILE": name for name in secrets}
        (Path(state) / STACK_FILE).write_text('{"left by": "a run that was killed"}')
        shared = Shared(start_up(Path(state), Path(called_in), **environment), Path(called_in), environment)
        try:
            shared.up.wait_until_ready()
            yield shared
            check_that_sigterm_stops_everything(shared.up)
        finally:
            shared.up.process.kill()
            shared.up.process.wait()


def check_that_sigterm_stops_everything(up: Up) -> None:
    """Part of the fixture, because no test can use the stack afterwards."""
    family = up.family()

    up.end(signal.SIGTERM)

    assert up.process.returncode == 0
    assert up.output.endswith("Stopping.\n")
    assert [process for process in family if process.is_running()] == []
    assert not (up.folder / STACK_FILE).exists()
    assert len(up.standard_output.splitlines()) == 1


@pytest.fixture
def up(shared: Shared) -> Up:
    return shared.up


def test_the_printed_addresses_answer(up: Up) -> None:
    with urlopen(f"http://{HOST}:{up.port}/ready") as answer:
        assert answer.status == 200
    for page in ("API page", "Dashboard"):
        with urlopen(up.printed(rf"{page} +(\S+)")) as answer:  # noqa: S310
            assert answer.status == 200
    with pytest.raises(HTTPError, match="401"):
        urlopen(up.printed(r"Flower +(\S+)"))  # noqa: S310
    with psycopg.connect(up.stack["database"]) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM catalog_models").fetchone() == (True,)


def test_the_printed_commands_create_a_charger_that_comes_back_after_the_command_was_killed(
    shared: Shared,
) -> None:
    printed = run_printed_commands(shared)
    assert "accepted" in printed
    assert "BootNotification" in printed
    family = shared.up.family()
    assert any("simulator" in process.cmdline() for process in family)
    shared.up.process.kill()
    shared.up.process.wait()
    booted = shared.up.log("csms").count(f"{FIRST_CHARGER} booted")

    shared.start_again()

    assert [process for process in family if process.is_running()] == []
    shared.up.printed(r"It has (\d+) chargers? from the last run\.")
    wait_until(lambda: shared.up.log("csms").count(f"{FIRST_CHARGER} booted") > booted, 20)
    assert FIRST_CHARGER in run_printed_commands(shared)


def run_printed_commands(shared: Shared) -> str:
    """As a user who copies and pastes them. Returns their output."""
    _, _, commands = shared.up.output.partition("In a second terminal, in this folder:")
    done = subprocess.run(
        [
            "/bin/sh",
            "-ec",
            commands.lstrip("\n").partition("\n\n")[0],
        ],  # a line that came later is no command
        env=own_environment(),
        cwd=shared.called_in,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_printed_command_makes_a_token_for_the_dashboard(shared: Shared) -> None:
    done = subprocess.run(
        ["/bin/sh", "-ec", shared.up.printed(r"asks for a token: (.+)\n")],
        env=own_environment(),
        cwd=shared.called_in,
        capture_output=True,
        text=True,
        check=True,
    )

    headers = {"Authorization": f"Bearer {done.stdout.strip()}"}
    with urlopen(Request(f"{shared.up.stack['api']}/ocpp/chargers", headers=headers)) as answer:  # noqa: S310
        assert answer.status == 200


def test_the_output_has_no_secret_and_says_where_flowers_password_is(up: Up) -> None:
    """CI systems store the output."""
    stack = up.stack
    secrets = [stack["token"], *(urlsplit(stack[name]).password for name in ("database", "redis"))]
    secrets += [stack["flower_password"], stack["environment"]["AWS_SECRET_ACCESS_KEY"]]

    assert all(secrets)
    assert Path(up.printed(r"password in (\S+)")).read_text() == stack["flower_password"]
    assert not [secret for secret in secrets if secret in up.output]


def test_variables_of_other_programs_are_named_and_have_no_effect(up: Up) -> None:
    line = up.printed(r"Not used, because they belong to other programs: (.*)\.\n")

    assert set(line.split(", ")) - {"FLOWER_BASIC_AUTH", "FLOWER_BASIC_AUTH_FILE"} == set(STRAYS) - {
        "PSYCOPG_IMPL"
    }
    for part in ("api", "worker", "flower", "postgres"):
        assert not STRAYS.keys() & psutil.Process(up.pid(part)).environ().keys()


def test_a_program_on_an_unusual_port_is_remarked_on(up: Up) -> None:
    assert (":9000/" in up.stack["csms"]) != ("(not on the usual port 9000)" in up.output)
    assert unusual("csms", "ws://127.0.0.1:9001/ocpp") == " (not on the usual port 9000)"
    assert unusual("csms", "ws://127.0.0.1:9000/ocpp") == ""
    assert unusual("flower", "http://127.0.0.1:55551") == " (not on the usual port 5555)"


def test_secrets_come_from_files_relative_to_the_folder_of_the_call(up: Up, redis_url: str) -> None:
    """The programs run in the state folder, and a process that joins gets the broker's URL itself."""
    assert up.stack["environment"]["BROKER_URL"] == f"{redis_url.rpartition('/')[0]}/6"
    assert up.get("/ocpp/chargers")["total"] >= 0
    assert jwt.decode(up.stack["token"], JWT_SECRET, algorithms=["HS256"])
    flower = psutil.Process(up.pid("flower")).environ()
    assert flower["FLOWER_BASIC_AUTH"] == f"chargehand:{up.stack['flower_password']}"


def test_a_killed_worker_is_started_again(up: Up) -> None:
    before = up.pid("worker")

    os.kill(before, signal.SIGKILL)

    wait_until(lambda: "worker was killed by SIGKILL; starting it again in 0.5 s" in up.output)
    wait_until(lambda: up.pid("worker") != before and psutil.pid_exists(up.pid("worker")))


def test_the_stack_file_has_every_address_and_only_its_owner_reads_it(up: Up) -> None:
    file = up.folder / STACK_FILE
    stack = json.loads(file.read_text())

    assert file.stat().st_mode & 0o777 == 0o600
    assert (stack["pid"], stack["organization"]) == (up.process.pid, "demo")
    for name, pattern in (("api", r"API +(\S+)"), ("csms", r"CSMS +(\S+)")):
        assert stack[name] == up.printed(pattern)
    request = Request(f"{stack['api']}/ocpp/chargers", headers={"Authorization": f"Bearer {stack['token']}"})  # noqa: S310
    with urlopen(request, timeout=10) as answer:  # noqa: S310
        assert answer.status == 200
    joining = stack["environment"]
    assert joining["AWS_ENDPOINT_URL"] == stack["ecs"]
    assert joining["STATE_DIR"] == str(up.folder)
    assert {"DATABASE_URL", "REDIS_URL", "CHARGEHAND_ENV"} <= joining.keys()


def test_with_json_the_content_of_the_stack_file_is_the_only_line_on_standard_output(up: Up) -> None:
    [line] = up.standard_output.splitlines()

    assert json.loads(line) == up.stack


def test_the_ecs_serves_only_clients_with_the_stacks_credentials(up: Up) -> None:
    joining = up.stack["environment"]
    owner = (joining["AWS_ACCESS_KEY_ID"], joining["AWS_SECRET_ACCESS_KEY"])

    def clusters(key: str, secret: str) -> list[str]:
        session = boto3.Session(key, secret, region_name=joining["AWS_REGION"])
        return session.client("ecs", endpoint_url=up.stack["ecs"]).list_clusters()["clusterArns"]

    assert len(clusters(*owner)) == 1
    for stranger in (("embedded", "embedded"), ("tests", "tests"), (owner[0], "embedded")):
        with pytest.raises(ClientError, match=r"UnrecognizedClientException|InvalidSignatureException"):
            clusters(*stranger)
    with pytest.raises(HTTPError, match="401"):
        urlopen(f"{up.stack['ecs']}/_chargehand/tasks")  # noqa: S310


def test_other_users_read_nothing_in_the_state_folder(up: Up) -> None:
    """Logs, the ECS's services and PostgreSQL's tables hold data of tenants."""
    folder = up.folder
    up.post("/ocpp/chargers?wait=30&until=accepted", CHARGER | {"ws_url": up.stack["csms"]})

    found = {path.relative_to(folder): path.lstat().st_mode for path in folder.rglob("*")}

    ours = {path for path in found if path.name not in {"up.out", "up.json"}}  # those are this test's
    assert [path for path in ours if found[path] & 0o077] == []
    assert folder.stat().st_mode & 0o066 == 0  # root's PostgreSQL, another user, has to enter it
    names = {path.parts[0] for path in ours}
    assert names >= {
        "ecs",
        "logs",
        "postgres",
        "redis",
        "stack.json",
        "ecs-secret-access-key",
    }


def test_a_second_command_on_the_same_state_is_refused_in_one_line(up: Up) -> None:
    printed = refused(STATE_DIR=str(up.folder), PORT=str(free_port()))

    assert printed == (
        f"Error: chargehand runs already on {up.folder} (pid {up.process.pid}): "
        "stop that, or choose another folder with STATE_DIR\n"
    )
