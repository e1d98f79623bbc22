"""The link reads open actions by an index, however many are final: it does so several times a second."""

from sqlalchemy import Engine, text

from link.rows.actions import ActionResult, abandon_actions, actions_to_send, expire_actions, write_results
from tests.support.control_link import ControlRows
from tests.support.plans import executed

FILL = """
INSERT INTO actions (charger_id, organization_id, name, event, status, requested_by, expires_at, finished_at)
SELECT id, 'acme', 'plug_connector', '{}', CASE n WHEN 1 THEN 'queued' ELSE 'applied' END, 'ada', now(),
    CASE n WHEN 1 THEN NULL ELSE now() END
FROM chargers, generate_series(1, 20000) AS n
"""


def test_the_statements_of_the_link_read_no_final_actions(rows: ControlRows, engine: Engine) -> None:
    charger_id = rows.charger()
    with engine.begin() as connection:
        connection.execute(text(FILL))
    with engine.connect() as connection:
        connection.execute(text("ANALYZE actions"))
    with executed(engine) as statements, rows.sessions() as session:
        actions_to_send(session, "link", sent=[1, 2], resumed=[charger_id], at_most=100)
        write_results(session, [ActionResult(1, charger_id, "applied")])
        expire_actions(session, "link")
        abandon_actions(session)
        session.rollback()

    with engine.connect() as connection:
        for statement, parameters in statements:
            plan = str(connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).all())
            assert "actions" in plan
            assert "Seq Scan on actions" not in plan, plan
    assert len(statements) == 4
