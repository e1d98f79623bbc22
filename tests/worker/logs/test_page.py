"""A page stores the frames of known chargers, and no line stops the lines after it."""

import pytest

from tests.support.world import World
from tests.worker.logs.log_group import LogGroup


def test_frames_of_unknown_chargers_are_left_out(world: World, group: LogGroup) -> None:
    group.frame("dep-nobody")
    group.write("nobody", "a line")

    assert group.read() == 0
    assert group.messages("dep-nobody") == []


@pytest.mark.parametrize(
    "line",
    [
        "Traceback (most recent call last):",
        "{",
        "[" * 100_000,
        "[1, 2]",
        '"text"',
        "null",
        '{"type": ["frame"]}',
        '{"type": "frame", "direction": {"a": 1}, "action": [1], "message": 5}',
        '{"type": "frame", "direction": "\\u0000", "action": "\\u0000", "message": "\\u0000"}',
        '{"type": "frame", "direction": "\\ud800", "action": "\\ud800", "message": "\\ud800"}',
        '{"type": "connection", "state": ["connected"]}',
        '{"type": "connection", "state": {"a": 1}}',
        '{"type": "connection", "state": "connected", "detail": {"a": ["\\u0000"]}}',
        '{"type": "connection", "state": "connected", "reason": "\\ud800"}',
        '{"type": "log"}',
        '{"type": "log", "level": ["warning"], "message": "a"}',
        '{"type": "log", "level": "warning", "message": {"a": ["\\u0000", "\\ud800"]}}',
        '{"type": "log", "level": "info", "message": null, "state": "connected", "kind": "frame"}',
        '{"type": "connection", "state": "connected", "reason": {"a": "\\u0000"}, "detail": 1e999}',
        '{"type": "frame", "charger_id": "dep-other", "event_id": 5, "at": "now"}',
        "1" * 5_000,
    ],
    ids=lambda line: line[:40],
)
def test_no_line_stops_the_lines_after_it(world: World, group: LogGroup, line: str) -> None:
    charger_id = world.create()
    group.write(charger_id, line, ago_s=2)
    good = group.frame(charger_id, ago_s=1)

    group.read()

    assert good in group.messages(charger_id)


def test_a_nul_in_a_frame_is_kept_as_its_escape(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    group.frame(charger_id, message="a\0b")

    group.read()

    assert group.messages(charger_id) == ["a\\u0000b"]
