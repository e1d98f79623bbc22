"""GET /ocpp/events: a row for each charger that changes, as lists have it, and the way to go on after a break."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, text

from api.http.feed import cursors
from api.live import feed_stream
from api.resources import Resources
from shared.database.engine import Sessions
from shared.fleet import feed
from shared.models import Charger
from tests.api.feed.conftest import WatchAll
from tests.support.feeding import FeedClient
from tests.support.fleet import Fleet
from tests.support.waiting import wait_until


def listed(fleet: Fleet, organization: str = "acme") -> dict[str, Any]:
    return {row["id"]: row for row in fleet.get("/ocpp/chargers", organization=organization).json["data"]}


def settled(row: dict[str, Any]) -> dict[str, Any]:
    """The row without what depends on when it was read."""
    return row | {"runtime": row["runtime"] | {"ocpp": None}}


def test_a_stream_begins_with_the_state_of_the_organization(fleet: Fleet, watch_all: WatchAll) -> None:
    fleet.ready()

    watching = watch_all()
    first = watching.next()

    assert first.event == "ready"
    assert first.data["cursor"] == first.id
    assert (first.data["resumed"], first.data["reason"]) == (False, None)
    assert first.data["summary"]["total"] == 1
    assert first.data["server_time"].endswith("Z")
    headers = watching.answer.headers
    assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["Cache-Control"] == "no-store"


def test_a_change_comes_as_the_row_that_the_list_has(fleet: Fleet, watch_all: WatchAll) -> None:
    charger_id = fleet.ready()
    fleet.place("here")
    watching = watch_all()
    watching.next()

    fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")
    stopping = watching.next("charger").data
    fleet.put(f"/ocpp/chargers/{charger_id}", json={"name": "Bay 7", "location_id": "here"})
    renamed = watching.next("charger").data

    assert stopping["runtime"]["desired"] == "stopped"
    assert renamed["name"] == "Bay 7"
    assert settled(renamed) == settled(listed(fleet)[charger_id])


def test_a_new_charger_and_a_deleted_one_come_too(fleet: Fleet, watch_all: WatchAll) -> None:
    watching = watch_all()
    watching.next()

    charger_id = fleet.create()
    created = watching.next("charger").data
    fleet.delete(f"/ocpp/chargers/{charger_id}")
    removed = watching.next("removed").data

    assert created["id"] == charger_id
    assert removed == {"id": charger_id}


def test_a_stream_goes_on_from_its_cursor(fleet: Fleet, watch_all: WatchAll, sessions: Sessions) -> None:
    """Also with what was removed meanwhile, row and all."""
    kept, gone = fleet.ready(identity="CP-1"), fleet.ready(identity="CP-2")
    watching = watch_all()
    cursor = watching.next().id
    watching.close()
    fleet.post(f"/ocpp/chargers/{kept}/stop-charger")
    fleet.delete(f"/ocpp/chargers/{gone}")
    with sessions.begin() as session:
        session.execute(delete(Charger).where(Charger.id == gone))

    again = watch_all(after=cursor)
    ready = again.next()
    found = [again.next("charger", "removed") for _ in range(2)]

    assert (ready.data["resumed"], ready.data["reason"]) == (True, None)
    assert {one.event: one.data["id"] for one in found} == {"charger": kept, "removed": gone}


def test_only_the_last_event_of_a_batch_has_a_cursor(
    fleet: Fleet, watch_all: WatchAll, sessions: Sessions
) -> None:
    """A break in the middle repeats the batch."""
    charger_id = fleet.ready()
    fleet.multiply(charger_id, 60)
    watching = watch_all()
    cursor = watching.next().id
    with sessions.begin() as session:
        session.execute(text("UPDATE chargers SET name = 'new'"))

    received = [watching.next("charger") for _ in range(61)]
    with_cursor = [one.id for one in received if one.id]

    assert len(with_cursor) <= 1
    assert cursor not in with_cursor


@pytest.mark.parametrize("header", ["x", "W10.abc", "9" * 3000])
def test_what_is_no_cursor_is_refused(fleet: Fleet, header: str) -> None:
    by_header = fleet.get("/ocpp/events", headers={"Last-Event-ID": header})
    by_query = fleet.get(f"/ocpp/events?after={header}")

    assert by_header.status_code == by_query.status_code == 422
    assert by_header.json["detail"][0]["loc"] == ["header", "Last-Event-ID"]
    assert by_query.json["detail"][0]["loc"] == ["query", "after"]


def test_the_header_wins_over_the_query(fleet: Fleet, watch_all: WatchAll) -> None:
    """A client that reconnects by itself repeats its address, with the older cursor."""
    charger_id = fleet.ready()
    older = watch_all().next().id
    fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")
    newer = watch_all().next().id

    answer = fleet.get(f"/ocpp/events?after={older}", headers={"Last-Event-ID": newer})

    resumed = FeedClient(answer).next().id
    answer.close()
    # A cursor also has the second in which it was written.
    database, xid, event_id, *_ = cursors.read_cursor(resumed or "")
    assert (database, xid, event_id) == cursors.read_cursor(newer or "")[:3]
    assert (database, xid, event_id) != cursors.read_cursor(older or "")[:3]


def test_a_cursor_of_another_database_is_not_continued(
    fleet: Fleet, watch_all: WatchAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = watch_all().next().id
    monkeypatch.setattr(feed, "_MARK", text(str(feed._MARK).replace("concat_ws('-',", "concat_ws('-', 1,")))

    ready = watch_all(after=cursor).next().data

    assert ready["resumed"] is False
    assert ready["reason"] == "The cursor is of another database, or of a time before this one was restored"


def test_a_cursor_that_is_too_old_is_not_continued(
    fleet: Fleet, watch_all: WatchAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = watch_all().next().id
    monkeypatch.setattr(cursors, "MAX_AGE_S", -1)

    ready = watch_all(after=cursor).next().data

    assert ready["resumed"] is False
    assert "older than" in ready["reason"]


def test_a_cursor_that_too_much_followed_is_not_continued(
    fleet: Fleet, watch_all: WatchAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    charger_id = fleet.ready()
    cursor = watch_all().next().id
    monkeypatch.setattr(feed, "MAX_BEHIND", 1)
    for verb in ("stop", "start", "stop"):
        fleet.post(f"/ocpp/chargers/{charger_id}/{verb}-charger")

    ready = watch_all(after=cursor).next().data

    assert (ready["resumed"], ready["reason"].partition(" changes")[0]) == (False, "More than 20,000")


def test_organizations_never_see_each_others_rows(fleet: Fleet, watch_all: WatchAll) -> None:
    ours, theirs = fleet.ready(), fleet.ready("globex")
    watching = {"acme": watch_all(), "globex": watch_all("globex")}
    for one in watching.values():
        one.next()

    fleet.post(f"/ocpp/chargers/{ours}/stop-charger")
    fleet.post(f"/ocpp/chargers/{theirs}/stop-charger", organization="globex")
    seen = {name: one.next("charger").data["id"] for name, one in watching.items()}
    fleet.delete(f"/ocpp/chargers/{ours}")
    fleet.delete(f"/ocpp/chargers/{theirs}", organization="globex")
    gone = {name: one.next("removed").data["id"] for name, one in watching.items()}

    assert seen == gone == {"acme": ours, "globex": theirs}
    assert fleet.get(f"/ocpp/events?charger_id={theirs}").status_code == 404


def test_a_cursor_of_another_organization_shows_nothing_of_it(fleet: Fleet, watch_all: WatchAll) -> None:
    cursor = watch_all().next().id
    ours, theirs = fleet.ready(), fleet.ready("globex")

    watching = watch_all("globex", after=cursor)

    assert watching.next("charger").data["id"] == theirs
    assert ours not in watching.rows


def test_a_stream_has_the_events_of_the_chargers_that_it_names(fleet: Fleet, watch_all: WatchAll) -> None:
    one, other = fleet.ready(identity="CP-1"), fleet.ready(identity="CP-2")
    watching = watch_all(charger_id=f"{one},{other}")
    watching.next("ready")

    snapshots = [watching.next("snapshot").data for _ in range(2)]
    fleet.post(f"/ocpp/chargers/{other}/stop-charger")
    command = watching.next("command").data

    assert [each["charger_id"] for each in snapshots] == [one, other]
    assert snapshots[0]["status"] == "READY"
    assert (command["charger_id"], command["event_type"]) == (other, "stop_charger")


def test_a_slow_client_costs_little_and_goes_on_from_its_cursor(
    fleet: Fleet,
    watch_all: WatchAll,
    sessions: Sessions,
    monkeypatch: pytest.MonkeyPatch,
    resources: Resources,
) -> None:
    """It reads nothing while more chargers change than are kept for it: its stream ends."""
    monkeypatch.setattr(feed_stream, "MAX_PENDING", 20)
    charger_id = fleet.ready()
    fleet.multiply(charger_id, 50)
    watching = watch_all()
    cursor = watching.next().id
    with sessions.begin() as session:
        session.execute(text("UPDATE chargers SET name = 'new'"))
    [stream] = resources.feed._streams
    wait_until(lambda: stream._ended)

    assert "charger" not in [event.event for event in watching.events]
    assert not stream.take()
    monkeypatch.setattr(feed_stream, "MAX_PENDING", 2000)
    again = watch_all(after=cursor)
    assert again.next().data["resumed"]
    for _ in range(51):
        again.next("charger")
    assert {row["name"] for row in again.rows.values()} == {"new"}


def test_streams_of_chargers_and_of_organizations_share_their_quota(
    fleet: Fleet, watch_all: WatchAll, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.streams._slots, "max_per_organization", 2)
    charger_id = fleet.ready()
    first, second = watch_all(charger_id=charger_id), watch_all()

    refused = fleet.get("/ocpp/events")
    of_charger = fleet.get(f"/ocpp/chargers/{charger_id}/events")
    first.close()
    again = watch_all().next()

    assert (refused.status_code, of_charger.status_code) == (429, 429)
    assert int(refused.headers["Retry-After"]) > 0
    assert again.event == "ready"
    second.close()


def test_a_head_request_takes_no_slot(fleet: Fleet, resources: Resources) -> None:
    answer = fleet.request("HEAD", "/ocpp/events")

    assert (answer.status_code, answer.data) == (200, b"")
    assert resources.feed.count == 0


def test_the_database_is_not_polled_while_nobody_watches(
    fleet: Fleet, watch_all: WatchAll, resources: Resources
) -> None:
    watch_all().close()

    wait_until(lambda: not resources.feed._poller._running)


@pytest.mark.parametrize(
    ("query", "loc"),
    [
        ("charger_id=", "charger_id"),
        ("charger_id=a,,b", "charger_id"),
        (f"charger_id={','.join('abcdefghijk')}", "charger_id"),
        ("frames=true", "frames"),
        ("frames=maybe&charger_id=a", "frames"),
        ("since=1", "since"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(fleet: Fleet, query: str, loc: str) -> None:
    answer = fleet.get(f"/ocpp/events?{query}")

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["query", loc]


def test_a_charger_that_does_not_exist_is_not_found(fleet: Fleet, app: Flask) -> None:
    assert fleet.get(f"/ocpp/events?charger_id={fleet.ready()},dep-unknown").status_code == 404
