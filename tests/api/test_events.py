"""What changes about a charger is told as it happens, once, in order, and from where one left off."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Any, NamedTuple

import pytest
from flask import Flask
from sqlalchemy import event, func, select, text, update
from sqlalchemy.orm import sessionmaker

from api.limits.slots import Places
from api.live import streams
from api.live.streams import BEHIND_AT_ONCE, Stream, Streams
from api.resources import Resources
from shared.database.engine import Sessions
from shared.fleet.events import MAX_EVENTS, events_after
from shared.models import Charger, ChargerEvent
from shared.vocabulary import EventType, ProvisioningStatus
from tests.api.conftest import Fleet
from tests.links import line, read_lines


class Told(NamedTuple):
    id: int
    event: str
    data: dict[str, Any]


class Watching:
    """A client that watches a charger."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.chunks: Iterator[bytes] = iter(answer.response)
        self.events = self._read()

    def next(self) -> Told:
        return next(self.events)

    def close(self) -> None:
        self.answer.close()

    def _read(self) -> Iterator[Told]:
        for chunk in self.chunks:
            for block in chunk.decode().split("\n\n"):
                fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
                if "data" in fields:
                    yield Told(int(fields["id"]), fields["event"], json.loads(fields["data"]))


Watch = Callable[..., Watching]


@pytest.fixture
def watch(fleet: Fleet) -> Iterator[Watch]:
    with ExitStack() as stack:

        def watch(charger_id: str, last_id: int | None = None) -> Watching:
            headers = {} if last_id is None else {"Last-Event-ID": str(last_id)}
            answer = fleet.get(f"/ocpp/chargers/{charger_id}/events", headers=headers)
            assert answer.status_code == 200, answer.text
            watching = Watching(answer)
            stack.callback(watching.close)
            return watching

        yield watch


def test_a_watcher_begins_with_the_charger_as_it_is(fleet: Fleet, watch: Watch) -> None:
    charger_id = fleet.ready()

    watching = watch(charger_id)
    first = watching.next()

    assert first.event == "snapshot"
    assert first.data["status"] == "READY"
    assert first.data["runtime"] == fleet.get(f"/ocpp/chargers/{charger_id}").json["runtime"]
    assert first.data["command"]["event_type"] == "create_charger"
    headers = watching.answer.headers
    assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["Cache-Control"] == "no-store"


def test_a_watcher_is_told_what_becomes_of_a_command(fleet: Fleet, watch: Watch) -> None:
    charger_id = fleet.ready()
    watching = watch(charger_id)
    watching.next()

    accepted = fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger").json
    fleet.settle(charger_id, running_count=0)
    fleet.finish(charger_id)
    asked, stopped, done = watching.next(), watching.next(), watching.next()

    assert (asked.event, stopped.event, done.event) == ("command", "status", "command")
    assert asked.data.pop("at").endswith("Z")
    assert asked.data == {
        "id": accepted["command_id"],
        "event_type": "stop_charger",
        "generation": 2,
        "status": "queued",
        "error": None,
    }
    assert (stopped.data["desired"], stopped.data["observed"]) == ("stopped", "stopped")
    assert (done.data["id"], done.data["status"]) == (accepted["command_id"], "succeeded")
    assert asked.id < stopped.id < done.id


def test_a_watcher_is_told_of_the_link_to_the_csms(fleet: Fleet, watch: Watch) -> None:
    charger_id = fleet.ready()
    watching = watch(charger_id)
    watching.next()

    fleet.link(charger_id, "rejected", reason="401", at=datetime(2026, 4, 2, 9, 15, 31, tzinfo=UTC))
    told = watching.next()

    assert told.event == "ocpp"
    del told.data["at"]
    assert told.data == {"state": "rejected", "reason": "401", "since": "2026-04-02T09:15:31Z"}


