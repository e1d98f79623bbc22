"""What the links do at intervals: dead links and their sessions, sessions that another link has ended, deleted chargers."""

from collections.abc import Iterator

import pytest
from sqlalchemy import delete, func, insert, select, update

from link.process import Link
from link.rows.sessions import prune_sessions
from shared.models import Charger, ControlLink, ControlSession
from shared.settings import Settings
from tests.link.conftest import Connect
from tests.support.control_hosts import HostRows, next_desired, observe, say_hello, start
from tests.support.control_link import ControlRows, in_s, running_link
from tests.support.waiting import wait_until


@pytest.fixture
def quick(settings: Settings, rows: ControlRows, monkeypatch: pytest.MonkeyPatch) -> Iterator[Link]:
    """A link that looks after its rows ten times a second."""
    for period in ("DEAD_LINKS_S", "CHECK_S"):
        monkeypatch.setattr(f"link.work.upkeep.{period}", 0.1)
    with running_link(settings) as link:
        yield link


def given_link(rows: ControlRows, link_id: str, seen_s: float) -> None:
    with rows.sessions.begin() as session:
        session.execute(insert(ControlLink).values(id=link_id, seen_at=in_s(seen_s)))


def given_session(
    rows: ControlRows, process_id: str, link_id: str, disconnected_s: float | None = None
) -> None:
    with rows.sessions.begin() as session:
        session.execute(
            insert(ControlSession).values(
                process_id=process_id,
                session_id=f"session-of-{process_id}",
                boot_id="boot-1",
                link_id=link_id,
                connected_at=func.now(),
                disconnected_at=None if disconnected_s is None else in_s(disconnected_s),
            )
        )


def processes(rows: ControlRows, *, connected: bool) -> set[str]:
    with rows.sessions() as session:
        return set(
            session.scalars(
                select(ControlSession.process_id).where(ControlSession.disconnected_at.is_(None) == connected)
            )
        )


def test_the_sessions_of_a_dead_link_end_and_those_of_a_living_one_stay(
    rows: ControlRows, quick: Link
) -> None:
    given_link(rows, "dead", seen_s=-16)
    given_link(rows, "living", seen_s=-10)
    given_session(rows, "of-dead", "dead")
    given_session(rows, "of-living", "living")
    given_session(rows, "of-removed", "removed")

    wait_until(lambda: processes(rows, connected=False) == {"of-dead", "of-removed"})

    assert processes(rows, connected=True) == {"of-living"}


def test_another_boot_takes_over_from_a_dead_link(rows: ControlRows, connect: Connect) -> None:
    charger_id = rows.charger()
    given_link(rows, "dead", seen_s=-16)
    given_session(rows, charger_id, "dead")

    connect(charger_id, boot="boot-2").hello()

    assert rows.is_connected(charger_id)


def test_a_session_that_another_link_has_ended_by_mistake_is_connected_again(
    rows: ControlRows, quick: Link, connect: Connect
) -> None:
    charger_id = rows.charger()
    process = connect(charger_id, url=quick.url)
    process.hello()

    with rows.sessions.begin() as session:
        session.execute(update(ControlSession).values(disconnected_at=func.now()))

    wait_until(lambda: rows.is_connected(charger_id))
    process.apply(rows.action(charger_id))


def test_a_session_that_only_its_row_knows_keeps_no_other_boot_out(
    rows: ControlRows, quick: Link, connect: Connect
) -> None:
    """As when a connection ends while its session is written as connected."""
    charger_id = rows.charger()
    given_session(rows, charger_id, quick.id)
    with rows.sessions.begin() as session:
        session.execute(update(ControlSession).values(connected_at=in_s(-120)))

    wait_until(lambda: processes(rows, connected=False) == {charger_id})

    connect(charger_id, url=quick.url, boot="boot-2").hello()


@pytest.mark.parametrize("row_remains", [True, False])
def test_the_session_of_a_deleted_charger_ends(
    rows: ControlRows, quick: Link, connect: Connect, row_remains: bool
) -> None:
    charger_id, other = rows.charger("CP-1"), rows.charger("CP-2")
    process, staying = (connect(each, url=quick.url) for each in (charger_id, other))
    process.hello()
    staying.hello()

    with rows.sessions.begin() as session:
        statement = update(Charger).values(deleted_at=func.now()) if row_remains else delete(Charger)
        session.execute(statement.where(Charger.id == charger_id))

    assert process.close_code() == 4004
    staying.apply(rows.action(other))


def test_the_session_of_a_deleted_host_ends(rows: ControlRows, quick: Link, connect: Connect) -> None:
    hosts = HostRows(rows.sessions)
    deleted, staying = hosts.host(), hosts.host()
    host, other = (connect(each, url=quick.url) for each in (deleted, staying))
    say_hello(host)
    say_hello(other)

    hosts.delete(deleted)

    assert host.close_code() == 4004
    charger_id = rows.charger()
    hosts.place(staying, charger_id)
    start(other, charger_id)


def test_a_charger_that_was_taken_from_a_host_is_ended_there_and_no_longer_listened_to(
    rows: ControlRows, quick: Link, connect: Connect
) -> None:
    hosts = HostRows(rows.sessions)
    host_id, charger_id, other = hosts.host(), rows.charger("CP-1"), rows.charger("CP-2")
    hosts.place(host_id, charger_id)
    host = connect(host_id, url=quick.url)
    say_hello(host)
    start(host, charger_id)
    wait_until(lambda: rows.is_connected(charger_id))

    hosts.remove(charger_id)

    [parting] = next_desired(host)
    assert parting == {"charger": charger_id, "generation": 0, "desired_count": 0, "leaving": True}
    host.report_of(charger_id, csms={"state": "accepted"})
    hosts.place(host_id, other)
    start(host, other)
    wait_until(lambda: rows.is_connected(other))
    host.report_of(other, csms={"state": "accepted"})
    wait_until(lambda: rows.report(other).csms == {"state": "accepted"})
    assert rows.report(charger_id).csms is None


def test_the_session_of_a_host_outlasts_its_deleted_chargers(
    rows: ControlRows, quick: Link, connect: Connect
) -> None:
    hosts = HostRows(rows.sessions)
    host_id, charger_id, other = hosts.host(), rows.charger("CP-1"), rows.charger("CP-2")
    hosts.place(host_id, charger_id)
    host = connect(host_id, url=quick.url)
    say_hello(host)
    start(host, charger_id)
    wait_until(lambda: rows.is_connected(charger_id))

    with rows.sessions.begin() as session:
        session.execute(update(Charger).where(Charger.id == charger_id).values(deleted_at=func.now()))
    hosts.decide(charger_id, 2, desired_count=0, leaving=True)

    [entry] = next_desired(host)
    assert (entry["generation"], entry["leaving"]) == (2, True)
    observe(host, charger_id, 2, running=False)
    hosts.wait_for(charger_id, 2, running=False)
    hosts.place(host_id, other)
    start(host, other)


def test_rows_of_links_and_sessions_that_ended_long_ago_are_deleted(rows: ControlRows) -> None:
    hours, days = 3600.0, 86_400.0
    given_link(rows, "old", seen_s=-25 * hours)
    given_link(rows, "recent", seen_s=-23 * hours)
    given_session(rows, "old", "old", disconnected_s=-8 * days)
    given_session(rows, "recent", "old", disconnected_s=-6 * days)

    with rows.sessions.begin() as session:
        prune_sessions(session)

    assert processes(rows, connected=False) == {"recent"}
    with rows.sessions() as session:
        assert set(session.scalars(select(ControlLink.id))) == {"recent"}
