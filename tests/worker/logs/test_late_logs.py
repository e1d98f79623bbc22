"""An event that CloudWatch gets hours late is copied once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import func, select, update

from shared.models import ChargerLog, LogCursor
from tests.support.world import World
from tests.worker.logs.log_group import PAGE, LogGroup
from worker.logs.client import LogsClient, Page
from worker.logs.read import read_late_logs


def read_late(group: LogGroup) -> int:
    return read_late_logs(group.sessions, group.client, group.timing)


def minutes_pass(group: LogGroup) -> None:
    with group.sessions.begin() as session:
        session.execute(update(LogCursor).values(updated_at=func.now() - timedelta(minutes=10)))


@pytest.mark.parametrize("ago_s", [90, 3_600, 10_000])
def test_a_line_that_comes_behind_the_cursor_is_copied_once(
    world: World, group: LogGroup, ago_s: float
) -> None:
    charger_id = world.create()
    on_time = group.frame(charger_id)
    group.read()
    while read_late(group):
        pass
    late = group.frame(charger_id, ago_s=ago_s)

    by_the_fast_pass, not_due = group.read(), read_late(group)
    minutes_pass(group)
    copied = read_late(group)
    minutes_pass(group)
    again = read_late(group)

    assert (by_the_fast_pass, not_due, copied, again) == (0, 0, 1, 0)
    assert group.messages(charger_id) == [late, on_time]


def test_the_slow_pass_goes_through_many_pages_in_parts(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    for number in range(5 * PAGE):
        group.frame(charger_id, ago_s=1_000 - number)
    group.read()
    read_late(group)
    late = group.frame(charger_id, ago_s=2)  # after the events that the unfinished pass has read

    copied = [read_late(group) for _ in range(2)]

    assert copied == [0, 1]
    assert late in group.messages(charger_id)


def test_the_slow_pass_writes_only_what_was_ingested_since_the_one_before(
    world: World, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would write hours of events again, and lock their chargers meanwhile."""
    charger_id = world.create()
    group.frame(charger_id)
    group.read()
    read_late(group)
    with world.sessions.begin() as session:
        session.execute(update(LogCursor).values(read_until_ms=LogCursor.read_until_ms + 600_000))
    minutes_pass(group)
    written: list[int] = []

    def write(_: object, page: Page, _max_bytes: int) -> int:
        written.append(len(page.events))
        return 0

    monkeypatch.setattr("worker.logs.read.write_page", write)

    read_late(group)

    assert written == [0]


class Throttled:
    """A log group that gives these answers in order, and throttles the call for each None."""

    def __init__(self, *answers: dict[str, Any] | None) -> None:
        self.answers = list(answers)
        self.tokens: list[str | None] = []

    def filter_log_events(self, **query: Any) -> dict[str, Any]:
        self.tokens.append(query.get("nextToken"))
        answer = self.answers.pop(0)
        if answer is None:
            error = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}
            raise ClientError(error, "FilterLogEvents")  # type: ignore[arg-type]
        return answer


def test_a_throttled_pass_through_empty_pages_goes_on_where_it_was(
    world: World, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    charger_id = world.create()
    logged = group.frame(charger_id)
    [page] = group.client.pages(0)
    empty: dict[str, Any] = {"events": []}
    api = Throttled(empty | {"nextToken": "1"}, None, empty | {"nextToken": "2"}, {"events": page.events})
    client: Any = object.__new__(LogsClient)
    client.group, client.max_bytes_per_day, client._logs = (
        group.client.group,
        group.client.max_bytes_per_day,
        api,
    )
    throttled = replace(group, client=client)

    with pytest.raises(ClientError):
        throttled.read()
    throttled.read()

    assert api.tokens == [None, "1", "1", "2"]
    assert group.messages(charger_id) == [logged]
    with world.sessions() as session:
        assert session.scalar(select(func.count()).select_from(ChargerLog)) == 1
