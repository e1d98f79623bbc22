"""Streams of events: one query for all, fair to every organization, and limited in number."""

from time import monotonic, sleep
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, text
from sqlalchemy.orm import sessionmaker

from api.limits.slots import Slots
from api.live import streams
from api.live.streams import MAX_BEHIND_PER_POLL, Stream, Streams
from api.resources import Resources
from shared.database.engine import Sessions
from shared.fleet.events import MAX_EVENTS, events_after
from shared.models import ChargerEvent
from tests.support.fleet import Fleet
from tests.support.waiting import wait_until
from tests.support.watching import Watch, event_ids


def test_a_stream_gives_signs_of_life_and_ends_after_a_while(
    fleet: Fleet, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "SILENCE_S", 0.1)
    monkeypatch.setattr(streams, "LIFE_S", 0.35)
    watching = watch(fleet.ready())

    chunks = list(watching.chunks)

    assert chunks[0].startswith(b"retry: ")
    assert set(chunks[1:]) == {b":\n\n"}


def test_a_server_without_free_streams_answers_503_with_retry_after(
    fleet: Fleet, app: Flask, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources: Resources = app.extensions["chargehand"]
    monkeypatch.setattr(resources.streams._slots, "max_slots", 2)
    charger_id = fleet.ready()
    watching = [watch(charger_id), watch(charger_id)]

    refused = fleet.get(f"/ocpp/chargers/{charger_id}/events")
    watching[0].close()
    again = watch(charger_id).next()

    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "2"
    assert again.event == "snapshot"


def test_a_head_request_takes_no_slot(fleet: Fleet, app: Flask) -> None:
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
    while sum("charger_events" in query for query in queries) < 4:
        assert monotonic() - started < 10
        sleep(0.01)
    event.remove(resources.pools.polling, "before_cursor_execute", note)

    took_s = monotonic() - started
    others = [query for query in queries if "charger_events" not in query]
    assert took_s > 2 * streams.POLL_S
    assert all("shown_reports" in query for query in others)
    assert len(others) <= 1 + took_s / streams.REPORTS_S
    assert [one.next().event for one in watching] == ["snapshot"] * 30


def test_the_database_is_not_polled_while_no_stream_is_open(fleet: Fleet, app: Flask, watch: Watch) -> None:
    watch(fleet.ready()).close()
    resources: Resources = app.extensions["chargehand"]

    wait_until(lambda: not resources.streams._poller._running)

    assert resources.streams.count == 0


def test_a_client_that_is_far_behind_delays_no_other(
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
        newest = {one: max(event_ids(sessions, one)) for one in (stopping,)}
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
    ids = event_ids(sessions, charger_id)
    streams = Streams(sessionmaker(sessions.kw["bind"]), Slots(100, 100))
    monkeypatch.setattr(streams._poller, "ensure_running", lambda: None)
    old = [streams.open("acme", charger_id, last_id) for last_id in ids[: 3 * MAX_BEHIND_PER_POLL]]
    other = streams.open("globex", charger_id, ids[-1])
    streams._poll()  # finds out who is behind

    def fed() -> list[int]:
        streams._poll()
        return [_taken(stream) for stream in old]

    for stream in old:
        _taken(stream)
    first, second, third = fed(), fed(), fed()
    fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")
    streams._poll()

    assert sum(first) == MAX_BEHIND_PER_POLL * MAX_EVENTS
    assert [sum(each) for each in zip(first, second, third, strict=True)] == [MAX_EVENTS] * len(old)
    assert _taken(other) == 1


def _taken(stream: Stream) -> int:
    """How many events the client takes."""
    taken = 0
    while not stream.is_drained:
        stream._pending.get()
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
    events = event_ids(sessions, charger_id)

    assert len(events) > MAX_EVENTS
    assert [watching.next().id for _ in events] == events


def test_an_organization_cannot_take_all_streams(
    fleet: Fleet, app: Flask, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources: Resources = app.extensions["chargehand"]
    monkeypatch.setattr(resources.streams._slots, "max_per_organization", 2)
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