def test_a_watcher_is_told_that_a_charger_is_disconnected_because_nothing_runs(
    fleet: Fleet, watch: Watch
) -> None:
    charger_id = fleet.ready()
    fleet.link(charger_id, "accepted")
    watching = watch(charger_id)
    watching.next()

    fleet.settle(charger_id, running_count=0)
    told = watching.next()
    runtime = fleet.get(f"/ocpp/chargers/{charger_id}").json["runtime"]["ocpp"]

    assert told.event == "ocpp"
    assert {name: told.data[name] for name in ("state", "reason", "since")} == {
        "state": "disconnected",
        "reason": "The charger's process does not run",
        "since": runtime["since"],
    }


def test_what_is_looked_at_and_found_unchanged_is_no_event(fleet: Fleet, sessions: Sessions) -> None:
    charger_id = fleet.ready()
    fleet.link(charger_id, "accepted")
    before = _events(sessions, charger_id)

    fleet.settle(charger_id, running_count=1)
    read_lines(sessions, line(charger_id, "accepted"), line(charger_id, None))

    assert _events(sessions, charger_id) == before


def test_a_watcher_goes_on_where_it_left_off(fleet: Fleet, watch: Watch, sessions: Sessions) -> None:
    """It comes again for each event, and misses none and reads none twice."""
    charger_id = fleet.ready()
    last_id = watch(charger_id).next().id
    for action in ("stop", "start", "reset", "stop"):
        fleet.post(f"/ocpp/chargers/{charger_id}/{action}-charger")

    told = []
    for _ in range(4):
        watching = watch(charger_id, last_id)
        told.append(watching.next())
        watching.close()
        last_id = told[-1].id

    assert [one.data["event_type"].partition("_")[0] for one in told] == ["stop", "start", "reset", "stop"]
    assert [one.id for one in told] == _events(sessions, charger_id)[-4:]


def test_changes_that_race_are_told_in_the_order_of_their_commits(
    fleet: Fleet, watch: Watch, sessions: Sessions
) -> None:
    charger_id = fleet.ready()
    watching = watch(charger_id)
    seen = [watching.next().id]

    def change(number: int) -> None:
        with sessions.begin() as session:
            charger = session.get_one(Charger, charger_id, with_for_update=True)
            charger.pending_count = (charger.pending_count + 1) % 30_000
            session.flush()
            sleep(0.001 * (number % 3))

    with ThreadPoolExecutor(8) as pool:
        changes = [pool.submit(change, number) for number in range(60)]
        seen += [watching.next().id for _ in changes]
        for one in changes:
            one.result()

    assert seen == sorted(seen)
    assert seen[1:] == _events(sessions, charger_id)[-60:]


def test_a_stream_ends_with_its_charger(fleet: Fleet, watch: Watch) -> None:
    charger_id = fleet.ready()
    watching = watch(charger_id)

    fleet.delete(f"/ocpp/chargers/{charger_id}")
    told = list(watching.events)

    assert [one.event for one in told] == ["snapshot", "command"]
    assert told[-1].data["event_type"] == EventType.DELETE_CHARGER
    assert fleet.get(f"/ocpp/chargers/{charger_id}/events").status_code == 404


def test_a_stream_gives_signs_of_life_and_ends_after_a_while(
    fleet: Fleet, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "SILENCE_S", 0.1)
    monkeypatch.setattr(streams, "LIFE_S", 0.35)
    watching = watch(fleet.ready())

    chunks = list(watching.chunks)

    assert chunks[0].startswith(b"retry: ")
    assert chunks[1:] == [b":\n\n"] * 4


def test_another_organization_cannot_watch(fleet: Fleet) -> None:
    charger_id = fleet.ready()

    for headers in ({}, {"Last-Event-ID": "0"}):
        answer = fleet.get(f"/ocpp/chargers/{charger_id}/events", organization="globex", headers=headers)
        assert answer.status_code == 404


