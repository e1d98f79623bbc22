"""The log of a host: a reader that is slow or gone holds up nobody, and what is lost is counted."""

import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulator.host.writer import MAX_WAITING_BYTES, Writer
from simulator.log import CURRENT, EventLog, RemarkHandler
from tests.simulator.host.hosting import desired, hosting
from tests.support.waiting import wait_until, wait_until_async

FRAME = "x" * 10_000


@contextmanager
def piped() -> Iterator[tuple[Writer, int]]:
    """A writer, and the end of the pipe where its lines come out."""
    reading, writing = os.pipe()
    writer = Writer(writing)
    try:
        yield writer, reading
    finally:
        os.close(reading)
        writer.close(2)  # its thread must not write into the next pipe with this number
        os.close(writing)


def read_all(reading: int, until: bytes) -> list[str]:
    text = b""
    while until not in text:
        text += os.read(reading, 1 << 20)
    return text.decode().splitlines()


def test_lines_come_out_in_order() -> None:
    with piped() as (writer, reading):
        for number in range(1000):
            writer.write(f"{number}")
        writer.close(2)

        assert read_all(reading, b"999\n") == [f"{number}" for number in range(1000)]


def test_frames_are_dropped_when_nobody_reads_but_no_events() -> None:
    frames = 2 * MAX_WAITING_BYTES // len(FRAME)
    with piped() as (writer, reading):
        log = EventLog(
            writer.write,
            write_frame=lambda line: writer.write_frame("dep-1", line),
            about={"charger": "dep-1"},
        )
        for _ in range(frames):
            log.frame("cp_to_csms", "Heartbeat", FRAME)
        log.connection("disconnected", "stopped", "the last word")
        dropped = writer.dropped

        lines = [json.loads(line) for line in read_all(reading, b"the last word")]

    assert frames * 0.4 < dropped < frames * 0.6
    assert writer.take_dropped() == {"dep-1": dropped}
    assert writer.take_dropped() == {}
    assert lines[-1]["detail"] == "the last word"
    assert (lines[-1]["n"], len(lines)) == (frames, frames - dropped + 1)


def test_a_closed_pipe_is_reported_once() -> None:
    closed = threading.Event()
    reading, writing = os.pipe()
    writer = Writer(writing)
    writer.on_closed = closed.set
    os.close(reading)

    writer.write("nobody reads this")

    assert closed.wait(5)
    writer.write("nor this")
    writer.close(2)
    os.close(writing)


def test_a_reader_that_never_reads_does_not_hold_up_the_end() -> None:
    with piped() as (writer, reading):
        for _ in range(100):
            writer.write(FRAME)
        writer.close(0.1)
        read_all(reading, FRAME.encode())
        wait_until(lambda: os.read(reading, 1 << 20))


async def test_a_charger_says_that_its_frames_are_not_in_the_log(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (host, link, session, csms):
        await link.give(desired("dep-1", csms.url))
        await csms.accepted()
        with host.writer._changed:
            host.writer._dropped["dep-1"] = 3
        host.host.say_dropped()

        await wait_until_async(lambda: "remark" in session.state("dep-1"))

    assert session.state("dep-1")["remark"]["message"].startswith("3 frames of dep-1 are not in the log")


def test_the_warning_of_a_library_is_of_the_charger_whose_task_runs() -> None:
    lines: list[tuple[str, str]] = []
    own = EventLog(lambda line: lines.append(("host", json.loads(line)["message"])))
    charger = EventLog(lambda line: lines.append(("dep-1", json.loads(line)["message"])))
    handler = RemarkHandler(own)
    record = handler_record()

    handler.emit(record)
    token = CURRENT.set(charger)
    handler.emit(record)
    CURRENT.reset(token)
    handler.emit(record)

    assert lines == [(whose, "websockets: odd") for whose in ("host", "dep-1", "host")]


def handler_record() -> logging.LogRecord:
    return logging.LogRecord("websockets", logging.WARNING, "", 0, "odd", None, None)
