"""Which stack a command uses, and its error when there is none."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from chargehand.pytest_plugin import RunningStack
from tests.cli.conftest import Run, description_of, environment_of, run_with

LIST = ("chargers", "list", "--json")
REMEDY = "start one with `make run`, or set CHARGEHAND_URL and CHARGEHAND_TOKEN"


def state_of(stack: RunningStack) -> dict[str, str]:
    return {"STATE_DIR": str(stack.folder)}


def test_the_stack_of_the_state_folder_is_found(chargehand: RunningStack) -> None:
    assert run_with(state_of(chargehand), *LIST).status == 0


def test_without_any_stack_the_remedy_is_named(tmp_path: Path) -> None:
    done = run_with({"STATE_DIR": str(tmp_path)}, *LIST)

    assert (done.status, done.err) == (4, f"Error: no stack runs on {tmp_path}: {REMEDY}\n")


def test_a_stack_file_that_a_killed_run_left_counts_for_nothing(
    tmp_path: Path, chargehand: RunningStack
) -> None:
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    (tmp_path / "stack.json").write_text(json.dumps({**description_of(chargehand), "pid": ended.pid}))

    assert run_with({"STATE_DIR": str(tmp_path)}, *LIST).status == 4


def test_where_nothing_listens_the_cause_and_the_remedy_are_named(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

    done = run(*LIST, CHARGEHAND_URL=url)

    assert (done.status, done.err) == (4, f"Error: nothing answers at {url} (Connection refused): {REMEDY}\n")


@pytest.mark.parametrize(
    ("environment", "status", "message"),
    [
        (
            {"CHARGEHAND_TOKEN": "abc"},
            1,
            "does not take the token (The token is not valid): set CHARGEHAND_TOKEN",
        ),
        ({"CHARGEHAND_TOKEN": ""}, 1, "set CHARGEHAND_TOKEN or CHARGEHAND_TOKEN_FILE"),
        ({"CHARGEHAND_TOKEN": "zwei\nZeilen"}, 1, "the token has characters that no token has"),
        ({"CHARGEHAND_ORGANIZATION": "a b/ü"}, 1, "CHARGEHAND_ORGANIZATION must be printable ASCII"),
        ({"CHARGEHAND_TOKEN_FILE": "/dev/null"}, 1, "are both set: set one of them"),
        (
            {"CHARGEHAND_TOKEN": "", "CHARGEHAND_TOKEN_FILE": "/no/such"},
            1,
            "/no/such cannot be read: No such file",
        ),
        ({"CHARGEHAND_URL": "127.0.0.1:8000"}, 1, "is not an http:// or https:// URL"),
        ({"CHARGEHAND_URL": "http://127.0.0.1:99999"}, 1, "is not an http:// or https:// URL"),
        ({"CHARGEHAND_ORGANIZATION": "acme"}, 1, "X-Organization-Id is for admin tokens"),
    ],
)
def test_a_variable_that_does_not_fit_is_named_in_one_line(
    run: Run, environment: dict[str, str], status: int, message: str
) -> None:
    done = run(*LIST, **environment)

    assert (done.status, done.out) == (status, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1


def test_a_token_may_lie_in_a_file(run: Run, chargehand: RunningStack, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{chargehand.token}\n")

    assert run(*LIST, CHARGEHAND_TOKEN="", CHARGEHAND_TOKEN_FILE=str(file)).status == 0


def test_an_admin_names_the_organization(run: Run, chargehand: RunningStack, name: str) -> None:
    admin = run_with(state_of(chargehand), "token", "--role", "admin", "--json").json["token"]
    run("chargers", "create", name, "--no-wait", "-q")

    without = run(*LIST, CHARGEHAND_TOKEN=admin)
    ours = run(*LIST, CHARGEHAND_TOKEN=admin, CHARGEHAND_ORGANIZATION="demo")
    others = run(*LIST, CHARGEHAND_TOKEN=admin, CHARGEHAND_ORGANIZATION="nobody")

    assert (without.status, "set CHARGEHAND_ORGANIZATION" in without.err) == (1, True)
    assert name in {row["identity"] for row in ours.json}
    assert others.json == []


def test_a_proxy_of_the_environment_is_not_used_for_loopback(run: Run) -> None:
    assert run(*LIST, http_proxy="http://127.0.0.1:9", no_proxy="").status == 0


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_env_makes_a_second_terminal_one_of_the_stack(chargehand: RunningStack, shell: str) -> None:
    executable = Path(sys.executable).with_name("chargehand")
    script = f"""
        eval "$({executable} env)" || exit
        unset STATE_DIR
        cd / && chargehand chargers list --json >&2 && env
    """
    done = subprocess.run(
        [shell, "-c", script],
        env={"PATH": os.environ["PATH"], **state_of(chargehand), "AWS_PROFILE": "of another life"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    variables = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    description = description_of(chargehand)
    assert variables["CHARGEHAND_CSMS_URL"] == description["csms"]
    assert variables["DATABASE_URL"] == description["environment"]["DATABASE_URL"]
    assert variables["AWS_ENDPOINT_URL"] == description["ecs"]
    assert "AWS_PROFILE" not in variables
    assert variables["PATH"].startswith(str(executable.parent))


def test_env_without_a_stack_exports_nothing(tmp_path: Path) -> None:
    done = run_with({"STATE_DIR": str(tmp_path)}, "env")

    assert (done.status, done.out) == (4, "")


@pytest.mark.parametrize(
    ("shell", "word"), [("bash", "complete -o"), ("zsh", "#compdef"), ("fish", "complete --")]
)
def test_completion_prints_the_script_of_a_shell(shell: str, word: str) -> None:
    assert word in run_with({}, "completion", shell).out


def test_completion_knows_commands_identities_and_locations(
    run: Run, name: str, site: str, chargehand: RunningStack
) -> None:
    run("chargers", "create", name, "--no-wait", "-q")

    def complete(words: str) -> str:
        done = subprocess.run(
            [Path(sys.executable).with_name("chargehand")],
            env={
                **environment_of(chargehand),
                "_CHARGEHAND_COMPLETE": "bash_complete",
                "COMP_WORDS": words,
                "COMP_CWORD": str(len(words.split()) - 1),
            },
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        return done.stdout

    assert complete("chargehand chargers rest") == "plain,restart\n"
    assert f"plain,{name}" in complete(f"chargehand chargers stop {name[:6]}").splitlines()
    assert f"plain,{name}" in complete(f"chargehand locations get {name[:6]}").splitlines()
