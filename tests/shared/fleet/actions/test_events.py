"""The events of actions: their ids grow in the order of their commits, whoever writes at the same time."""

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from shared.database.engine import Sessions, contention
from shared.fleet.actions.record import ActionRequest, Target, record_actions
from shared.models import Action, Charger, ChargerEvent
from tests.shared.fleet.test_charger_counts import charger
from tests.support.control import connect

CHARGERS = [f"dep-{number}" for number in range(8)]


@pytest.fixture(autouse=True)
def chargers(sessions: Sessions) -> Iterator[None]:
    """Connected chargers of one location."""
    with sessions.begin() as session:
        for charger_id in CHARGERS:
            row = charger("acme")
            row.id, row.location_id, row.provisioning_status = charger_id, "here", "READY"
            session.add(row)
    connect(sessions, *CHARGERS)
    yield


def _record(session: Session, *charger_ids: str) -> list[int]:
    target = Target(location_id="here", charger_ids=charger_ids)
    request = ActionRequest("plug_connector", {}, target, "acme", "ada", None)
    return [action.id for action in record_actions(session, request).actions]


def test_an_action_waits_for_a_transaction_that_may_write_an_earlier_event(sessions: Sessions) -> None:
    with sessions.begin() as earlier, sessions() as later:
        earlier.execute(select(Charger.id).where(Charger.id == "dep-1").with_for_update(key_share=True))
        later.execute(text("SET LOCAL lock_timeout = '100ms'"))

        with pytest.raises(OperationalError) as raised:
            _record(later, "dep-1")
        later.rollback()
        _record(later, "dep-2")  # another charger's does not

    assert contention(raised.value) is not None


def test_writers_of_the_same_chargers_block_each_other_for_a_moment_only(sessions: Sessions) -> None:
    """No deadlock, whatever the order in which each names them."""

    def write(seed: int) -> int:
        chosen = random.Random(seed)
        for _ in range(10):
            with sessions.begin() as session:
                ids = _record(session, *chosen.sample(CHARGERS, 5))
            with sessions.begin() as session:
                finished = update(Action).where(Action.id.in_(chosen.sample(ids, 3)))
                session.execute(finished.values(status="applied", finished_at=func.now()))
        return 10

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(write, range(4))) == 40
    with sessions() as session:
        events = session.scalars(select(ChargerEvent.data).where(ChargerEvent.type == "action")).all()
    assert Counter(event["status"] for event in events) == {"queued": 200, "applied": 120}
