"""The order of an organization's events: nothing is skipped, whichever transaction commits first."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import delete, event, func, select, text, update
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.fleet import feed
from shared.fleet.feed import Changes, Place, changes_after, is_far_behind, read_mark, read_rows
from shared.models import Charger, ChargerEvent, Command
from tests.shared.fleet.test_charger_counts import charger


def added(sessions: Sessions, organization: str = "acme") -> str:
    with sessions.begin() as session:
        new = charger(organization)
        session.add(new)
        session.flush()
        return new.id


def now(sessions: Sessions, organization: str = "acme") -> Place:
    with sessions() as session:
        return Place(organization, read_mark(session).xmin, 0)


def read(sessions: Sessions, place: Place, **options: int) -> Changes:
    with sessions() as session:
        return changes_after(session, [place], **options)[1][place]


def rename(session: Session, charger_id: str, name: str) -> None:
    session.execute(update(Charger).where(Charger.id == charger_id).values(name=name))


@contextmanager
def open_transaction(sessions: Sessions) -> Iterator[Session]:
    with sessions.begin() as session:
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        yield session


def test_a_transaction_that_commits_late_is_not_skipped(sessions: Sessions) -> None:
    """Its event has a lower id than one that was read long before."""
    slow, fast = added(sessions), added(sessions)
    place = now(sessions)

    with open_transaction(sessions) as session:
        rename(session, slow, "slow")
        with sessions.begin() as other:
            rename(other, fast, "fast")
        first = read(sessions, place)
    second = read(sessions, first.next)
    third = read(sessions, second.next)

    assert first.charger_ids == (fast,)
    assert second.charger_ids == (slow,)
    assert third.charger_ids == ()


def test_a_change_is_returned_while_an_older_transaction_is_open(sessions: Sessions) -> None:
    """A transaction that hangs, of whichever database of the server, delays nobody. No event comes twice meanwhile."""
    one, other = added(sessions), added(sessions)
    with open_transaction(sessions) as hanging:
        hanging.execute(select(func.pg_current_xact_id()))
        place = now(sessions)
        received: list[tuple[str, ...]] = []
        for number in range(3):
            with sessions.begin() as session:
                rename(session, (one, other, one)[number], f"{number}")
            changes = read(sessions, place)
            place = changes.next
            received.append(changes.charger_ids)
    after = read(sessions, place)

    assert received == [(one,), (other,), (one,)]
    assert after.charger_ids == ()
    assert after.next.xid > place.xid


def test_more_changes_than_a_page_above_an_open_transaction_are_returned_page_by_page(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MAX_CHARGERS", 2)
    chargers = [added(sessions) for _ in range(5)]
    with open_transaction(sessions) as hanging:
        hanging.execute(select(func.pg_current_xact_id()))
        place = now(sessions)
        received: list[str] = []
        with sessions.begin() as session:
            for charger_id in chargers:
                rename(session, charger_id, "new")
        for _ in range(3):
            changes = read(sessions, place)
            place = changes.next
            received += changes.charger_ids

    assert received == chargers
    assert not changes.is_behind


def test_a_reader_far_behind_reads_pages_without_a_gap(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MAX_EVENTS", 7)
    monkeypatch.setattr(feed, "MAX_CHARGERS", 3)
    place = now(sessions)
    chargers = [added(sessions) for _ in range(4)]
    for number in range(20):
        with sessions.begin() as session:
            rename(session, chargers[number % 4], f"{number}")

    pages = [read(sessions, place)]
    while pages[-1].is_behind:
        pages.append(read(sessions, pages[-1].next))

    assert len(pages) > 3
    assert all(len(page.charger_ids) <= 3 for page in pages)
    assert {one for page in pages for one in page.charger_ids} == set(chargers)
    assert sum(len(page.charger_ids) for page in pages) >= 20


def test_a_busy_charger_hides_no_other(sessions: Sessions) -> None:
    busy, quiet = added(sessions), added(sessions)
    place = now(sessions)
    for number in range(300):
        with sessions.begin() as session:
            rename(session, busy, f"{number}")
    with sessions.begin() as session:
        rename(session, quiet, "new")

    assert set(read(sessions, place).charger_ids) == {busy, quiet}


def test_the_removal_of_a_charger_is_read_when_its_row_is_gone(sessions: Sessions) -> None:
    charger_id = added(sessions)
    place = now(sessions)
    with sessions.begin() as session:
        rename(session, charger_id, "new")

    with sessions.begin() as session:
        session.execute(delete(Charger).where(Charger.id == charger_id))
    changes = read(sessions, place)

    with sessions() as session:
        assert changes.charger_ids == (charger_id,)
        assert read_rows(session, [charger_id]) == []
        assert session.scalars(select(ChargerEvent.type)).all() == ["removed"]


def test_every_organization_has_its_own_order(sessions: Sessions) -> None:
    ours, theirs = added(sessions), added(sessions, "globex")
    places = [now(sessions), now(sessions, "globex"), now(sessions, "initech")]
    with sessions.begin() as session:
        rename(session, ours, "new")
        rename(session, theirs, "new")

    with sessions() as session:
        _, found = changes_after(session, places)

    assert [found[place].charger_ids for place in places] == [(ours,), (theirs,), ()]


def test_all_places_are_read_with_one_statement(sessions: Sessions) -> None:
    added(sessions)
    places = [now(sessions, f"organization-{number}") for number in range(50)]
    statements: list[str] = []
    with sessions() as session:
        event.listen(session.get_bind(), "before_cursor_execute", lambda *given: statements.append(given[2]))
        changes_after(session, places)

    assert len(statements) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"name": "new"},
        {"location_id": "here"},
        {"location_name": "Here"},
        {"ws_url": "ws://other.test/ocpp"},
        {"ocpp_version": "OCPP2.0.1"},
        {"connector_type": "CCS"},
        {"number_of_connectors": 7},
        {"reason": "Nothing listens"},
        {"observed_at": func.now()},
        {"running_count": 1},
        {"link_state": "accepted"},
    ],
)
def test_whatever_a_row_shows_is_noted_when_it_changes(sessions: Sessions, change: dict[str, object]) -> None:
    charger_id = added(sessions)
    place = now(sessions)
    with sessions.begin() as session:
        session.execute(update(Charger).where(Charger.id == charger_id).values(change))

    assert read(sessions, place).charger_ids == (charger_id,)


def test_an_attempt_of_a_command_and_its_wait_for_the_budget_are_noted(sessions: Sessions) -> None:
    charger_id = added(sessions)
    with sessions.begin() as session:
        row = session.get_one(Charger, charger_id)
        session.add(
            Command(
                id=row.newest_command_id,
                charger_id=charger_id,
                organization_id="acme",
                event_type="create_charger",
                generation=1,
                requested_by="tester",
            )
        )
    for change in ({"attempts": 1}, {"held_since": func.now()}, {"reason": "ECS does not answer"}):
        place = now(sessions)
        with sessions.begin() as session:
            session.execute(update(Command).values(change))
        assert read(sessions, place).charger_ids == (charger_id,), change


def test_an_observation_without_a_change_is_not_noted(sessions: Sessions) -> None:
    charger_id = added(sessions)
    with sessions.begin() as session:
        session.execute(update(Charger).values(observed_at=func.now()))
    place = now(sessions)
    with sessions.begin() as session:
        session.execute(update(Charger).where(Charger.id == charger_id).values(observed_at=func.now()))

    assert read(sessions, place).charger_ids == ()


def test_a_reader_with_more_events_to_read_than_a_list_has_rows_is_far_behind(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MAX_BEHIND", 3)
    charger_id = added(sessions)
    place = now(sessions)
    behind = []
    for number in range(4):
        with sessions.begin() as session:
            rename(session, charger_id, f"{number}")
        with sessions() as session:
            behind.append(is_far_behind(session, place))

    assert behind == [False, False, False, True]


def test_events_from_a_restored_database_with_higher_transactions_are_not_read_again_and_again(
    sessions: Sessions,
) -> None:
    """pg_restore keeps the ids of transactions of the server that was backed up."""
    charger_id = added(sessions)
    place = now(sessions)
    with sessions.begin() as session:
        rename(session, charger_id, "new")
        session.execute(update(ChargerEvent).values(xid=1 << 40))

    assert read(sessions, place).charger_ids == ()