@pytest.mark.parametrize("last_id", ["", "-1", "abc", "1e3", "9" * 19, "²"])
def test_what_is_no_events_id_is_refused(fleet: Fleet, last_id: str) -> None:
    answer = fleet.get(f"/ocpp/chargers/{fleet.ready()}/events", headers={"Last-Event-ID": last_id})

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["header", "Last-Event-ID"]


def test_a_full_server_asks_to_try_again_later(
    fleet: Fleet, app: Flask, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources: Resources = app.extensions["chargehand"]
    monkeypatch.setattr(resources.streams._places, "most", 2)
    charger_id = fleet.ready()
    watching = [watch(charger_id), watch(charger_id)]

    refused = fleet.get(f"/ocpp/chargers/{charger_id}/events")
    watching[0].close()
    again = watch(charger_id).next()

    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "2"
    assert again.event == "snapshot"


def test_who_asks_only_for_the_headers_takes_no_place(fleet: Fleet, app: Flask) -> None:
    answer = fleet.request("HEAD", f"/ocpp/chargers/{fleet.ready()}/events")

    assert (answer.status_code, answer.data) == (200, b"")
    assert app.extensions["chargehand"].streams.count == 0


def test_all_streams_share_one_query(fleet: Fleet, app: Flask, watch: Watch) -> None:
    chargers = [fleet.ready(identity=f"CP-{number}") for number in range(30)]
    watching = [watch(charger_id) for charger_id in chargers]
    resources: Resources = app.extensions["chargehand"]
    queries: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        queries.append(statement)

    event.listen(resources.pools.polling, "before_cursor_execute", note)
    started = monotonic()
    while len(queries) < 4:
        assert monotonic() - started < 10
        sleep(0.01)
    event.remove(resources.pools.polling, "before_cursor_execute", note)

    assert monotonic() - started > 2 * streams.POLL_S
    assert all("charger_events" in query for query in queries)
    assert [one.next().event for one in watching] == ["snapshot"] * 30


def test_nobody_asks_the_database_while_nobody_watches(fleet: Fleet, app: Flask, watch: Watch) -> None:
    watch(fleet.ready()).close()
    resources: Resources = app.extensions["chargehand"]
    deadline = monotonic() + 5

    while resources.streams._poller._running:
        assert monotonic() < deadline
        sleep(0.01)

    assert resources.streams.count == 0


def _events(sessions: Sessions, charger_id: str) -> list[int]:
    with sessions() as session:
        return list(
            session.scalars(
                select(ChargerEvent.id).where(ChargerEvent.charger_id == charger_id).order_by(ChargerEvent.id)
            )
        )


def test_a_charger_that_failed_is_told_with_its_error(fleet: Fleet, watch: Watch, sessions: Sessions) -> None:
    charger_id = fleet.create()
    watching = watch(charger_id)
    watching.next()
    error = {"code": "image_unavailable", "message": "The image cannot be pulled"}

    with sessions.begin() as session:
        session.execute(
            update(Charger).values(
                provisioning_status=ProvisioningStatus.FAILED, error=error, desired_count=0
            )
        )
    told = watching.next()

    assert (told.event, told.data["status"], told.data["error"]) == ("status", "FAILED", error)


def test_a_client_that_is_far_behind_delays_nobody_else(
    fleet: Fleet, watch: Watch, sessions: Sessions, app: Flask
) -> None:
    """The first half of a year of a link that flaps, of another organization and of the same charger."""
    flapping, stopping = fleet.ready(identity="CP-1"), fleet.ready(identity="CP-2")
    with sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO charger_events (charger_id, type, data) SELECT :charger_id, 'ocpp',"
                " jsonb_build_object('state', 'accepted', 'reason', n::text, 'since', NULL)"
                " FROM generate_series(1, 5000) n"
            ),
            {"charger_id": flapping},
        )
        newest = {one: max(_events(sessions, one)) for one in (stopping,)}
        last = session.scalar(select(func.max(ChargerEvent.id)).where(ChargerEvent.charger_id == flapping))
    with sessions() as session:
        positions = [(flapping, 0), (flapping, last or 0), (stopping, newest[stopping])]
        fleet.post(f"/ocpp/chargers/{stopping}/stop-charger")
        fleet.post(f"/ocpp/chargers/{flapping}/stop-charger")

        found = list(events_after(session, positions))

    news = [event for event in found if event.after in (last, newest[stopping])]
    assert {event.charger_id for event in news} == {flapping, stopping}
    assert all(event.data["event_type"] == "stop_charger" for event in news)
    assert len([event for event in found if event.after == 0]) == MAX_EVENTS


