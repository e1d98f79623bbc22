"""The frames of a charger, on the command line and for programs."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from threading import Timer
from typing import Any

import psycopg
import pytest

from chargehand.client.frames import Follower, newest_frames
from chargehand.client.http import Client
from chargehand.pytest_plugin import RunningStack
from tests.cli.conftest import COMMAND, Run, description_of, environment_of
from tests.support.waiting import wait_until


def test_logs_are_one_line_per_frame_with_the_newest_at_the_bottom(run: Run, name: str) -> None:
    run("chargers", "create", name, "-q")
    wait_until(lambda: len(run("chargers", "logs", name, "--json").json) >= 6)

    lines = run("chargers", "logs", name).out.splitlines()

    assert "→ BootNotification" in lines[0]
    assert "← BootNotification" in lines[1]
    assert '"status":"Accepted"' in lines[1]
    times = [line.split()[0] for line in lines]
    assert times == sorted(times)
    [newest] = run("chargers", "logs", name, "--limit", "1").out.splitlines()
    assert newest in run("chargers", "logs", name).out.splitlines()[len(lines) - 1 :]  # more may have come
    boots = run("chargers", "logs", name, "--event", "BootNotification", "--json").json
    assert [frame["direction"] for frame in boots] == ["cp_to_csms", "csms_to_cp"]


def test_following_shows_each_frame_once_until_ctrl_c(run: Run, name: str, chargehand: RunningStack) -> None:
    charger = run("chargers", "create", name, "--json").json
    following = subprocess.Popen(
        [*COMMAND, "chargers", "logs", name, "--follow", "--json"],
        env=environment_of(chargehand),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert following.stdout is not None
    deadline = Timer(60, following.kill)  # then readline() returns, whatever is missing
    deadline.start()
    seen = [json.loads(following.stdout.readline())]

    run("chargers", "restart", name)
    wait_until(lambda: len(newest_frames(chargehand.client, charger["id"], 100, "BootNotification")) == 4)
    while len([frame for frame in seen if frame["action"] == "BootNotification"]) < 4:
        seen.append(json.loads(following.stdout.readline()))
    # The process polls, so what comes after this listing may not be shown before the signal.
    listed = messages(newest_frames(chargehand.client, charger["id"], 100))
    since_first = set(listed[listed.index(seen[0]["message"]) :])
    while not since_first <= set(messages(seen)):
        seen.append(json.loads(following.stdout.readline()))
    following.send_signal(signal.SIGINT)
    rest, err = following.communicate(timeout=10)
    deadline.cancel()
    seen += [json.loads(line) for line in rest.splitlines()]

    assert (following.returncode, err) == (130, "")
    shown = messages(seen)
    assert sorted(shown) == sorted(set(shown))
    assert set(shown) <= set(messages(newest_frames(chargehand.client, charger["id"], 100)))


def messages(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["message"] for frame in frames]


@pytest.fixture
def database(chargehand: RunningStack) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    with psycopg.connect(description_of(chargehand)["database"], autocommit=True) as connection:
        yield connection


Write = Callable[[int, datetime, float], list[str]]


@pytest.fixture
def write(
    run: Run, name: str, chargehand: RunningStack, database: "psycopg.Connection[tuple[object, ...]]"
) -> Write:
    """Adds frames to the log of the charger `name`, as a worker does: so many, at random in the time before."""
    charger_id = run("chargers", "create", name, "-q").out.strip()
    wait_until(lambda: newest_frames(chargehand.client, charger_id, 1))  # so there is a table for today
    random, numbers = Random(7), count()

    def write(how_many: int, until: datetime, spread_s: float) -> list[str]:
        written, rows = [], []
        for _ in range(how_many):
            number = next(numbers)
            written.append(f'[2,"{number}","Test",{{}}]')
            at = until - timedelta(milliseconds=round(random.random() * spread_s * 1000))
            rows.append((charger_id, at, f"test-{name}-{number}", written[-1]))
        with database.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO charger_logs (charger_id, timestamp, event_id, direction, action, message) "
                "VALUES (%s, %s, %s, 'cp_to_csms', 'Test', %s)",
                rows,
            )
        return written

    return write


def id_of(run: Run, name: str) -> str:
    return str(run("chargers", "get", name, "--json").json["id"])


def test_a_follower_gives_each_frame_once_however_late_and_however_many_come(
    run: Run, name: str, chargehand: RunningStack, write: Write
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    old = write(120, now - timedelta(minutes=10), 60)
    follower = Follower(chargehand.client, id_of(run, name), "Test")
    given = [frame["message"] for frame in follower.first(5)]
    assert len(given) == 5
    written = list(given)
    for seconds, how_many, spread_s in ((1, 7, 0), (2, 2_300, 3), (3, 50, 40), (4, 1, 55), (5, 0, 0)):
        written += write(how_many, now + timedelta(seconds=seconds), spread_s)
        given += [frame["message"] for frame in follower.next()]

    assert len(given) == len(set(given))
    assert set(given) == set(written)
    assert set(written) & set(old) == set(given[:5])


class Interrupted(Client):
    """Frames come between its requests."""

    def __init__(self, chargehand: RunningStack, write: Write) -> None:
        super().__init__(chargehand.client.stack)
        self._write = write

    def get(self, path: str, **query: Any) -> Any:
        answer = super().get(path, **query)
        self._write(30, datetime.now(UTC) + timedelta(minutes=1), 0)
        return answer


def test_the_newest_frames_are_each_there_once_while_others_come(
    run: Run, name: str, chargehand: RunningStack, write: Write
) -> None:
    written = write(2_500, datetime.now(UTC), 600)

    with Interrupted(chargehand, write) as client:
        found = [frame["message"] for frame in newest_frames(client, id_of(run, name), 2_200, "Test")]

    assert len(found) == len(set(found)) == 2_200
    assert set(found) <= set(written)


def test_frames_are_in_the_order_of_time_also_at_a_full_second(
    run: Run, name: str, chargehand: RunningStack, write: Write
) -> None:
    second = datetime.now(UTC).replace(microsecond=0)
    (late,) = write(1, second + timedelta(milliseconds=500), 0)
    (early,) = write(1, second, 0)

    frames = run("chargers", "logs", name, "--event", "Test", "--json").json

    assert [frame["message"] for frame in frames] == [early, late]


def test_connection_events_say_why_a_charger_does_not_reach_its_csms(run: Run, name: str) -> None:
    run("chargers", "create", name, "--ws-url", "ws://127.0.0.1:9/ocpp", "--no-wait")
    events = ("chargers", "logs", name, "--kind", "connection")
    wait_until(lambda: len(run(*events, "--json").json) >= 2)

    lines = run(*events).out.splitlines()
    first = run(*events, "--json").json[0]

    assert lines[0].endswith("connecting ws://127.0.0.1:9/ocpp/" + name)
    assert lines[1].endswith("disconnected connection_refused nothing listens on 127.0.0.1:9")
    assert (first["identity"], first["state"], first["reason"]) == (name, "connecting", None)
    assert "No remarks" in run("chargers", "logs", name, "--kind", "remark").err
    refused = run("chargers", "logs", name, "--kind", "remark", "--event", "Authorize")
    assert "only frames have that: leave out --event or --kind" in refused.err
    assert refused.status == 2


def test_lines_are_searched_by_text_direction_and_errors(run: Run, name: str) -> None:
    run("chargers", "create", name, "-q")
    logs = ("chargers", "logs", name, "--json")
    wait_until(lambda: len(run(*logs).json) >= 6)

    boots = run(*logs, "--text", "CHARGEPOINTmodel").json
    received = run(*logs, "--direction", "from-csms", "--limit", "2").json
    errors = run("chargers", "logs", name, "--errors")

    assert [(frame["action"], frame["message_type"]) for frame in boots] == [("BootNotification", 2)]
    assert {frame["direction"] for frame in received} == {"csms_to_cp"}
    assert len(received) == 2
    assert (errors.out, "Nothing matches" in errors.err) == ("", True)
    assert "leave out --direction" in run(*logs, "--kind", "remark", "--direction", "to-csms").err
