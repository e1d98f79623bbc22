"""The links that the release before 0012 kept in the chargers' rows."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, delete, select, text, update

from shared.database.engine import Sessions, make_engine
from shared.database.migrate import migrate
from shared.fleet.links import ACCEPTED
from shared.models import Charger, ChargerLink, ShownLink
from tests.shared.fleet.test_charger_counts import charger
from tests.shared.migrations.test_migrations import _go, _url
from tests.support.links import line, read_lines

NOW = datetime(2026, 4, 2, 9, 15, tzinfo=UTC)
ARN = "arn:aws:ecs:us-east-1:123456789012:task/chargehand/{}"

# What the release before 0012 executes.
READ_LINK = text("""
    UPDATE chargers SET ocpp_state = :state, ocpp_reason = :reason, ocpp_since = :since, ocpp_task_id = :task
    WHERE id = :id AND coalesce(ocpp_since, '-infinity') <= :since
""")
READ_FRAME = text("UPDATE chargers SET ocpp_last_frame_at = :at WHERE id = :id")
SAW_TASK_RUN = text("""
    UPDATE chargers SET running_count = 1, running_task_arn = :arn, running_task_generation = generation,
        running_since = clock_timestamp()
    WHERE id = :id
""")


@pytest.fixture
def own(new_database: Callable[[], str]) -> Iterator[Engine]:
    """An engine for a database of the test's own."""
    engine = make_engine(new_database(), pool_size=4)
    yield engine
    engine.dispose()


def _running(engine: Engine, generation: int = 3) -> str:
    """A charger that runs as desired."""
    made = charger("acme")
    made.generation = made.observed_generation = made.settled_generation = generation
    made.publish_at, made.running_count, made.observed_at = None, 1, NOW
    with Sessions(engine).begin() as session:
        session.add(made)
        session.flush()
        return made.id


def _shown(engine: Engine, charger_id: str) -> tuple[Any, ...]:
    columns = (ShownLink.state, ShownLink.reason, ShownLink.since, ShownLink.last_frame_at)
    with engine.connect() as connection:
        return tuple(connection.execute(select(*columns).where(ShownLink.charger_id == charger_id)).one())


def _is_accepted(engine: Engine, charger_id: str) -> bool:
    with Sessions(engine)() as session:
        return session.scalars(select(ACCEPTED).where(Charger.id == charger_id)).one()


def test_a_charger_whose_log_named_no_task_counts_as_accepted_until_it_gets_another_task(own: Engine) -> None:
    charger_id = _running(own)
    _go(own, command.downgrade, "0011")
    before = {"id": charger_id, "state": "accepted", "reason": "every 300 s", "since": NOW, "task": None}
    with own.begin() as connection:
        connection.execute(READ_LINK, before)

    _go(own, command.upgrade, "head")
    shown, accepted = _shown(own, charger_id), _is_accepted(own, charger_id)
    with own.begin() as connection:  # the observer finds out which task runs
        connection.execute(SAW_TASK_RUN, {"id": charger_id, "arn": ARN.format("first")})
    known = _is_accepted(own, charger_id)
    with own.begin() as connection:  # and a restart
        connection.execute(update(Charger).values(generation=4, observed_generation=4, settled_generation=4))
        connection.execute(SAW_TASK_RUN, {"id": charger_id, "arn": ARN.format("second")})
    restarted = _is_accepted(own, charger_id)
    read_lines(Sessions(own), line(charger_id, "accepted", NOW, "second"))

    assert shown == ("accepted", "every 300 s", NOW, None)
    assert (accepted, known, restarted, _is_accepted(own, charger_id)) == (True, True, False, True)


def test_links_are_copied_and_an_upgrade_that_was_interrupted_is_repeated(own: Engine) -> None:
    chargers = sorted(_running(own) for _ in range(3))
    _go(own, command.downgrade, "0011")
    with own.begin() as connection:
        for charger_id in chargers:
            link = {"id": charger_id, "state": "rejected", "reason": charger_id, "since": NOW, "task": "a"}
            connection.execute(READ_LINK, link)
            connection.execute(READ_FRAME, {"id": charger_id, "at": NOW})

    _go(own, command.upgrade, "0012")
    with own.begin() as connection:  # as if it had been interrupted when two were copied
        connection.execute(delete(ChargerLink).where(ChargerLink.charger_id == chargers[2]))
        connection.execute(text("UPDATE alembic_version SET version_num = '0011'"))
    migrate(_url(own))

    assert [_shown(own, each) for each in chargers] == [("rejected", each, NOW, NOW) for each in chargers]
