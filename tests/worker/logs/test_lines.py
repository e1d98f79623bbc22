"""Remarks and connection events are stored beside the frames, each once, within bounds of their own."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from shared.models import ChargerLink, ChargerLogLine
from tests.support.world import World
from tests.worker.logs.log_group import LogGroup
from worker.logs import lines
from worker.logs.links import MAX_TEXT
from worker.logs.partitions import ensure_partitions, prune_logs


def stored(world: World, charger_id: str, kind: str) -> list[tuple[str | None, ...]]:
    """Level, state, reason and message of each line of this kind, the oldest first."""
    row = ChargerLogLine
    of_kind = (row.charger_id == charger_id, row.kind == kind)
    statement = select(row.level, row.state, row.reason, row.message).where(*of_kind)
    with world.sessions() as session:
        return [tuple(each) for each in session.execute(statement.order_by(row.timestamp, row.event_id))]


def test_remarks_and_connection_events_are_stored_once(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    group.remark(charger_id, "the answer is not valid", ago_s=2)
    group.remark(charger_id, "a bug", ago_s=1, level="error")
    group.link(charger_id, "connecting", ago_s=3)
    group.link(charger_id, "disconnected", ago_s=2, reason="http_401", detail="HTTP 401")
    group.remark("dep-nobody", "of no charger")

    group.read()
    group.read()

    assert stored(world, charger_id, "remark") == [
        ("warning", None, None, "the answer is not valid"),
        ("error", None, None, "a bug"),
    ]
    assert stored(world, charger_id, "connection") == [
        (None, "connecting", None, None),
        (None, "disconnected", "http_401", "HTTP 401"),
    ]
    assert stored(world, "dep-nobody", "remark") == []
    assert group.messages(charger_id) == []


def test_text_of_a_csms_is_cut_and_its_unstorable_characters_are_escaped(
    world: World, group: LogGroup
) -> None:
    charger_id = world.create()
    group.remark(charger_id, "x" * 10 * MAX_TEXT, ago_s=2)
    group.write(charger_id, '{"type": "log", "level": "info", "message": "a\\u0000b\\ud800"}', ago_s=1)
    group.link(charger_id, "connected", detail="y" * 10 * MAX_TEXT)

    group.read()

    (cut, escaped) = [message for *_, message in stored(world, charger_id, "remark")]
    assert cut == "x" * (MAX_TEXT - 1) + "…"
    assert escaped == "a\\u0000b\\ud800"
    with world.sessions() as session:
        message = session.scalar(select(func.max(ChargerLogLine.message)))
        reason = session.scalar(select(ChargerLink.reason))
    assert message == reason == "y" * (MAX_TEXT - 1) + "…"


@pytest.mark.parametrize("page", [1, 3, 100])
def test_a_flood_leaves_the_newest_of_its_charger_kind_and_day(
    world: World, group: LogGroup, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it costs no frame, no connection event and no other charger a line, whatever the pages."""
    monkeypatch.setattr(lines, "MAX_LINES", 4)
    monkeypatch.setattr(lines, "DELETE_AT", 1)
    monkeypatch.setattr("worker.logs.client.PAGE_LIMIT", page)
    floods, other = world.create("CP-1"), world.create("CP-2")
    frame = group.frame(floods, ago_s=30)
    group.link(floods, "connected", ago_s=29)
    group.remark(other, "of another charger", ago_s=28)
    for number in range(12):
        group.remark(floods, f"{number}", ago_s=20 - number)

    group.read()
    group.read()

    assert [message for *_, message in stored(world, floods, "remark")] == ["8", "9", "10", "11"]
    assert len(stored(world, floods, "connection")) == 1
    assert len(stored(world, other, "remark")) == 1
    assert group.messages(floods) == [frame]


def test_a_flood_is_bounded_though_not_every_line_deletes_others(
    world: World, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINES", 5)
    monkeypatch.setattr(lines, "DELETE_AT", 4)
    charger_id = world.create()
    for number in range(60):
        group.remark(charger_id, f"{number}", ago_s=60 - number)

    group.read()

    kept = [message for *_, message in stored(world, charger_id, "remark")]
    assert len(kept) < 40
    assert kept[-5:] == [str(number) for number in range(55, 60)]


def test_lines_go_with_the_frames_of_their_day(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    group.frame(charger_id)
    group.remark(charger_id, "a remark")
    group.read()
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with world.sessions.begin() as session:
        days = {(tomorrow - timedelta(days=days)).date() for days in (9, 10)}
        ensure_partitions(session, days)

    dropped = prune_logs(world.sessions, retention_days=7)

    old = [f"{day:%Y%m%d}" for day in sorted(days)]
    assert dropped == [f"charger_logs_{day}" for day in old] + [f"charger_log_lines_{day}" for day in old]
    assert len(stored(world, charger_id, "remark")) == 1
