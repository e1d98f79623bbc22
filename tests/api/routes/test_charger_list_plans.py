"""How PostgreSQL reads a page of 20,000 chargers: by an index, and few more rows than the page needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import event, text

from shared.models import Charger
from tests.support.fleet import Fleet

CHARGERS = 20_000
RARE = 20  # chargers with each rare value
PAGE = 10
#: Rows that one step of a plan may read: a walk along the list for a text, which ends after 1,000, or less.
MAX_ROWS = 1200
#: Tables that are read whole: two cursors, and a row for each process of the link.
SMALL = {"log_cursors", "control_links"}

SORTS = ["created_at", "-created_at", "-identity", "state_since", "attention"]
FILTERS: list[dict[str, str]] = [
    {},
    {"status": "READY"},
    {"status": "FAILED"},
    {"observed": "starting,stopping,stopped,unknown"},
    {"ocpp_state": "rejected,disconnected"},
    {"ocpp_version": "OCPP2.0.1"},
    {"brand_slug": "wallbox"},
    {"brand_slug": "abb"},
    {"location_id": "here"},
    {"host_id": "host-1"},
    {"host_id": "host-1", "location_id": "here"},
    {"placement": "dedicated"},
    {"placement": "shared"},
    {"identity": "MORE-12345"},
    {"attention": "true"},
    {"attention": "false"},
    {"attention": "true", "observed": "running"},
    {"attention": "false", "q": "needle"},
    {"q": "more"},
    {"q": "needle"},
    {"q": "MORE-12345"},
    {"q": "nowhere"},
    {"status": "FAILED", "q": "more"},
    {"labels": "all:yes"},
    {"labels": "run:7"},
    {"labels": "run,all"},
    {"labels": "run:nowhere"},
    {"labels": "all", "status": "FAILED"},
    {"labels": "all", "q": "needle"},
    {"status": "READY", "observed": "running", "ocpp_state": "accepted", "brand_slug": "wallbox"},
]
#: What makes the n-th twenty chargers rare.
CHANGES = [
    "provisioning_status = 'FAILED'",
    "running_count = 0",
    "desired_count = 0",
    "ocpp_state = 'rejected'",
    "ocpp_version = 'OCPP2.0.1'",
    "brand_slug = 'abb', model_slug = 'terra-54'",
    "location_id = 'here', host_id = 'host-1'",
    "placement = 'shared'",
    "name = 'Needle'",
    """labels = labels || '{"run": "7"}'""",
]


@pytest.fixture
def many(fleet: Fleet) -> None:
    charger_id = fleet.ready(identity="CP-1", labels={"all": "yes"})
    fleet.link(charger_id, "accepted")
    fleet.multiply(charger_id, CHARGERS)
    with fleet.sessions.begin() as session:
        for number, change in enumerate(CHANGES):
            some = range(number + 1, CHARGERS, CHARGERS // RARE)
            session.execute(
                text(f"UPDATE chargers SET {change} WHERE id = ANY(:ids)"),  # noqa: S608  # our own words
                {"ids": [f"dep-more-{one:08d}" for one in some]},
            )
    connect_all(fleet)


def connect_all(fleet: Fleet) -> None:
    """Each charger has a newest command, has a control session, and has reported."""
    with fleet.sessions.begin() as session:
        # A session plans the check of a foreign key once. Planned while there were few chargers, it reads all of them for each row.
        session.execute(text("ANALYZE chargers"))
        for statement in (
            "INSERT INTO commands (id, charger_id, organization_id, event_type, requested_by, generation, status, attempts)"
            " SELECT newest_command_id, id, organization_id, 'start_charger', 'ada', 2, 'succeeded', 1 FROM chargers ON CONFLICT DO NOTHING",
            "INSERT INTO control_links VALUES ('link', now())",
            "INSERT INTO control_sessions (process_id, session_id, boot_id, link_id, connected_at)"
            " SELECT id, id, 'boot', 'link', now() FROM chargers",
            "INSERT INTO charger_reports (charger_id, process_id, boot_id, csms, connectors, reported_at)"
            """ SELECT id, id, 'boot', '{"state": "accepted"}', '[]', now() FROM chargers""",
        ):
            session.execute(text(statement))
    with fleet.sessions.autocommit.connect() as connection:
        connection.execute(
            text(
                "VACUUM ANALYZE chargers, commands, charger_links, charger_search, charger_labels, charger_reports, control_links,"
                " control_sessions"
            )
        )


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from steps(below)


def rows_read(step: dict[str, Any]) -> float:
    """By a step of a plan, over all its repetitions, those included that did not fit."""
    removed = sum(step.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck", "Join Filter"))
    return float((step["Actual Rows"] + removed) * step["Actual Loops"])


@contextmanager
def reads_little(fleet: Fleet, max_rows: float = MAX_ROWS) -> Iterator[list[tuple[str, Any]]]:
    """Notes the statements on chargers; at its end, explains them and checks how many rows each step read."""
    engine = fleet.client.application.extensions["chargehand"].pools.reading
    statements: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if f"FROM {Charger.__tablename__}" in statement:
            statements.append((statement, parameters))

    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)

    with engine.connect() as connection:
        for statement, parameters in statements:
            explained = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
            for step in steps(explained.scalar()[0]["Plan"]):
                if step["Node Type"] == "Seq Scan":
                    assert step["Relation Name"] in SMALL, f"{statement}\n{parameters}\n{step}"
                if step["Node Type"] != "Bitmap Index Scan":  # which finds places, and reads no rows
                    assert rows_read(step) <= max_rows, f"{statement}\n{parameters}\n{step}"


@pytest.mark.usefixtures("many")
def test_no_page_reads_or_sorts_the_whole_organization(fleet: Fleet) -> None:
    with reads_little(fleet) as statements:
        for sort in SORTS:
            for filters in FILTERS:
                query = {"sort": sort, "limit": PAGE, "cursor": "", **filters}
                first = fleet.get(f"/ocpp/chargers?{urlencode(query)}").json
                assert bool(first["data"]) is ("nowhere" not in str(filters)), query
                if first["next_cursor"]:
                    query["cursor"] = first["next_cursor"]
                    assert fleet.get(f"/ocpp/chargers?{urlencode(query)}").json["data"], query

    assert len(statements) >= len(SORTS) * len(FILTERS)


@pytest.mark.parametrize("newer", [0, 600], ids=["newest", "neither oldest nor newest"])
def test_a_text_that_is_common_in_a_part_of_the_fleet_only_costs_a_page_no_more(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, newer: int
) -> None:
    for module in ("search", "pages", "counts"):
        monkeypatch.setattr(f"shared.fleet.listing.{module}.MAX_FOUND", 500)
    charger_id = fleet.ready(identity="CP-1")
    fleet.link(charger_id, "accepted")
    fleet.multiply(charger_id, 1200, prefix="AGED")
    fleet.multiply(charger_id, 3000, prefix="MORE")
    if newer:
        fleet.multiply(charger_id, newer, prefix="NEW")
    connect_all(fleet)

    with reads_little(fleet, max_rows=2000) as statements:  # of each thousand, as PostgreSQL rounds averages
        page = fleet.get(f"/ocpp/chargers?q=more&cursor=&limit={PAGE}").json
    counted = fleet.get(f"/ocpp/chargers?q=more&limit={PAGE}").json

    assert statements
    assert [row["identity"] for row in page["data"]] == [f"MORE-{3000 - number}" for number in range(PAGE)]
    assert page["data"] == counted["data"]
    assert counted["total"] == 3000
    assert fleet.get(f"/ocpp/chargers?q=aged-1&limit={PAGE}").json["total"] == 312
    assert (
        fleet.get(f"/ocpp/chargers?q=more&sort=created_at&limit={PAGE}").json["data"][0]["identity"]
        == "MORE-1"
    )


@pytest.mark.parametrize("attention", ["true", "false"])
def test_a_fleet_whose_csms_is_away_costs_a_page_no_more(fleet: Fleet, attention: str) -> None:
    """Nearly all chargers need attention; a few do not yet."""
    charger_id = fleet.ready(identity="CP-1")
    fleet.link(charger_id, "disconnected")
    with fleet.sessions.begin() as session:
        session.execute(text("UPDATE chargers SET observed_since = now() - interval '1 h'"))
    fleet.multiply(charger_id, CHARGERS // 2)
    with fleet.sessions.begin() as session:
        since = "now() + interval '1 h'"  # also when this test takes long
        session.execute(text(f"UPDATE chargers SET observed_since = {since} WHERE id LIKE '%077'"))  # noqa: S608
    connect_all(fleet)

    with reads_little(fleet) as statements:
        for sort in SORTS:
            query = f"attention={attention}&limit={PAGE // 2}&sort={sort}&cursor="
            first = fleet.get(f"/ocpp/chargers?{query}").json
            assert len(first["data"]) == PAGE // 2
            assert fleet.get(f"/ocpp/chargers?{query}{first['next_cursor']}").json["data"]

    assert len(statements) == 2 * len(SORTS)
