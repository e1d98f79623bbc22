"""Writes the charger's only output: one JSON object per line."""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from itertools import count
from typing import Literal

from simulator.masking import MASK, mask_passwords, spellings
from simulator.turn import TURN

Direction = Literal["cp_to_csms", "csms_to_cp"]
ConnectionState = Literal["connecting", "connected", "accepted", "rejected", "disconnected"]
Level = Literal["info", "warning", "error"]

STDOUT = 1
SHORTEST_SECRET = 4

#: Of a frame or another text; a local list of some thousand entries has 400 KB.
MAX_TEXT_BYTES = 16 * 1024

#: Passwords that are masked; older ones have long been replaced.
MAX_SECRETS = 8


_as_json = json.JSONEncoder(ensure_ascii=False).encode


#: A line of the log: its texts are masked and cut.
Event = dict[str, str | None]


def _nobody(_: Event) -> None:
    """Where nobody listens."""


class EventLog:
    """Writes frames, connection events and remarks. Passwords are masked in all of them, and long texts are cut."""

    def __init__(
        self,
        write_line: Callable[[str], None],
        secret: str | None = None,
        *,
        write_frame: Callable[[str], None] | None = None,
        about: Mapping[str, str] | None = None,
    ) -> None:
        """`write_frame` writes the lines of frames, if they go another way. `about` goes into each line, which is numbered."""
        self._write_line = write_line
        self._write_frame = write_frame or write_line
        self._about = about
        self._numbers = count()
        self._secrets: list[set[str]] = []
        self._lasting: list[set[str]] = []
        if secret:
            self.hide(secret)
        self._closed = False
        #: called once, when the output can no longer be written
        self.on_closed: Callable[[], object] | None = None
        #: called with each event of the connection and each remark, as it was written
        self.on_event: Callable[[Event], object] = _nobody

    def hide(self, secret: str, *, always: bool = False) -> None:
        """Masks a secret from now on, in whatever way it is written, unless it is too short to differ from other text.

        `always`: also after more secrets than MAX_SECRETS.
        """
        if len(secret) >= SHORTEST_SECRET:
            (self._lasting if always else self._secrets).append(spellings(secret))
            del self._secrets[:-MAX_SECRETS]

    def frame(self, direction: Direction, action: str, message: str) -> None:
        message = mask_passwords(message)
        self._write({"type": "frame", "direction": direction, "action": action, "message": message})

    def connection(
        self, state: ConnectionState, reason: str | None = None, detail: str | None = None
    ) -> None:
        self.on_event(self._write({"type": "connection", "state": state, "reason": reason, "detail": detail}))

    def remark(self, level: Level, message: str) -> None:
        self.on_event(self._write({"type": "log", "level": level, "message": message}))

    def _write(self, event: Event) -> Event:
        """The event as it was written."""
        for name in ("message", "detail"):
            text = event.get(name)
            if text:
                event[name] = cut(self._mask(text))
        timestamp: Event = {"timestamp": _timestamp(time.time())}
        if not self._closed:
            write = self._write_frame if event["type"] == "frame" else self._write_line
            self._write_out(write, _as_json(timestamp | self._begin_line() | event))
        return timestamp | event

    def _begin_line(self) -> dict[str, str | int]:
        return {} if self._about is None else {**self._about, "n": next(self._numbers)}

    def _write_out(self, write: Callable[[str], None], line: str) -> None:
        try:
            TURN.hold(write, line)
        except OSError:  # a broken pipe or a full disk: a charger without a log is useless
            self._closed = True
            if self.on_closed:
                self.on_closed()

    def _mask(self, text: str) -> str:
        for secret in (*self._lasting, *self._secrets):
            for spelling in secret:
                text = text.replace(spelling, MASK)
        return text


def cut(text: str) -> str:
    """The text, or its first 16 KiB and a note of its length."""
    if len(text) <= MAX_TEXT_BYTES // 4:  # at most 4 bytes per character
        return text
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) <= MAX_TEXT_BYTES:
        return text
    beginning = encoded[:MAX_TEXT_BYTES].decode("utf-8", "ignore")
    return f"{beginning}... [cut: {len(encoded)} bytes]"


#: Of the charger whose task or timer runs, in a process of many.
CURRENT: ContextVar[EventLog] = ContextVar("current log")


class RemarkHandler(logging.Handler):
    """Writes the warnings and errors of libraries as remarks, of the charger that caused them if that is known."""

    def __init__(self, log: EventLog) -> None:
        """`log` has those of no charger."""
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = f": {record.exc_info[1]!r}" if record.exc_info and record.exc_info[1] else ""
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        CURRENT.get(self._log).remark(level, f"{record.name}: {record.getMessage()}{error}")


def write_to_stdout(line: str) -> None:
    """Raises OSError when standard output is closed or full."""
    data = memoryview((line + "\n").encode("utf-8", "backslashreplace"))
    while data:
        try:
            data = data[os.write(STDOUT, data) :]
        except BlockingIOError:  # another process that shares it made it non-blocking
            os.set_blocking(STDOUT, True)


def _timestamp(epoch_s: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch_s))
    return f"{whole}.{int(epoch_s % 1 * 1000):03d}Z"
