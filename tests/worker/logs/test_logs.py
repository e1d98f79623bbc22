"""Every frame of the fleet's log group ends in charger_logs once, whatever happens on the way."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import uuid4

import boto3
import pytest
import structlog
from mypy_boto3_logs import CloudWatchLogsClient
from sqlalchemy import func, select, text, update

from embedded.ecs.process import EcsProcess
from shared.database.engine import Sessions
from shared.models import Charger, ChargerLog, LogCursor
from shared.settings import EcsSettings, Timing
from tests.links import line, shown_link
from tests.worker.conftest import World
from worker.logs.client import LOG_ERRORS, LogsClient, Page
from worker.logs.links import write_links
from worker.logs.partitions import prune_logs
from worker.logs.read import read_logs
from worker.outage_log import OutageLog

PAGE = 5  # lines in an answer, so that a test needs few of them


@dataclass
class LogGroup:
    """A log group of its own, what chargers print into it, and the worker that reads it."""

    sessions: Sessions
    timing: Timing
    client: LogsClient
    cloudwatch: CloudWatchLogsClient
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    streams: set[str] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=count)

    def say(self, charger_id: str, line: object, ago_s: float = 0, task: str = "0" * 32) -> None:
        """What the charger's process prints; any object is printed as JSON."""
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
        """Returns its message, which is unlike any other."""
        message = f'[2,"{next(self.numbers)}","Heartbeat",{{}}]'
        line = {"type": "frame", "direction": "cp_to_csms", "action": "Heartbeat", "message": message}
        self.say(charger_id, line | other, ago_s)
        return message

    def link(
        self, charger_id: str, state: object, ago_s: float = 0, task: str = "0" * 32, **other: object
    ) -> None:
        self.say(charger_id, {"type": "connection", "state": state, **other}, ago_s, task)

    def read(self) -> int:
        return read_logs(self.sessions, self.client, self.timing)

    def messages(self, charger_id: str) -> list[str | None]:
        with self.sessions() as session:
            of_charger = select(ChargerLog.message).where(ChargerLog.charger_id == charger_id)
            return list(session.scalars(of_charger.order_by(ChargerLog.timestamp, ChargerLog.event_id)))


@pytest.fixture(scope="module")
def cloudwatch(ecs_process: EcsProcess) -> CloudWatchLogsClient:
    return boto3.session.Session("tests", "tests", region_name="us-east-1").client(
        "logs", endpoint_url=ecs_process.endpoint_url
    )


@pytest.fixture
def group(
    world: World,
    ecs_process: EcsProcess,
    ecs_settings: EcsSettings,
    cloudwatch: CloudWatchLogsClient,
    monkeypatch: pytest.MonkeyPatch,
) -> LogGroup:
    monkeypatch.setattr("worker.logs.client.PAGE_LIMIT", PAGE)
    monkeypatch.setenv("AWS_ENDPOINT_URL", ecs_process.endpoint_url)
    name = f"/test/{uuid4().hex}"
    cloudwatch.create_log_group(logGroupName=name)
    client = LogsClient(replace(ecs_settings, log_group=name), max_bytes_per_day=10 * 1024**3)
    return LogGroup(world.sessions, replace(world.timing, log_overlap_s=60), client, cloudwatch)


def test_frames_of_many_pages_are_copied_in_order_and_once(world: World, group: LogGroup) -> None:
    one, other = world.create("CP-1"), world.create("CP-2")
    said = [group.frame(one, ago_s=100 - number) for number in range(3 * PAGE)]
    group.frame(other)

    copied = group.read()
    again = group.read()

    assert (copied, again) == (3 * PAGE + 1, 0)
    assert group.messages(one) == said
    assert len(group.messages(other)) == 1


