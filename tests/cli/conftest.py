"""A running stack, and the command as a shell runs it."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from chargehand.cli import main
from chargehand.client.waiting import Task, delete_created
from chargehand.pytest_plugin import RunningStack
from embedded.stack.state_folder import STACK_FILE

COMMAND = (sys.executable, "-m", "chargehand")
SET_BY_TOKEN = ("DATABASE_URL", "REDIS_URL")
NOBODY = "ws://127.0.0.1:9/ocpp"
PLACE = (
    *("--address", "Jungfernstieg 1", "--city", "Hamburg", "--country", "DE"),
    *("--coordinates", "53.55,9.99"),
)


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Done]


def environment_of(stack: RunningStack) -> dict[str, str]:
    """Only the variables of the stack."""
    return {
        "PATH": os.environ["PATH"],
        "CHARGEHAND_URL": stack.url,
        "CHARGEHAND_TOKEN": stack.token,
        "CHARGEHAND_CSMS_URL": stack.csms_url or "",
    }


def description_of(stack: RunningStack) -> dict[str, Any]:
    """The content of its stack.json."""
    assert stack.folder is not None
    description: dict[str, Any] = json.loads((stack.folder / STACK_FILE).read_text())
    return description


def run_with(environment: dict[str, str], *arguments: str) -> Done:
    """Run the command in this process, which saves the second that a new process takes to import everything."""
    elsewhere: dict[str, str | None] = {
        name: None for name in os.environ if name.startswith(("CHARGEHAND_", "STATE_DIR"))
    }
    elsewhere |= {name: os.environ.get(name) for name in SET_BY_TOKEN}  # put back afterwards
    done = CliRunner(env={**elsewhere, **environment}).invoke(main, arguments, prog_name="chargehand")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return Done(done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def run(chargehand: RunningStack) -> Run:
    """Runs the command against the stack: `run("chargers", "list")`."""

    def run(*arguments: str, **environment: str) -> Done:
        return run_with(environment_of(chargehand) | environment, *arguments)

    return run


@pytest.fixture
def name(chargehand: RunningStack) -> Iterator[str]:
    """A new identity. Chargers whose identities begin with it are deleted after the test."""
    name = f"CP-{uuid4().hex[:8]}"
    yield name
    rows = chargehand.client.chargers(q=name)
    mine = [Task(row["identity"], charger_id=row["id"]) for row in rows if row["identity"].startswith(name)]
    assert delete_created(chargehand.client, mine) == []


@pytest.fixture
def site(run: Run, name: str, chargehand: RunningStack) -> Iterator[str]:
    """The id of a location with that name."""
    location_id = run("locations", "create", name, *PLACE, "--quiet").out.strip()
    assert location_id
    yield location_id
    chargehand.client.delete(f"/ocpp/locations/{location_id}")
