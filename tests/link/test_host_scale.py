"""A host with many chargers costs the link statements and frames by the portion, not by the charger."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Engine, Text, cast, event, func, insert, literal, select, true, update
from sqlalchemy.dialects.postgresql import JSONB

from link.process import Link
from shared.database.engine import Sessions
from shared.models import Action, Charger, ChargerMemory, ChargerReport, HostCharger
from tests.link.conftest import Connect
from tests.support.control_hosts import HostRows, next_desired, observe, say_hello
from tests.support.control_link import ControlRows, ScriptedProcess, in_s
from tests.support.waiting import wait_until

CHARGERS = 1_000
MAX_FRAME_BYTES = 128 * 1024


@contextmanager
def statements_of_links() -> Iterator[list[str]]:
    """The statements that links execute meanwhile: those of their threads."""
    executed: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if threading.current_thread().name.startswith("database"):
            executed.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield executed
    finally:
        event.remove(Engine, "before_cursor_execute", count)


def given_chargers(rows: ControlRows, count: int) -> list[str]:
    """Copies of one charger."""
    first = rows.charger("CP-0")
    numbers = select(func.generate_series(1, count - 1).label("number")).subquery()
    values: dict[str, ColumnElement[Any]] = {
        column.name: column
        for column in Charger.__table__.columns
        if column.computed is None and column.name not in ("id", "identity")
    }
    values |= {
        "id": literal("dep-copy-") + cast(numbers.c.number, Text),
        "identity": literal("CP-") + cast(numbers.c.number, Text),
    }
    copies = select(*values.values()).select_from(Charger).join(numbers, true()).where(Charger.id == first)
    with rows.sessions.begin() as session:
        session.execute(insert(Charger).from_select(list(values), copies))
        return list(session.scalars(select(Charger.id)))


def given_memories(rows: ControlRows, memory: dict[str, Any]) -> None:
    """The same one for every charger that is placed."""
    with rows.sessions.begin() as session:
        values = select(HostCharger.charger_id, literal(memory, JSONB), func.now())
        session.execute(insert(ChargerMemory).from_select(["charger_id", "memory", "saved_at"], values))


def given_actions(rows: ControlRows) -> None:
    """A queued one for every charger that runs on a host."""
    values = {
        "charger_id": HostCharger.charger_id,
        "boot_id": HostCharger.boot_id,
        **{name: literal(name) for name in ("organization_id", "requested_by")},
        "name": literal("plug_connector"),
        "event": literal({"connector_id": 1}, JSONB),
        "status": literal("queued"),
        "expires_at": in_s(30),
    }
    with rows.sessions.begin() as session:
        session.execute(
            insert(Action).from_select(list(values), select(*values.values()).where(HostCharger.running))
        )


@pytest.fixture
def crowd(rows: ControlRows) -> tuple[HostRows, str, list[str]]:
    """A host, and chargers that are placed on it and are to run."""
    hosts = HostRows(rows.sessions)
    host_id, charger_ids = hosts.host(), given_chargers(rows, CHARGERS)
    hosts.place(host_id, *charger_ids)
    return hosts, host_id, charger_ids


def follow(host: ScriptedProcess, count: int, generation: int) -> None:
    """Answer frames until so many chargers have had this generation. An entry may come twice."""
    followed: set[str] = set()
    while len(followed) < count:
        entries = host.hear("desired")["desired"]
        followed |= {each["charger"] for each in entries if each["generation"] == generation}
        host.say(
            "observed",
            observed=[
                {
                    **{"charger": each["charger"], "generation": each["generation"]},
                    **{
                        "running": bool(each["desired_count"]),
                        "boot": f"b{each['generation']}",
                        "fault": None,
                    },
                }
                for each in entries
            ],
        )


def connected(sessions: Sessions, host_id: str) -> int:
    with sessions() as session:
        mine = select(func.count()).where(ChargerReport.process_id == host_id)
        return session.scalar(mine) or 0


def test_a_thousand_chargers_start_stop_and_act_with_few_statements(
    rows: ControlRows, crowd: tuple[HostRows, str, list[str]], connect: Connect
) -> None:
    hosts, host_id, _ = crowd
    host = connect(host_id)

    with statements_of_links() as executed:
        say_hello(host)
        follow(host, CHARGERS, 1)
        wait_until(lambda: connected(rows.sessions, host_id) == CHARGERS, 30)
        given_actions(rows)
        actions = host.next_actions(CHARGERS)
        host.say(
            "results",
            results=[{"charger": each["charger"], "id": each["id"], "status": "applied"} for each in actions],
        )
        wait_until(lambda: rows.count("applied") == CHARGERS, 30)
        with rows.sessions.begin() as session:
            session.execute(update(HostCharger).values(generation=2, desired_count=0))
        follow(host, CHARGERS, 2)
        wait_until(lambda: hosts.running(host_id) == 0, 30)
        wait_until(lambda: connected(rows.sessions, host_id) == 0, 30)

    assert len(executed) < CHARGERS / 4


def test_no_frame_is_longer_than_a_host_takes_and_no_memory_is_left_out(
    rows: ControlRows, crowd: tuple[HostRows, str, list[str]], connect: Connect
) -> None:
    _, host_id, charger_ids = crowd
    memory = {"outbox": ["x" * 2_000]}
    given_memories(rows, memory)
    host = connect(host_id)
    say_hello(host)

    frames: list[dict[str, Any]] = []
    while sum(len(frame["desired"]) for frame in frames) < CHARGERS:
        frames.append(host.hear("desired"))

    assert {entry["charger"] for frame in frames for entry in frame["desired"]} == set(charger_ids)
    assert all(entry["memory"] == memory for frame in frames for entry in frame["desired"])
    assert (
        max(len(str(frame)) for frame in frames) <= MAX_FRAME_BYTES * 1.1
    )  # with the blanks of Python's text


def test_long_memories_come_in_as_many_portions_as_the_session_can_carry(
    rows: ControlRows,
    crowd: tuple[HostRows, str, list[str]],
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after hours without a CSMS: 200 of them at once would be too much for the session."""
    monkeypatch.setattr("link.session.MAX_UNSENT_CHARACTERS", 2_000_000)
    _, host_id, charger_ids = crowd
    given_memories(rows, {"outbox": [token_hex(10_000)]})
    host = connect(host_id)

    say_hello(host)

    assert {entry["charger"] for entry in next_desired(host, CHARGERS, within_s=60)} == set(charger_ids)


def test_a_host_that_does_not_read_gets_the_rest_when_it_does_and_delays_no_other(
    rows: ControlRows,
    crowd: tuple[HostRows, str, list[str]],
    connect: Connect,
    link: Link,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("link.session.MAX_UNSENT_CHARACTERS", 6_000_000)  # a portion is 4,000,000 long
    hosts, host_id, charger_ids = crowd
    slow, other_id, other_charger = connect(host_id, max_queue=1), hosts.host(), rows.charger("CP-other")
    given_memories(rows, {"outbox": ["x" * 20_000]})
    slow.send_hello(chargers=[])
    other = connect(other_id)
    say_hello(other)
    hosts.place(other_id, other_charger)

    for generation in range(2, 12):
        [entry] = next_desired(other)
        assert entry["charger"] == other_charger
        observe(other, other_charger, entry["generation"])
        hosts.decide(other_charger, generation)

    slow.hear("welcome")
    assert {entry["charger"] for entry in next_desired(slow, CHARGERS, within_s=30)} == set(charger_ids)
    assert link.connections == 2
