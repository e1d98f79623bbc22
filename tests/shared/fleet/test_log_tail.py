"""Following the logs of chargers: each entry comes once, also one that is stored late."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.fleet.logs import Tail, read_tails
from shared.fleet.logs.tail import MAX_ENTRIES
from tests.support.log_entries import Row, frame, remark, write_entries
from worker.logs.partitions import ensure_partitions

CHARGER = "dep-1"


@pytest.fixture(autouse=True)
def days(sessions: Sessions) -> None:
    now = datetime.now(UTC)
    with sessions.begin() as session:
        ensure_partitions(session, {(now + timedelta(days=number)).date() for number in (-1, 0, 1)})


def at(age_s: float, row: Row) -> Row:
    """The row with a time `age_s` before now."""
    return row | {"timestamp": datetime.now(UTC) - timedelta(seconds=age_s)}


def store(sessions: Sessions, *rows: Row, charger_id: str = CHARGER) -> None:
    """As the log reader does, which writes its cursor too."""
    write_entries(sessions, charger_id, rows)
    with sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO log_cursors (log_group, read_until_ms) VALUES ('group', 1)"
                " ON CONFLICT (log_group) DO UPDATE SET updated_at = now()"
            )
        )


def read(sessions: Sessions, *tails: Tail) -> list[list[str]]:
    """The ids of the new entries of each tail."""
    with Session(sessions.autocommit) as session:
        found = dict(read_tails(session, tails))
    return [[entry["id"] for entry in found.get(tail, [])] for tail in tails]


def test_a_tail_begins_a_minute_back_and_goes_on_with_what_is_new(sessions: Sessions) -> None:
    tail = Tail(CHARGER)
    store(sessions, at(300, frame(0, "a")), at(30, frame(0, "b")), at(20, remark(0, "c", "info", "x")))

    first = read(sessions, tail)
    store(sessions, at(10, frame(0, "d")))

    assert first == [["b", "c"]]
    assert read(sessions, tail) == [["d"]]
    assert read(sessions, tail) == [[]]


def test_a_line_that_is_stored_late_comes_once(sessions: Sessions) -> None:
    tail = Tail(CHARGER)
    store(sessions, at(30, frame(0, "a")), at(10, frame(0, "c")))
    read(sessions, tail)

    store(sessions, at(20, frame(0, "b")), at(40, remark(0, "z", "info", "x")), at(5, frame(0, "d")))

    assert read(sessions, tail) == [["z", "b", "d"]]
    store(sessions)
    assert read(sessions, tail) == [[]]


def test_two_lines_of_one_moment_both_come(sessions: Sessions) -> None:
    """The lines of both tables, whichever was stored first."""
    moment = datetime.now(UTC) - timedelta(seconds=5)
    tail = Tail(CHARGER)
    for row in (frame(0, "b"), remark(0, "b", "info", "x"), frame(0, "a"), frame(0, "c")):
        store(sessions, row | {"timestamp": moment})

        assert read(sessions, tail) == [[row["event_id"]]]


def test_many_entries_come_over_several_calls(sessions: Sessions) -> None:
    count = 2 * MAX_ENTRIES + 5
    tail = Tail(CHARGER)
    store(sessions, *(at(30 - number / 100, frame(0, f"{number:04}")) for number in range(count)))

    calls = [read(sessions, tail)[0] for _ in range(4)]

    assert [len(ids) for ids in calls] == [MAX_ENTRIES, MAX_ENTRIES, 5, 0]
    assert [id_ for ids in calls for id_ in ids] == [f"{number:04}" for number in range(count)]


def test_each_tail_has_its_own_place(sessions: Sessions) -> None:
    store(sessions, at(20, frame(0, "a")))
    early, other = Tail(CHARGER), Tail("dep-2")
    read(sessions, early)
    store(sessions, at(10, frame(0, "b")))
    store(sessions, at(10, frame(0, "x")), charger_id="dep-2")

    late = Tail(CHARGER)

    assert read(sessions, early, late, other) == [["b"], ["a", "b"], ["x"]]


@pytest.fixture
def statements(sessions: Sessions) -> Iterator[list[str]]:
    noted: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        noted.append(statement)

    event.listen(sessions.autocommit, "before_cursor_execute", note)
    yield noted
    event.remove(sessions.autocommit, "before_cursor_execute", note)


def test_a_call_costs_one_query_while_nothing_is_stored(sessions: Sessions, statements: list[str]) -> None:
    tails = [Tail(f"dep-{number}") for number in range(50)]
    store(sessions, at(10, frame(0, "a")), charger_id="dep-7")
    read(sessions, *tails)
    statements.clear()

    read(sessions, *tails)
    waiting = len(statements)
    store(sessions)
    statements.clear()
    read(sessions, *tails)

    assert waiting == 1
    assert len(statements) == 3
