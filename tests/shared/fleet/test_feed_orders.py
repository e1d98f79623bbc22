"""Any order of transactions and reads: in the end a client that follows the feed has what the list has."""

from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from api.http.feed.cursors import place_after, read_cursor, write_cursor
from shared.database.engine import Sessions
from shared.fleet import feed
from shared.fleet.feed import Place, changes_after, read_mark, read_rows
from shared.models import Charger
from tests.shared.fleet.test_charger_counts import charger

WRITERS = 3  # each has its own chargers, so none waits for a lock of another
STEPS = st.one_of(
    st.tuples(st.sampled_from(("rename", "commit", "roll back")), st.integers(0, WRITERS - 1)),
    st.tuples(st.sampled_from(("create", "remove")), st.just(0)),  # they lock the organization's count
    st.tuples(st.sampled_from(("read", "reconnect")), st.just(0)),
)


class Writer:
    """A client that changes its chargers, in a transaction that stays open until it says so."""

    def __init__(self, sessions: Sessions, organization: str) -> None:
        self._sessions = sessions
        self._organization = organization
        self._session: Session | None = None
        self._names = 0

    def session(self) -> Session:
        if self._session is None:
            self._session = self._sessions()
            self._session.begin()
            self._session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        return self._session

    def act(self, what: str, chargers: set[str]) -> None:
        self._names += 1
        if what == "create":
            new = charger(self._organization)
            new.name = f"{self._names}"
            self.session().add(new)
            self.session().flush()
            self.session().execute(update(Charger).where(Charger.id == new.id).values(reason="new"))
            chargers.add(new.id)
        elif what in ("rename", "remove") and chargers:
            one = sorted(chargers)[self._names % len(chargers)]
            of_one = Charger.id == one
            if what == "rename":
                self.session().execute(update(Charger).where(of_one).values(name=f"{self._names}"))
            else:
                self.session().execute(delete(Charger).where(of_one))
        elif what == "commit":
            self.end(commit=True)
        elif what == "roll back":
            self.end(commit=False)

    def end(self, *, commit: bool) -> None:
        if self._session is not None:
            self._session.commit() if commit else self._session.rollback()
            self._session.close()
            self._session = None


class Reader:
    """A client that keeps a picture of the organization."""

    def __init__(self, sessions: Sessions, organization: str) -> None:
        self._sessions = sessions
        with sessions() as session:
            self.place = Place(organization, read_mark(session).xmin, 0)
        self.picture = listed(sessions, organization)

    def read(self) -> bool:
        """Whether there is more to read at once."""
        with self._sessions() as session:
            _, found = changes_after(session, [self.place])
            changes = found[self.place]
            rows = {row.id: row.name for row in read_rows(session, changes.charger_ids)}
        for charger_id in changes.charger_ids:
            self.picture.pop(charger_id, None)
        self.picture |= rows
        self.place = changes.next
        return changes.is_behind

    def reconnect(self) -> None:
        """Go on from the text of its cursor."""
        with self._sessions() as session:
            mark = read_mark(session)
            cursor = read_cursor(write_cursor(mark, self.place))
            self.place, resumed, _ = place_after(session, mark, cursor, self.place.organization_id)
        assert resumed


def listed(sessions: Sessions, organization: str) -> dict[str, str | None]:
    with sessions() as session:
        of_organization = Charger.organization_id == organization
        rows = session.execute(select(Charger.id, Charger.name).where(of_organization)).all()
    return {row.id: row.name for row in rows}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=25))
@example(steps=[("rename", 0), ("rename", 1), ("commit", 1), ("read", 0), ("commit", 0)])
@example(
    steps=[
        ("create", 0),
        ("commit", 0),
        ("remove", 0),
        ("rename", 1),
        ("commit", 1),
        ("read", 0),
        ("commit", 0),
    ]
)
def test_the_picture_of_a_client_is_the_list_in_the_end(
    sessions: Sessions, steps: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MAX_EVENTS", 5)
    monkeypatch.setattr(feed, "MAX_CHARGERS", 2)
    organization = f"org-{uuid4().hex}"
    with sessions.begin() as session:
        first = [charger(organization) for _ in range(WRITERS)]
        session.add_all(first)
        session.flush()
        chargers = [{each.id} for each in first]
    writers = [Writer(sessions, organization) for _ in range(WRITERS)]
    reader = Reader(sessions, organization)

    try:
        for what, number in steps:
            if what == "read":
                reader.read()
            elif what == "reconnect":
                reader.reconnect()
            else:
                writers[number].act(what, chargers[number])
    finally:
        for writer in writers:
            writer.end(commit=True)
    while reader.read():
        pass

    assert reader.picture == listed(sessions, organization)