def test_old_events_are_read_for_a_few_streams_of_an_organization_at_a_time(
    fleet: Fleet, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody's old events take the process from others, and each of those streams has its turn."""
    charger_id = fleet.ready()
    with sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO charger_events (charger_id, type, data) SELECT :charger_id, 'ocpp', '{}'"
                " FROM generate_series(1, 5000) n"
            ),
            {"charger_id": charger_id},
        )
    ids = _events(sessions, charger_id)
    streams = Streams(sessionmaker(sessions.kw["bind"]), Places(100, 100))
    monkeypatch.setattr(streams._poller, "ensure_running", lambda: None)
    old = [streams.open("acme", charger_id, last_id) for last_id in ids[: 3 * BEHIND_AT_ONCE]]
    other = streams.open("globex", charger_id, ids[-1])
    streams._look()  # finds out who is behind

    def fed() -> list[int]:
        streams._look()
        return [_taken(stream) for stream in old]

    for stream in old:
        _taken(stream)
    first, second, third = fed(), fed(), fed()
    fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")
    streams._look()

    assert sum(first) == BEHIND_AT_ONCE * MAX_EVENTS
    assert [sum(each) for each in zip(first, second, third, strict=True)] == [MAX_EVENTS] * len(old)
    assert _taken(other) == 1


def _taken(stream: Stream) -> int:
    """How many events the client takes."""
    taken = 0
    while not stream.hungry:
        stream._coming.get()
        taken += 1
    return taken


def test_a_client_that_is_far_behind_reads_everything_in_order(
    fleet: Fleet, watch: Watch, sessions: Sessions
) -> None:
    charger_id = fleet.ready()
    for number in range(MAX_EVENTS // 2 + 5):
        fleet.settle(charger_id, running_count=0, pending_count=number % 2)
        fleet.settle(charger_id, running_count=1)
    watching = watch(charger_id, 0)
    events = _events(sessions, charger_id)

    assert len(events) > MAX_EVENTS
    assert [watching.next().id for _ in events] == events


def test_an_id_that_no_event_has_yet_is_refused(fleet: Fleet, watch: Watch, sessions: Sessions) -> None:
    """As after a restore of the database: the stream would be silent for ever."""
    charger_id = fleet.ready()
    newest = _events(sessions, charger_id)[-1]
    path = f"/ocpp/chargers/{charger_id}/events"

    refused = fleet.get(path, headers={"Last-Event-ID": str(newest + 1)})
    watch(charger_id, newest)

    assert refused.status_code == 422
    assert refused.json["detail"][0]["loc"] == ["header", "Last-Event-ID"]


def test_an_organization_cannot_take_all_streams(
    fleet: Fleet, app: Flask, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources: Resources = app.extensions["chargehand"]
    monkeypatch.setattr(resources.streams._places, "most_per_organization", 2)
    charger_id, other = fleet.ready(), fleet.ready("globex")
    watching = [watch(charger_id), watch(charger_id)]

    refused = fleet.get(f"/ocpp/chargers/{charger_id}/events")
    foreign = fleet.get(f"/ocpp/chargers/{other}/events", organization="globex")
    watching[0].close()
    again = watch(charger_id).next()

    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert "More than 2 event streams" in refused.json["detail"]
    assert foreign.status_code == 200
    foreign.close()
    assert again.event == "snapshot"
