"""What a person sees: progress, colours and questions, on a pseudo-terminal."""

import os
import pty
import select
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

from chargehand.pytest_plugin import RunningStack
from tests.cli.conftest import COMMAND, NOBODY, Run, environment_of

ESCAPE = "\x1b["


def on_a_terminal(
    environment: dict[str, str], *arguments: str, answer: str = "", when: str = ""
) -> tuple[int, str]:
    """Exit status, and all that the terminal showed. `answer` is typed when `when` has been shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown, deadline = b"", time.monotonic() + 60
    with suppress(OSError):  # Linux's answer when the other end is closed
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            read = os.read(ours, 65_536)
            if not read:
                break
            shown += read
            if answer and when.encode() in shown:
                os.write(ours, answer.encode())
                answer = ""
    os.close(ours)
    return process.wait(timeout=10), shown.decode()


def test_progress_shows_each_charger_and_leaves_a_table(
    run: Run, name: str, chargehand: RunningStack
) -> None:
    status, shown = on_a_terminal(
        environment_of(chargehand), "chargers", "create", f"{name}-{{n}}", "--count", "2"
    )

    assert status == 0
    assert ESCAPE in shown
    assert "of 2 done" in shown
    last = shown[shown.rindex("Identity") :]
    assert f"{name}-1" in last
    assert f"{name}-2" in last
    assert last.count("accepted") >= 2


def test_the_reason_is_shown_while_a_charger_does_not_connect(
    run: Run, name: str, chargehand: RunningStack
) -> None:
    status, shown = on_a_terminal(
        environment_of(chargehand), "chargers", "create", name, "--ws-url", NOBODY, "--timeout", "9"
    )

    assert status == 3
    before_the_end = shown[: shown.index("Identity")]
    assert "nothing listens on 127.0.0.1:9" in before_the_end
    assert f"Error: {name}" in shown


def test_json_has_no_colours_on_a_terminal_either(run: Run, name: str, chargehand: RunningStack) -> None:
    status, shown = on_a_terminal(environment_of(chargehand), "chargers", "create", name, "--json")

    assert status == 0
    assert ESCAPE not in shown
    assert '"state": "accepted"' in shown


def test_delete_asks_before_and_takes_no_for_an_answer(run: Run, name: str, chargehand: RunningStack) -> None:
    run("chargers", "create", name, "--no-wait", "-q")
    delete: Callable[..., tuple[int, str]] = lambda answer: on_a_terminal(  # noqa: E731
        environment_of(chargehand), "chargers", "delete", name, answer=answer, when="[y/N]"
    )

    refused, question = delete("n\n")
    assert refused == 1
    assert f"Delete {name}? [y/N]" in question
    assert run("chargers", "get", name).status == 0

    assert delete("y\n")[0] == 0
    assert run("chargers", "get", name).status == 1


def test_delete_with_yes_does_not_ask(run: Run, name: str, chargehand: RunningStack) -> None:
    run("chargers", "create", name, "--no-wait", "-q")

    status, shown = on_a_terminal(environment_of(chargehand), "chargers", "delete", name, "--yes")

    assert (status, "[y/N]" in shown) == (0, False)
    assert run("chargers", "get", name).status == 1
