"""Every program says in its last line which setting is wrong, and ends with an error.

Which values are wrong is tested in tests/shared/startup/test_environment.py, without a process.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = {
    "DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:1/nothing",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "JWT_SECRET": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c",
}
CELERY = ("celery", "-A", "worker.celery_app")
PROGRAMS = {
    "api": ("gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app"),
    "worker": (*CELERY, "worker", "-c", "1"),
    "beat": (*CELERY, "beat"),
    "flower": (*CELERY, "flower", "--port=0"),
    "report": (*CELERY, "report"),
    "migrate": ("chargehand", "migrate"),
    "link": ("link",),
    "up": ("chargehand", "up"),
    "ecs": ("embedded.ecs", "--state-dir", "ecs"),
    "csms": ("embedded.csms", "--port", "0"),
}
USES_SETTINGS = ("api", "worker", "beat", "flower", "migrate", "link")


def start(folder: Path, name: str, *more: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the program with good settings, except for those in `environment`."""
    return subprocess.run(
        [sys.executable, "-m", *PROGRAMS[name], *more],
        env={"PATH": os.environ["PATH"], "STATE_DIR": str(folder / "state"), **GOOD, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def assert_one_line(done: "subprocess.CompletedProcess[str]", reason: str) -> None:
    assert done.returncode != 0
    assert reason in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("name", USES_SETTINGS)
def test_a_process_with_a_bad_setting_says_so_in_one_line_and_ends(name: str, tmp_path: Path) -> None:
    done = start(tmp_path, name, JWT_SECRET="short")

    assert_one_line(done, "JWT_SECRET must have at least 32 bytes")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "environment", "reason"),
    [
        ("api", {"JWT_SECRET": ""}, "JWT_SECRET is not set"),
        ("link", {}, "CONTROL_SECRET is not set"),
        ("api", {"ENCRYPTION_KEYS": "short"}, "ENCRYPTION_KEYS must be keys of 32 bytes"),
        ("worker", {"CONTROL_URL": "wss://link.test/control"}, "CONTROL_SECRET is not set"),
        ("flower", {"FLOWER_BASIC_AUTH_FILE": "/nowhere"}, "FLOWER_BASIC_AUTH_FILE cannot be read"),
        ("migrate", {"DATABASE_URL": "postgresql://localhost/db?no_such=1"}, "no_such"),
        ("up", {"JWT_ALGORITHM": "RS256"}, "JWT_PUBLIC_KEY or JWT_JWKS_URL (http or https) must be set"),
        ("api", {"GUNICORN_CMD_ARGS": "--preload"}, "GUNICORN_CMD_ARGS must not be set"),
        ("flower", {"FLOWER_PORT": "tcp://10.0.0.1:5555"}, "FLOWER_PORT must be int, and is 'tcp://10.0.0.1"),
        ("flower", {"FLOWER_PERSISTENT": "perhaps"}, "FLOWER_PERSISTENT must be bool, and is 'perhaps'"),
        ("ecs", {"ECS_EMBEDDED_PORT": "99999"}, "99999 is not in the range"),
        ("ecs", {"ECS_EMBEDDED_TASK_COMMAND": "it's"}, "No closing quotation"),
    ],
)
def test_the_last_line_says_which_setting_is_wrong(
    name: str, environment: dict[str, str], reason: str, tmp_path: Path
) -> None:
    assert_one_line(start(tmp_path, name, **environment), reason)


def test_a_second_start_says_the_same(tmp_path: Path) -> None:
    wrong = {"SWEEP_SECONDS": "0", "ECS_QUOTAS": "fast", "RATE_LIMIT": "abc"}

    first, second = (start(tmp_path, "migrate", **wrong) for _ in range(2))

    assert first.returncode != 0
    assert (second.returncode, second.stderr) == (first.returncode, first.stderr)


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        (
            "--broker=redis://127.0.0.1:2/0",
            "--broker has no effect: REDIS_URL or BROKER_URL names the broker",
        ),
        ("--loader=elsewhere", "--loader has no effect"),
    ],
)
def test_an_option_of_celery_that_leads_elsewhere_is_refused(
    option: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PROGRAMS, "report", ("celery", option, *CELERY[1:], "report"))

    assert_one_line(start(tmp_path, "report"), reason)


@pytest.mark.parametrize(
    ("broker", "used"),
    [
        ({}, "redis://:********@127.0.0.1:1/0"),
        ({"BROKER_URL": "amqp://127.0.0.1:2//"}, "amqp://guest:********@127.0.0.1:2//"),
    ],
)
def test_variables_that_would_lead_celery_elsewhere_have_no_effect(
    broker: dict[str, str], used: str, tmp_path: Path
) -> None:
    strays = {
        "CELERY_BROKER_URL": "redis://127.0.0.1:3/0",
        "CELERY_BROKER_READ_URL": "redis://127.0.0.1:4/0",
        "CELERY_BROKER_WRITE_URL": "redis://127.0.0.1:5/0",
        "CELERY_RESULT_BACKEND": "redis://127.0.0.1:6/0",
        "CELERY_LOADER": "elsewhere",
        "CELERY_CONFIG_MODULE": "elsewhere",
        "LOADER": "elsewhere",
        "CONFIG_MODULE": "elsewhere",
        "DJANGO_SETTINGS_MODULE": "elsewhere",
        "PSYCOPG_IMPL": "elsewhere",
        "FLOWER_BASIC_AUTH_FILE": "/elsewhere",  # only Flower reads it
    }

    done = start(tmp_path, "report", **strays, **broker)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"broker_url: '{used}'" in done.stdout
    assert "elsewhere" not in done.stdout
    assert "127.0.0.1:3" not in done.stdout


def test_the_csms_refuses_what_is_not_a_port(tmp_path: Path) -> None:
    assert_one_line(start(tmp_path, "csms", "--port", "70000"), "70000 is not in the range")
