"""`chargehand operations`: the state of the service on one screen."""

from copy import deepcopy
from typing import Any

import pytest

from api.http.operations.examples import EXAMPLES
from chargehand.operations import _is_well, _print
from tests.cli.conftest import Run


@pytest.fixture
def state() -> Any:
    return deepcopy(EXAMPLES.answer)


def test_the_state_is_one_screen(run: Run) -> None:
    done = run("operations")

    assert "database: The database answers" in done.out
    assert "broker: The broker takes messages" in done.out
    lifecycle = next(line for line in done.out.splitlines() if line.startswith("lifecycle"))
    assert int(lifecycle.split()[1]) >= 1
    assert "maintenance.observe" in done.out
    assert max(map(len, done.out.splitlines())) < 160
    assert len(done.out.splitlines()) < 50


def test_programs_get_the_answer_as_json(run: Run) -> None:
    state = run("operations", "--json").json

    assert {"commands", "workers", "budget", "maintenance", "lights", "links"} <= state.keys()


def test_what_is_away_stands_first_and_a_queue_without_a_worker_is_named(
    state: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    state["lights"][1] |= {"ok": False, "detail": "The broker is not available"}
    state["commands"]["by_queue"][0]["served_by"] = 0
    state["workers"][0]["alive"] = False

    _print(state)

    out = capsys.readouterr().out
    assert out.splitlines()[0] == "AWAY  broker: The broker is not available"
    assert "NO WORKER serves lifecycle" in out
    assert "NOT SEEN" in out
    assert "31 open, 30 of them held by the rate budget" in out


def test_the_exit_status_says_whether_all_is_well(state: Any) -> None:
    assert _is_well(state)

    state["commands"]["by_queue"][0]["served_by"] = 0

    assert not _is_well(state)