def test_a_later_read_copies_what_is_new(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    said = [group.frame(charger_id, ago_s=10)]
    group.read()
    said.append(group.frame(charger_id))

    assert group.read() == 1
    assert group.messages(charger_id) == said


def test_a_line_that_comes_late_is_copied_all_the_same(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    on_time = group.frame(charger_id)
    group.read()
    late = group.frame(charger_id, ago_s=59)

    group.read()

    assert group.messages(charger_id) == [late, on_time]


class Crashing(LogsClient):
    """Dies after some pages, as a worker that is killed: also what it was about to commit is gone."""

    def __init__(self, other: LogsClient, pages: int) -> None:
        self.group, self.max_bytes_per_day, self._logs = other.group, other.max_bytes_per_day, other._logs
        self._left = pages

    def pages(self, since_ms: int, next_token: str | None = None) -> Iterator[Page]:
        for page in super().pages(since_ms, next_token):
            if self._left == 0:
                raise KeyboardInterrupt
            self._left -= 1
            yield page


@pytest.mark.parametrize("pages", [0, 1, 3])
def test_a_crash_between_two_pages_loses_and_doubles_nothing(
    world: World, group: LogGroup, pages: int
) -> None:
    charger_id = world.create()
    said = [group.frame(charger_id, ago_s=100 - number) for number in range(4 * PAGE)]

    with pytest.raises(KeyboardInterrupt):
        read_logs(world.sessions, Crashing(group.client, pages), group.timing)
    before = len(group.messages(charger_id))
    rest = group.read()

    assert (before, rest) == (pages * PAGE, (4 - pages) * PAGE)
    assert group.messages(charger_id) == said


def test_a_crash_before_the_commit_of_a_page_loses_and_doubles_nothing(
    world: World, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    charger_id = world.create()
    said = [group.frame(charger_id, ago_s=100 - number) for number in range(2 * PAGE)]

    with monkeypatch.context() as patch:
        patch.setattr("worker.logs.read.write_position", _crash)
        with pytest.raises(KeyboardInterrupt):
            group.read()
    before = group.messages(charger_id)
    group.read()

    assert before == []
    assert group.messages(charger_id) == said


def test_a_flood_at_one_instant_is_read_in_parts(
    world: World, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More pages than one read takes, all within the overlap: each read must get further."""
    monkeypatch.setattr("worker.logs.read.PAGES_PER_READ", 2)
    charger_id = world.create()
    said = [group.frame(charger_id) for _ in range(7 * PAGE)]

    copied = [group.read() for _ in range(5)]

    assert copied == [2 * PAGE, 2 * PAGE, 2 * PAGE, PAGE, 0]
    assert group.messages(charger_id) == said


def test_a_line_that_comes_late_while_a_flood_is_read_is_copied(
    world: World, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.logs.read.PAGES_PER_READ", 1)
    charger_id = world.create()
    said = [group.frame(charger_id, ago_s=30 - number) for number in range(3 * PAGE)]
    group.read()
    late = group.frame(charger_id, ago_s=50)  # behind what was read of the flood

    while group.read():
        pass
    while group.read():
        pass

    assert group.messages(charger_id) == [late, *said]


def test_two_reads_at_once_copy_everything_once(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    said = [group.frame(charger_id, ago_s=100 - number) for number in range(4 * PAGE)]

    class Overtaken(LogsClient):
        """Another worker reads everything between two pages of this one."""

        def __init__(self) -> None:
            self.group, self.max_bytes_per_day = group.client.group, group.client.max_bytes_per_day
            self._logs = group.client._logs

        def pages(self, since_ms: int, next_token: str | None = None) -> Iterator[Page]:
            for number, page in enumerate(super().pages(since_ms, next_token)):
                if number == 1:
                    group.read()
                yield page

    read_logs(world.sessions, Overtaken(), group.timing)
    group.read()

    assert group.messages(charger_id) == said


def test_a_page_token_that_cloudwatch_rejects_begins_another_pass(
    world: World, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    charger_id = world.create()
    said = [group.frame(charger_id, ago_s=100 - number) for number in range(3 * PAGE)]
    with monkeypatch.context() as patch:
        patch.setattr("worker.logs.read.PAGES_PER_READ", 1)
        group.read()
    with world.sessions.begin() as session:
        cursor = session.get_one(LogCursor, group.client.group)
        assert cursor.unfinished is not None
        cursor.unfinished = cursor.unfinished | {"next_token": "forgotten"}

    group.read()
    group.read()

    assert group.messages(charger_id) == said


def test_frames_of_unknown_chargers_are_left_out(world: World, group: LogGroup) -> None:
    group.frame("dep-nobody")
    group.say("nobody", "a line")

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
        '{"type": "frame", "charger_id": "dep-other", "event_id": 5, "at": "now"}',
        "1" * 5_000,
    ],
    ids=lambda line: line[:40],
)
def test_no_line_stops_the_lines_after_it(world: World, group: LogGroup, line: str) -> None:
    charger_id = world.create()
    group.say(charger_id, line, ago_s=2)
    good = group.frame(charger_id, ago_s=1)

    group.read()

    assert good in group.messages(charger_id)


def test_a_nul_in_a_frame_is_kept_as_its_escape(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    group.frame(charger_id, message="a\0b")

    group.read()

    assert group.messages(charger_id) == ["a\\u0000b"]


def test_frames_lie_in_a_partition_for_their_day(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    days = [group.now - timedelta(seconds=ago_s) for ago_s in (0, 1_000)]
    midnight = group.now.replace(hour=0, minute=0, second=0, microsecond=0)
    before_midnight_s = (group.now - midnight).total_seconds() + 0.001
    group.frame(charger_id)
    group.frame(charger_id, ago_s=before_midnight_s)
    with world.sessions.begin() as session:  # as if the last read was yesterday
        session.add(
            LogCursor(
                log_group=group.client.group,
                read_until_ms=round((midnight - timedelta(hours=1)).timestamp() * 1000),
            )
        )

    group.read()

    with world.sessions() as session:
        rows = session.execute(
            text("SELECT tableoid::regclass::text, timestamp FROM charger_logs ORDER BY timestamp")
        ).all()
    assert len(rows) == len(days)
    assert [name for name, _ in rows] == [f"charger_logs_{at.astimezone(UTC):%Y%m%d}" for _, at in rows]
    assert rows[0][0] != rows[1][0]


def test_days_beyond_the_retention_are_dropped(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    group.frame(charger_id)
    group.read()
    today = datetime.now(UTC).date()
    with world.sessions.begin() as session:
        for days in (6, 7, 8):
            day = today - timedelta(days=days)
            session.execute(
                text(
                    f"CREATE TABLE IF NOT EXISTS charger_logs_{day:%Y%m%d} PARTITION OF charger_logs "
                    f"FOR VALUES FROM ('{day}T00:00:00Z') TO ('{day + timedelta(days=1)}T00:00:00Z')"
                )
            )

    dropped = prune_logs(world.sessions, retention_days=7)

    assert dropped == [f"charger_logs_{today - timedelta(days=8):%Y%m%d}"]
    assert len(group.messages(charger_id)) == 1
    prune_logs(world.sessions, retention_days=1)


# The charger's link to its CSMS.


def link_of(world: World, charger_id: str) -> tuple[str | None, str | None]:
    """Its state and reason, as clients see them while its process runs."""
    with world.sessions.begin() as session:
        session.execute(update(Charger).where(Charger.id == charger_id).values(running_count=1))
    link = shown_link(world.sessions, charger_id)
    return link.state, link.reason


def test_the_newest_connection_event_is_the_link_whatever_the_order(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    group.link(charger_id, "connected", ago_s=20)
    group.link(charger_id, "accepted", ago_s=10, detail="interval 300 s")
    group.read()
    group.link(charger_id, "connecting", ago_s=30)
    group.read()

    assert link_of(world, charger_id) == ("accepted", "interval 300 s")
    group.link(charger_id, "disconnected", ago_s=5, reason="closed")
    group.read()
    group.read()

    assert link_of(world, charger_id) == ("disconnected", "closed")


def test_a_new_try_keeps_the_reason_of_the_last_one(world: World, group: LogGroup) -> None:
    """Of several chargers at once, in one page and over two."""
    chargers = [world.create("CP-1"), world.create("CP-2")]
    for charger_id in chargers:
        group.link(charger_id, "disconnected", ago_s=9, detail="nothing listens")
    group.link(chargers[0], "connecting", ago_s=8)
    group.read()
    group.link(chargers[1], "connecting", ago_s=7)
    group.read()

    links = [link_of(world, charger_id) for charger_id in chargers]
    assert links == [("connecting", "nothing listens")] * 2


@pytest.mark.parametrize("page", [1, 2, PAGE])
def test_of_two_events_in_one_millisecond_the_later_one_counts(
    world: World, group: LogGroup, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.logs.client.PAGE_LIMIT", page)
    charger_id = world.create()
    group.link(charger_id, "connecting", ago_s=1)
    group.link(charger_id, "connected", ago_s=1)
    group.read()
    first = link_of(world, charger_id)[0]
    group.link(charger_id, "accepted", ago_s=1)
    group.read()

    assert (first, link_of(world, charger_id)[0]) == ("connected", "accepted")


def test_a_frame_is_a_sign_of_life(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    group.frame(charger_id, ago_s=20)
    group.frame(charger_id, ago_s=10)
    group.read()
    group.frame(charger_id, ago_s=15)
    group.read()

    at = shown_link(world.sessions, charger_id).last_frame_at
    assert at is not None
    assert abs(at - (group.now - timedelta(seconds=10))) < timedelta(milliseconds=2)


@pytest.mark.parametrize("speaks", ["the task that runs", "another task"])
def test_a_link_names_its_task_and_a_new_task_makes_the_charger_due_for_the_observer(
    world: World, group: LogGroup, speaks: str
) -> None:
    charger_id = world.create()
    later = group.now + timedelta(hours=1)
    with world.sessions.begin() as session:
        session.execute(
            update(Charger).values(
                running_task_arn="arn:aws:ecs:us-east-1:123456789012:task/chargehand/aaa",
                running_task_generation=1,
                observe_at=later,
            )
        )
    task = "aaa" if speaks == "the task that runs" else "bbb"

    group.link(charger_id, "accepted", task=task)
    group.read()

    charger = world.charger(charger_id)
    assert shown_link(world.sessions, charger_id).task_id == task
    assert charger.observe_at is not None
    assert (charger.observe_at < later) == (task == "bbb")


def test_a_link_that_a_crashed_reader_left_is_applied_by_the_next(
    world: World, group: LogGroup
) -> None:
    charger_id = world.ready()
    with world.sessions.begin() as page:
        write_links(page, [line(charger_id, "accepted")])
    before = (shown_link(world.sessions, charger_id).state, world.charger(charger_id).link_state)

    with pytest.raises(KeyboardInterrupt):
        read_logs(world.sessions, Crashing(group.client, 0), group.timing)

    assert (before, world.charger(charger_id).link_state) == (("accepted", None), "accepted")


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


# How late the logs are read.


def lag(world: World, group: LogGroup, charger_id: str) -> timedelta:
    """As it was when the test began to write lines."""
    link = shown_link(world.sessions, charger_id)
    with world.sessions() as session:
        now = session.scalars(select(func.now())).one()
    assert link.log_lag_s is not None
    return timedelta(seconds=link.log_lag_s) - (now - group.now)


def test_a_reader_that_is_behind_says_how_far(
    world: World, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.logs.read.PAGES_PER_READ", 1)
    charger_id = world.create()
    for number in range(2 * PAGE):
        group.frame(charger_id, ago_s=1000 - number)
    never = shown_link(world.sessions, charger_id).log_lag_s

    group.read()
    behind = lag(world, group, charger_id)
    group.read()
    caught_up = lag(world, group, charger_id)

    assert never is None
    assert abs(behind - timedelta(seconds=1000 - PAGE + 1)) < timedelta(seconds=1)
    assert caught_up < timedelta(seconds=5)


def test_a_reader_whose_page_token_cloudwatch_rejects_has_not_caught_up(
    world: World, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.logs.read.PAGES_PER_READ", 1)
    charger_id = world.create()
    for number in range(2 * PAGE):
        group.frame(charger_id, ago_s=1000 - number)
    group.read()
    with world.sessions.begin() as session:
        cursor = session.get_one(LogCursor, group.client.group)
        assert cursor.unfinished is not None
        cursor.unfinished = cursor.unfinished | {"next_token": "forgotten"}

    group.read()

    assert lag(world, group, charger_id) > timedelta(seconds=900)


# When CloudWatch does not answer.


@pytest.mark.parametrize(
    "trouble", ["the group is missing", "no answer", "an empty answer", "half an answer"]
)
def test_a_read_that_fails_loses_nothing(
    world: World, group: LogGroup, ecs_process: EcsProcess, trouble: str
) -> None:
    charger_id = world.create()
    said = [group.frame(charger_id, ago_s=100 - number) for number in range(2 * PAGE)]
    kinds = {"no answer": "cut", "an empty answer": "empty", "half an answer": "truncated"}
    client = group.client
    if trouble == "the group is missing":
        client = Crashing(group.client, 9)
        client.group = "/not/there"
    else:
        ecs_process.set_faults({"kind": kinds[trouble], "action": "FilterLogEvents"})

    with pytest.raises(LOG_ERRORS):
        read_logs(world.sessions, client, group.timing)
    ecs_process.set_faults()
    group.read()

    assert group.messages(charger_id) == said


def test_an_outage_is_one_line_at_its_beginning_and_one_at_its_end() -> None:
    outage = OutageLog("logs", OSError)
    with structlog.testing.capture_logs() as lines:
        for error in (None, OSError("away"), OSError("still away"), None, None, OSError("again")):
            with outage.suppress():
                if error:
                    raise error
        with pytest.raises(ValueError, match="a bug"), outage.suppress():
            raise ValueError("a bug")

    assert [line["event"] for line in lines] == ["logs.away", "logs.back", "logs.away"]
    assert lines[0]["error"] == "OSError: away"
