"""CloudWatch Logs has each line that tasks print, once and in order, and reading forward is cheap."""

import time
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.logs.utils import EventMessageFilter

from embedded.ecs import logs
from embedded.ecs.logs import Event, FleetLogs, Group, Query
from tests.support.ecs_services import GROUP, Fleet


def test_each_line_is_an_event_of_the_tasks_stream(fleet: Fleet) -> None:
    name = fleet.given(
        CHARGER_TASK_PRINTS='{"type":"log"}\n\nsecond é', CHARGER_TASK_COMPLAINS="on standard error"
    )
    arn = fleet.task(name)
    fleet.until_printed(arn, "on standard error")

    assert fleet.lines(arn)[1:] == ['{"type":"log"}', "second é", "on standard error"]


def test_the_last_line_needs_no_end(fleet: Fleet) -> None:
    name = fleet.given()
    arn = fleet.task(name)
    fleet.until_printed(arn, "started")
    fleet.stop(arn)
    fleet.until_stopped(arn)

    assert fleet.lines(arn)[-2:] == ["stopping", "without line end"]


def test_the_whole_group_is_read_forward_page_by_page(fleet: Fleet) -> None:
    since_ms = time.time_ns() // 1_000_000
    lines = "\n".join(f"line {number}" for number in range(40))
    names = [fleet.create(fleet.define(CHARGER_TASK_PRINTS=lines)) for _ in range(3)]
    for name in names:
        fleet.until_running(name)
        fleet.until_printed(fleet.task(name), "line 39")

    whole = list(fleet.all_events(startTime=since_ms))
    paged = list(fleet.all_events(startTime=since_ms, PaginationConfig={"PageSize": 7}))

    assert [event["eventId"] for event in paged] == [event["eventId"] for event in whole]
    assert len({event["eventId"] for event in whole}) == len(whole)
    assert len([event for event in whole if event["message"].startswith("line ")]) >= 120
    assert all(earlier["timestamp"] <= later["timestamp"] for earlier, later in pairwise(whole))
    one_stream = [
        event for event in whole if event["logStreamName"].endswith(fleet.task(names[0]).rsplit("/", 1)[-1])
    ]
    assert [event["message"] for event in one_stream][1:] == lines.split("\n")


def test_start_and_end_are_inclusive(fleet: Fleet) -> None:
    stream = put(fleet, [("first", 0), ("second", 1), ("third", 2)])
    query: Any = {"logGroupName": GROUP, "logStreamNames": [stream]}
    first, second, third = fleet.logs.filter_log_events(**query)["events"]

    middle = fleet.logs.filter_log_events(**query, startTime=second["timestamp"], endTime=second["timestamp"])
    from_second = fleet.logs.filter_log_events(**query, startTime=second["timestamp"])

    assert [event["message"] for event in middle["events"]] == ["second"]
    assert [event["eventId"] for event in from_second["events"]] == [second["eventId"], third["eventId"]]
    assert first["timestamp"] < second["timestamp"]


def test_late_events_take_their_place_in_time(fleet: Fleet) -> None:
    stream = put(fleet, [("newer", 5)])
    fleet.logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=[event("older", 1)])

    events = fleet.logs.filter_log_events(logGroupName=GROUP, logStreamNames=[stream])["events"]

    assert [each["message"] for each in events] == ["older", "newer"]


def test_one_stream_can_be_read_alone(fleet: Fleet) -> None:
    stream = put(fleet, [("first", 0), ("second", 1)])

    answer = fleet.logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True)
    described = fleet.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=stream)["logStreams"]

    assert [each["message"] for each in answer["events"]] == ["first", "second"]
    assert [each["logStreamName"] for each in described] == [stream]


@pytest.mark.parametrize(
    "wrong", [{"limit": 10_001}, {"nextToken": "made up"}, {"nextToken": "bWFkZSB1cA=="}], ids=str
)
def test_an_invalid_query_is_refused(fleet: Fleet, wrong: dict[str, Any]) -> None:
    """moto answers a made-up token with no events."""
    with pytest.raises(ClientError) as error:
        fleet.logs.filter_log_events(logGroupName=GROUP, **wrong)

    assert error.value.response["Error"]["Code"] == "InvalidParameterException"


def test_an_unknown_group_is_not_found(fleet: Fleet) -> None:
    with pytest.raises(ClientError) as error:
        fleet.logs.filter_log_events(logGroupName="/not/there")

    assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_page_has_a_megabyte_at_most(fleet: Fleet) -> None:
    stream = put(fleet, [("x" * 200_000, 0) for _ in range(8)])

    page = fleet.logs.filter_log_events(logGroupName=GROUP, logStreamNames=[stream])
    rest = fleet.logs.filter_log_events(
        logGroupName=GROUP, logStreamNames=[stream], nextToken=page["nextToken"]
    )

    assert (len(page["events"]), len(rest["events"])) == (5, 3)


def test_a_huge_line_becomes_several_events(fleet: Fleet) -> None:
    group = new_group()
    output = logs.TaskOutput(group, "stream")

    output.write(b"a" * 300_000)
    output.write(b"a" * 300_000 + b"\nnext\n")
    output.close()

    messages = [event.message for event in group.events_of("stream")]
    assert [len(message) for message in messages] == [
        logs.MAX_EVENT_BYTES,
        logs.MAX_EVENT_BYTES,
        600_000 - 2 * logs.MAX_EVENT_BYTES,
        4,
    ]


def test_old_events_make_room_for_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto keeps everything for ever."""
    monkeypatch.setattr(logs, "MAX_EVENTS", 1_000)
    group = new_group()
    output = logs.TaskOutput(group, "stream")

    for number in range(5_000):
        output.write(b"%d\n" % number)

    kept = group.events_of("stream")
    assert 1_000 <= len(kept) <= 1_100
    assert kept[-1].message == "4999"


def test_large_events_make_room_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 1_000_000)
    group = new_group()
    output = logs.TaskOutput(group, "stream")

    for _ in range(100):
        output.write(b"x" * 100_000 + b"\n")

    assert sum(len(event.message) for event in group.events_of("stream")) <= 1_000_000


def test_reading_forward_does_not_search_what_is_old() -> None:
    """moto goes through every event of every stream."""
    group = new_group()
    now = logs.now_ms()
    streams = [f"stream-{number}" for number in range(200)]
    group.add(
        [Event(now - 100_000 + at, at, now, streams[at % 200], f"message {at}") for at in range(100_000)]
    )
    query = Query(now - 100, None, frozenset(), "", None, None)
    slow = Query(None, None, frozenset(), "", EventMessageFilter("nothing"), None)

    def fastest_s(query: Query, times: int) -> float:
        durations = []
        for _ in range(times):
            begun = time.perf_counter()
            group.page(query, 10_000)
            durations.append(time.perf_counter() - begun)
        return min(durations)

    events, token = group.page(query, 10_000)
    assert (len(events), token) == (100, None)
    assert fastest_s(query, 20) < fastest_s(slow, 3) / 50


def new_group() -> Group:
    backend = FleetLogs("us-east-1", "123456789012")
    backend.ensure_log_group("group")
    return backend.group("group")


def event(message: str, later_ms: int) -> Any:
    return {"timestamp": time.time_ns() // 1_000_000 - 60_000 + later_ms * 1_000, "message": message}


def put(fleet: Fleet, messages: list[tuple[str, int]]) -> str:
    """A stream with these messages, each so many seconds after the first."""
    stream = f"by-hand/{time.time_ns()}"
    fleet.logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
    events = [event(message, later) for message, later in messages]
    events.sort(key=lambda each: each["timestamp"])
    fleet.logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)
    return stream
