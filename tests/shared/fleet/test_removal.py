"""The removal of many chargers on a connection that was opened when there were none."""

from sqlalchemy import Engine, String, cast, delete, func, insert, select, text, true

from shared.database.engine import Sessions
from shared.models import Charger
from tests.shared.fleet.test_charger_counts import charger

COUNT = 10_000


def test_a_connection_of_when_there_were_no_chargers_removes_many_in_time(
    engine: Engine, sessions: Sessions
) -> None:
    """With the triggers' plans from then, PostgreSQL cancels the statement after ten seconds."""
    with engine.connect() as old:
        old.execute(text("ANALYZE charger_search, charger_events"))
        old.execute(delete(Charger))
        with sessions.begin() as session:
            session.add(charger("acme"))
            session.flush()
            others = [column for column in Charger.__table__.c if column.server_onupdate is None]
            numbers = func.generate_series(2, COUNT).table_valued("value").render_derived("numbers")
            number = cast(numbers.c.value, String)
            of_each = {
                "id": "dep-" + number,
                "identity": "CP-" + number,
                "newest_command_id": func.gen_random_uuid(),
            }
            copies = select(*(of_each.get(column.name, column) for column in others)).join_from(
                Charger, numbers, true()
            )
            session.execute(insert(Charger).from_select([column.name for column in others], copies))

        assert old.execute(delete(Charger)).rowcount == COUNT
