"""A log group of the embedded CloudWatch, for the tests of the log reader."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from mypy_boto3_logs import CloudWatchLogsClient
from sqlalchemy import select

from shared.database.engine import Sessions
from shared.models import ChargerLog
from shared.settings import Timing
from worker.logs.client import LogsClient, Page
from worker.logs.read import read_logs

PAGE = 5  # events in an answer, so that a test needs few of them


@dataclass
class LogGroup:
    """A log group for one test, with methods that write into it as chargers do and that read it as the worker does."""

    sessions: Sessions
    timing: Timing
    client: LogsClient
    cloudwatch: CloudWatchLogsClient
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    streams: set[str] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=count)

    def write(self, charger_id: str, line: object, ago_s: float = 0, task: str = "0" * 32) -> None:
        """Write an event as the charger's process prints it; any object but a string is printed as JSON."""
        stream = f"{charger_id}/charger/{task}"
        if stream not in self.streams:
            self.cloudwatch.create_log_stream(logGroupName=self.client.group, logStreamName=stream)
            self.streams.add(stream)
        self.cloudwatch.put_log_events(
            logGroupName=self.client.group,
            logStreamName=stream,
            logEvents=[
                {
                    "timestamp": round((self.now - timedelta(seconds=ago_s)).timestamp() * 1000),
                    "message": line if isinstance(line, str) else json.dumps(line),
                }
            ],
        )

    def frame(self, charger_id: str, ago_s: float = 0, **other: object) -> str:
        """Write a frame. Returns its message, which is unique."""
        message = f'[2,"{next(self.numbers)}","Heartbeat",{{}}]'
        line = {"type": "frame", "direction": "cp_to_csms", "action": "Heartbeat", "message": message}
        self.write(charger_id, line | other, ago_s)
        return message

    def link(
        self, charger_id: str, state: object, ago_s: float = 0, task: str = "0" * 32, **other: object
    ) -> None:
        self.write(charger_id, {"type": "connection", "state": state, **other}, ago_s, task)

    def remark(self, charger_id: str, message: object, ago_s: float = 0, **other: object) -> None:
        self.write(charger_id, {"type": "log", "level": "warning", "message": message, **other}, ago_s)

    def read(self) -> int:
        return read_logs(self.sessions, self.client, self.timing)

    def messages(self, charger_id: str) -> list[str | None]:
        with self.sessions() as session:
            of_charger = select(ChargerLog.message).where(ChargerLog.charger_id == charger_id)
            return list(session.scalars(of_charger.order_by(ChargerLog.timestamp, ChargerLog.event_id)))


class CrashingClient(LogsClient):
    """Raises after some pages, like a worker that is killed: an open transaction is rolled back."""

    def __init__(self, other: LogsClient, pages: int) -> None:
        self.group, self.max_bytes_per_day, self._logs = other.group, other.max_bytes_per_day, other._logs
        self._left = pages

    def pages(self, since_ms: int, next_token: str | None = None) -> Iterator[Page]:
        for page in super().pages(since_ms, next_token):
            if self._left == 0:
                raise KeyboardInterrupt
            self._left -= 1
            yield page
