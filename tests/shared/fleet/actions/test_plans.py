"""How PostgreSQL records and lists actions: by indexes, however many rows there are."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from shared.database.engine import Sessions, make_engine
from shared.fleet.actions.read import ActionFilters, get_action, list_actions
from shared.fleet.actions.record import ActionRequest, Target, record_actions
from shared.fleet.labels import Label
from tests.shared.fleet.test_charger_counts import charger
from tests.support.plans import executed, only_nested_loops

MAX_ROWS = 2_000  # that a step of a plan may read: there are 2,000 chargers and 20,000 actions
FILL = (
    """
    INSERT INTO chargers (id, identity, location_id, {columns})
    SELECT 'dep-' || lpad(n::text, 5, '0'), 'CP-' || n, 'location-' || n % 50, {columns}
    FROM chargers, generate_series(1, 1999) AS n
    """,
    """
    INSERT INTO actions (charger_id, organization_id, name, event, status, requested_by, expires_at, finished_at)
    SELECT
        id, 'acme', 'plug_connector', '{{}}', CASE n WHEN 1 THEN 'queued' ELSE 'applied' END, 'ada', now(),
        CASE n WHEN 1 THEN NULL ELSE now() END
    FROM chargers, generate_series(1, 10) AS n
    """,
    "INSERT INTO control_links VALUES ('link', now())",
    """
    INSERT INTO control_sessions (process_id, session_id, boot_id, link_id, connected_at)
    SELECT id, id, 'boot', 'link', now() FROM chargers
    """,
    "INSERT INTO charger_reports (charger_id, process_id, boot_id) SELECT id, id, 'boot' FROM chargers",
    """UPDATE chargers SET labels = '{{"run": "7"}}' WHERE location_id = 'location-7'""",
    "ANALYZE chargers, charger_labels, actions, control_links, control_sessions, charger_reports",
)


@pytest.fixture(scope="module")
def many(new_database: Callable[[], str]) -> Iterator[Engine]:
    """2,000 connected chargers in 50 locations, each with ten actions, one of them open."""
    engine = make_engine(new_database())
    first = charger("acme")
    chosen = ("id", "identity", "location_id")
    columns = ", ".join(
        each.name for each in first.__table__.c if each.server_onupdate is None and each.name not in chosen
    )
    with Sessions(engine).begin() as session:
        first.provisioning_status = "READY"
        session.add(first)
        session.flush()
        for statement in FILL:
            session.execute(text(statement.format(columns=columns)))
    yield engine
    engine.dispose()


def _steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _steps(below)


def _check(engine: Engine, work: Callable[[Any], object], *indexed: str) -> None:
    """Do the work, and check that its statements read these tables by indexes, and how many rows. Keeps nothing."""
    with Sessions(engine)() as session:
        with executed(engine) as statements:
            work(session)
        assert statements
        for statement, parameters in statements:
            [explained] = session.connection().exec_driver_sql(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
            )
            for step in _steps(explained[0][0]["Plan"]):
                if step["Node Type"] == "Seq Scan":
                    assert step["Relation Name"] not in indexed, step
                assert step["Actual Rows"] * step["Actual Loops"] <= MAX_ROWS, step
        session.rollback()


def _record(target: Target) -> Callable[[Any], object]:
    request = ActionRequest("plug_connector", {}, target, "acme", "ada", None)
    return lambda session: record_actions(session, request)


@pytest.mark.parametrize(
    "target",
    [
        Target("dep-00007"),
        Target(location_id="location-7"),
        Target(location_id="location-7", charger_ids=("dep-00007", "dep-00057")),
    ],
    ids=["charger", "location", "some of a location"],
)
def test_recording_reads_the_chargers_of_the_target_only(many: Engine, target: Target) -> None:
    _check(many, _record(target), "chargers", "actions")
    with only_nested_loops(many):
        _check(many, _record(target), "chargers", "actions")


@pytest.mark.parametrize(
    "filters",
    [
        ActionFilters(charger_id="dep-00007"),
        ActionFilters(location_id="location-7"),
        ActionFilters(labels=(Label("run", "7"),)),
    ],
    ids=["charger", "location", "labels"],
)
def test_a_list_of_a_charger_a_location_or_a_label_reads_its_actions_only(
    many: Engine, filters: ActionFilters
) -> None:
    _check(
        many,
        lambda session: list_actions(session, organization_id="acme", filters=filters, page=1, limit=50),
        "actions",
    )


def test_an_action_is_read_by_its_key(many: Engine) -> None:
    _check(
        many, lambda session: get_action(session, organization_id="acme", action_id=77), "actions", "chargers"
    )
