"""A time limit holds whatever the API does, and what was over by then is not reported as late."""

import socket
import time
from collections.abc import Iterator

import pytest

from chargehand.client.charger import Charger
from chargehand.client.creating import creations
from chargehand.client.failures import TimeIsUp
from chargehand.client.http import READ_TIMEOUT_S, Client
from chargehand.client.stack import Stack
from chargehand.client.waiting import Outcome, Task, Until, send_all, wait_all
from chargehand.pytest_plugin import RunningStack
from tests.cli.conftest import Run
from tests.cli.proxies import Closed, Limited, served
from tests.support.waiting import wait_until

MANY = 17  # more than requests at once; on a host, whose one process costs what one of them does


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that takes every request and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    "command",
    [
        ("create", "CP-1"),
        ("create", "CP-{n}", "--count", "40"),
        ("create", "CP-1", "--brand", "abb"),
        ("start", "CP-1"),
        ("wait", "dep-1"),
    ],
    ids=" ".join,
)
def test_an_api_that_does_not_answer_ends_a_wait_with_3_in_time(
    run: Run, silent: str, command: tuple[str, ...]
) -> None:
    began = time.monotonic()

    done = run("chargers", *command, "--timeout", "1", CHARGEHAND_URL=silent)

    assert done.status == 3
    assert "in time" in done.err
    assert time.monotonic() - began < READ_TIMEOUT_S


def test_an_api_that_does_not_answer_ends_a_condition_in_time(silent: str) -> None:
    began = time.monotonic()
    with Client(Stack(silent, "token")) as client, pytest.raises(TimeIsUp):
        Charger(client, "dep-1", "CP-1").wait_until(bool, within_s=0.5)

    assert time.monotonic() - began < READ_TIMEOUT_S


def test_each_of_many_chargers_is_read_after_it_was_sent_however_short_the_time(
    chargehand: RunningStack, name: str
) -> None:
    identities = [f"{name}-{number}" for number in range(MANY)]
    tasks = creations(chargehand.client, identities, until=Until.ACCEPTED, placement="shared")
    send_all(chargehand.client, tasks)
    wait_until(
        lambda: len(list(chargehand.client.chargers(q=name, ocpp_state="accepted", status="READY"))) == MANY,
        60,
    )
    wait_until(lambda: {newest_status(chargehand, task) for task in tasks} == {"succeeded"}, 60)

    wait_all(chargehand.client, tasks, 0)

    assert {task.outcome for task in tasks} == {Outcome.DONE}


def newest_status(chargehand: RunningStack, task: Task) -> str:
    """Of the charger's newest command."""
    newest = chargehand.client.get(f"/ocpp/chargers/{task.charger_id}/commands", limit=1)["data"][0]
    return str(newest["status"])


def test_many_chargers_are_waited_for_until_the_csms_has_accepted_each(run: Run, name: str) -> None:
    many = (f"{name}-{{n}}", "--count", str(MANY), "--placement", "shared")
    created = run("chargers", "create", *many, "--json")

    assert created.status == 0, created.err
    assert [row["state"] for row in created.json] == ["accepted"] * MANY
    restarted = run("chargers", "restart", "--all", "--search", name, "--json")
    assert [row["state"] for row in restarted.json] == ["accepted"] * MANY
    assert [row["runtime"]["generation"] for row in restarted.json] == [2] * MANY


def test_a_rate_limit_delays_a_wait_and_does_not_end_it(
    run: Run, name: str, chargehand: RunningStack
) -> None:
    with served(Limited, chargehand.url) as url:
        created = run("chargers", "create", name, "--until", "final", "--json", CHARGEHAND_URL=url)

    assert (created.status, created.json["state"]) == (0, "running")


def test_a_rate_limit_that_lets_nothing_pass_ends_a_wait_with_3_in_time(
    run: Run, name: str, chargehand: RunningStack
) -> None:
    with served(Closed, chargehand.url) as url:
        created = run("chargers", "create", name, "--timeout", "1", CHARGEHAND_URL=url)

    assert created.status == 3
    assert f"{name}: not accepted in time: no answer yet" in created.err
