"""The frames of a charger, on the command line and for programs."""

import json
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import psycopg
import pytest

from chargehand.client.frames import Follower, newest_frames
from chargehand.pytest_plugin import RunningStack
from tests.cli.conftest import COMMAND, Run, description_of, environment_of
from tests.embedded.waiting import wait_until


def test_logs_are_one_line_per_frame_with_the_newest_at_the_bottom(run: Run, name: str) -> None:
    run("chargers", "create", name, "-q")
    wait_until(lambda: len(run("chargers", "logs", name, "--json").json) >= 6)

    lines = run("chargers", "logs", name).out.splitlines()

    assert "→ BootNotification" in lines[0]
    assert "← BootNotification" in lines[1]
    assert '"status":"Accepted"' in lines[1]
    times = [line.split()[0] for line in lines]
    assert times == sorted(times)
    assert run("chargers", "logs", name, "--limit", "1").out.splitlines() == [lines[-1]]
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
    seen = [json.loads(following.stdout.readline())]

    run("chargers", "restart", name)
    wait_until(lambda: len(newest_frames(chargehand.client, charger["id"], 100, "BootNotification")) == 4)
    while len([frame for frame in seen if frame["action"] == "BootNotification"]) < 4:
        seen.append(json.loads(following.stdout.readline()))
    following.send_signal(signal.SIGINT)
    rest, err = following.communicate(timeout=10)
    seen += [json.loads(line) for line in rest.splitlines()]

    assert (following.returncode, err) == (130, "")
    shown = [frame["message"] for frame in seen]
    listed = [frame["message"] for frame in newest_frames(chargehand.client, charger["id"], 100)]
    assert sorted(shown) == sorted(set(shown))
    assert set(shown) <= set(listed)
    assert set(listed[: len(shown)]) - set(shown) == set()


@pytest.fixture
def database(chargehand: RunningStack) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    with psycopg.connect(description_of(chargehand)["database"], autocommit=True) as connection:
        yield connection


def test_a_follower_gives_each_frame_once_however_late_and_however_many_come(
    run: Run, name: str, chargehand: RunningStack, database: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    charger_id = run("chargers", "create", name, "-q").out.strip()
    wait_until(lambda: newest_frames(chargehand.client, charger_id, 1))  # so there is a table for today
    random, now = Random(7), datetime.now(UTC).replace(microsecond=0)
    written: list[str] = []

    def write(count: int, around: datetime, spread_s: float) -> None:
        rows = []
        for _ in range(count):
            written.append(f'[2,"{len(written)}","Test",{{}}]')
            at = around - timedelta(milliseconds=round(random.random() * spread_s * 1000))
            rows.append((charger_id, at, f"test-{name}-{len(written)}", written[-1]))
        with database.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO charger_logs (charger_id, timestamp, event_id, direction, action, message) "
                "VALUES (%s, %s, %s, 'cp_to_csms', 'Test', %s)",
                rows,
            )

    write(120, now - timedelta(minutes=10), 60)
    follower = Follower(chargehand.client, charger_id, "Test")
    given = [frame["message"] for frame in follower.first(5)]
    assert len(given) == 5
    before = set(written) - set(given)  # older, and not asked for
    for seconds, count, spread_s in ((1, 7, 0), (2, 2_300, 3), (3, 50, 40), (4, 1, 55), (5, 0, 0)):
        write(count, now + timedelta(seconds=seconds), spread_s)
        given += [frame["message"] for frame in follower.next()]

    assert len(given) == len(set(given))
    assert set(given) == set(written) - before
