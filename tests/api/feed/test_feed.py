"""The poller behind the feed: one query for all, one rendering for all, and no client that holds up another."""

from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from api.live import feed as live_feed
from api.live import feed_stream
from api.live.feed import MAX_BEHIND_PER_POLL
from api.live.feed_stream import FeedStream
from api.resources import Resources
from shared.database.engine import Sessions
from shared.fleet import feed
from shared.fleet.feed import Place, read_mark
from tests.api.feed.conftest import WatchAll
from tests.support.fleet import Fleet
from tests.support.waiting import wait_until


@pytest.fixture
def by_hand(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> Resources:
    """The feed is polled by the test alone."""
    monkeypatch.setattr(resources.feed._poller, "ensure_running", lambda: None)
    return resources


def opened(resources: Resources, sessions: Sessions, organization: str = "acme") -> FeedStream:
    with sessions() as session:
        return resources.feed.open(Place(organization, read_mark(session).xmin, 0))


def rename_all(sessions: Sessions) -> None:
    with sessions.begin() as session:
        session.execute(text("UPDATE chargers SET name = 'new' WHERE organization_id = 'acme'"))


def test_all_clients_share_one_query_and_one_rendering_of_a_row(
    fleet: Fleet, sessions: Sessions, by_hand: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    organizations = ("acme", "globex")
    chargers = {one: fleet.ready(one) for one in organizations}
    streams = {one: [opened(by_hand, sessions, one) for _ in range(10)] for one in organizations}
    by_hand.feed._poll_changes()
    for verb in ("stop", "start"):
        for one, charger_id in chargers.items():
            fleet.post(f"/ocpp/chargers/{charger_id}/{verb}-charger", organization=one)
    statements: list[str] = []
    rendered: list[str] = []
    render = by_hand.renderer.row

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    def row(charger: Any) -> bytes:
        rendered.append(charger.id)
        return render(charger)

    monkeypatch.setattr(by_hand.renderer, "row", row)
    event.listen(by_hand.pools.polling, "before_cursor_execute", note)
    by_hand.feed._poll_changes()
    event.remove(by_hand.pools.polling, "before_cursor_execute", note)

    assert len(statements) == 2  # what changed, and the rows
    assert sorted(rendered) == sorted(chargers.values())
    for one in organizations:
        for stream in streams[one]:
            assert list(stream.take().rows) == [chargers[one]]
            by_hand.feed.close(stream)


def test_old_events_of_an_organization_delay_no_other_client(
    fleet: Fleet, sessions: Sessions, by_hand: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clients with old cursors take turns, and the others have what is new in the same poll."""
    monkeypatch.setattr(feed, "MAX_CHARGERS", 5)
    monkeypatch.setattr(live_feed, "POLL_S", 0.0)
    busy, quiet = fleet.ready(), fleet.ready("globex")
    fleet.multiply(busy, 40)
    with sessions() as session:
        old = Place("acme", read_mark(session).xmin, 0)
    rename_all(sessions)
    behind = [by_hand.feed.open(old) for _ in range(3 * MAX_BEHIND_PER_POLL)]
    other = opened(by_hand, sessions, "globex")
    by_hand.feed._poll_changes()  # finds out who is behind
    for stream in behind:
        stream.take()
    fleet.post(f"/ocpp/chargers/{quiet}/stop-charger", organization="globex")

    by_hand.feed._poll_changes()

    assert list(other.take().rows) == [quiet]
    assert sum(bool(stream.take().rows) for stream in behind) == MAX_BEHIND_PER_POLL
    for _ in range(40):
        by_hand.feed._poll_changes()
    assert not any(stream.is_behind for stream in behind)
    for stream in (*behind, other):
        by_hand.feed.close(stream)


def test_a_client_that_does_not_keep_up_goes_on_before_the_rows_that_it_lost(
    fleet: Fleet, sessions: Sessions, by_hand: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when its last batch has something else: a summary, or an event of a charger that it watches."""
    monkeypatch.setattr(feed_stream, "MAX_PENDING", 3)
    charger_id = fleet.ready()
    fleet.multiply(charger_id, 10)
    stream = opened(by_hand, sessions)
    before = stream.place
    rename_all(sessions)

    by_hand.feed._poll_changes()
    by_hand.feed._poll_summaries()

    batches = list(stream)
    assert stream.place > before
    assert [(batch.place, batch.rows) for batch in batches] == [(before, {})]
    assert batches[0].summary is not None
    by_hand.feed.close(stream)


def test_a_client_that_comes_after_a_summary_was_sent_has_it_too(
    fleet: Fleet, sessions: Sessions, by_hand: Resources
) -> None:
    """Its `ready` may have been read before."""
    fleet.ready()
    first = opened(by_hand, sessions)
    by_hand.feed._poll_summaries()
    second = opened(by_hand, sessions)

    by_hand.feed._poll_summaries()

    shown = first.take().summary
    assert shown is not None
    assert second.take().summary == shown
    by_hand.feed._poll_summaries()
    assert not first.take()
    assert not second.take()
    for stream in (first, second):
        by_hand.feed.close(stream)


def test_no_summary_is_read_for_a_long_poll(fleet: Fleet, sessions: Sessions, by_hand: Resources) -> None:
    fleet.ready()
    with sessions() as session:
        now = Place("acme", read_mark(session).xmin, 0)

    with by_hand.feed.listen(now) as stream:
        by_hand.feed._poll_summaries()

        assert not stream.wait(0)
        assert "acme" not in by_hand.feed._summaries


def test_clients_hear_since_when_the_database_is_away_and_when_it_is_back(
    fleet: Fleet, watch_all: WatchAll, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The poller survives, and what happened meanwhile comes after it."""
    charger_id = fleet.ready()
    watching = watch_all()
    watching.next()

    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("SELECT", {}, Exception("the database is away"))

    with monkeypatch.context() as patch:
        patch.setattr(live_feed, "changes_after", fail)
        away = watching.next("behind").data
        fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")
    row = watching.next("charger").data
    back = watching.next("behind").data

    assert away["since"].endswith("Z")
    assert "cannot read from its database" in away["reason"]
    assert row["runtime"]["desired"] == "stopped"
    assert back == {"since": None, "reason": None}


def test_streams_end_when_the_database_becomes_another_one(
    fleet: Fleet, watch_all: WatchAll, resources: Resources
) -> None:
    """Their places mean nothing there: clients connect again, and load their lists."""
    fleet.ready()
    watching = watch_all()
    watching.next()
    wait_until(lambda: resources.feed._database)

    resources.feed._database = "another"

    assert "charger" not in {one.event for one in watching.events}


def test_a_stream_that_is_open_longer_than_its_token_may_live_ends(
    fleet: Fleet, watch_all: WatchAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_stream, "SILENCE_S", 0.1)
    monkeypatch.setattr(feed_stream, "LIFE_S", 0.5)

    chunks = list(watch_all().chunks)

    assert chunks[0].startswith(b"retry: ")
    assert b":\n\n" in chunks
