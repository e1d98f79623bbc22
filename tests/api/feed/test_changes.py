"""GET /ocpp/changes: the same feed as a long poll."""

from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from api.resources import Resources
from shared.database.engine import Sessions
from tests.support.fleet import Fleet
from tests.support.waiting import wait_until


def changes(fleet: Fleet, query: str = "", **options: Any) -> Any:
    answer = fleet.get(f"/ocpp/changes{query}", **options)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_the_first_answer_has_a_cursor_only(fleet: Fleet) -> None:
    fleet.ready()

    for query in ("", "?after=", "?wait=20"):
        first = changes(fleet, query)
        assert (first["resumed"], first["reason"], first["more"]) == (False, None, False)
        assert (first["chargers"], first["removed"]) == ([], [])
        assert first["summary"]["total"] == 1


def test_changes_after_a_cursor_are_rows_and_removed_ids(fleet: Fleet) -> None:
    kept, gone = fleet.ready(identity="CP-1"), fleet.ready(identity="CP-2")
    cursor = changes(fleet)["cursor"]
    fleet.put(f"/ocpp/chargers/{kept}", json={"name": "Bay 7"})
    fleet.delete(f"/ocpp/chargers/{gone}")

    second = changes(fleet, f"?after={cursor}")
    third = changes(fleet, f"?after={second['cursor']}")

    assert second["resumed"]
    assert [row["name"] for row in second["chargers"]] == ["Bay 7"]
    assert second["removed"] == [gone]
    assert (third["chargers"], third["removed"]) == ([], [])


def test_a_request_waits_until_something_changes(fleet: Fleet, app: Flask, resources: Resources) -> None:
    charger_id = fleet.ready()
    cursor = changes(fleet)["cursor"]
    started = monotonic()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(
            lambda: app.test_client().get(f"/ocpp/changes?after={cursor}&wait=30", headers=fleet.headers())
        )
        wait_until(lambda: resources.feed.count == 1)
        fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")
        answer: Any = waiting.result(10).json

    assert [row["id"] for row in answer["chargers"]] == [charger_id]
    assert monotonic() - started < 10


def test_a_wait_without_a_change_ends_in_time(fleet: Fleet) -> None:
    cursor = changes(fleet)["cursor"]
    started = monotonic()

    answer = changes(fleet, f"?after={cursor}&wait=1")

    assert 0.9 < monotonic() - started < 5
    assert answer["resumed"]
    assert answer["chargers"] == []


def test_a_request_that_finds_no_slot_is_answered_at_once(
    fleet: Fleet, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.watcher._slots, "max_slots", 0)
    cursor = changes(fleet)["cursor"]
    started = monotonic()

    answer = fleet.get(f"/ocpp/changes?after={cursor}&wait=30")

    assert (answer.status_code, answer.headers["Wait-Skipped"]) == (200, "true")
    assert monotonic() - started < 5


def test_a_transaction_that_hangs_makes_no_client_repeat_itself(fleet: Fleet, sessions: Sessions) -> None:
    """Its client would ask again at once, and get the same rows again."""
    charger_id = fleet.ready()
    cursor = changes(fleet)["cursor"]
    with sessions.begin() as hanging:
        hanging.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        hanging.execute(select(func.pg_current_xact_id()))
        fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")

        second = changes(fleet, f"?after={cursor}")
        third = changes(fleet, f"?after={second['cursor']}")

    assert [row["id"] for row in second["chargers"]] == [charger_id]
    assert third["chargers"] == []


def test_much_comes_in_pages(fleet: Fleet, sessions: Sessions) -> None:
    charger_id = fleet.ready()
    fleet.multiply(charger_id, 450)
    cursor = changes(fleet)["cursor"]
    with sessions.begin() as session:
        session.execute(text("UPDATE chargers SET name = 'new'"))

    pages = [changes(fleet, f"?after={cursor}&wait=5")]
    while pages[-1]["more"]:
        pages.append(changes(fleet, f"?after={pages[-1]['cursor']}&wait=5"))

    names = {row["id"]: row["name"] for page in pages for row in page["chargers"]}
    assert (len(names), set(names.values())) == (451, {"new"})
    assert max(len(page["chargers"]) for page in pages) == 200


@pytest.mark.parametrize("query", ["after=x", "wait=61", "wait=-1", "colour=red"])
def test_a_query_that_makes_no_sense_is_refused(fleet: Fleet, query: str) -> None:
    answer = fleet.get(f"/ocpp/changes?{query}")

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["query", query.partition("=")[0]]


def test_organizations_never_see_each_others_changes(fleet: Fleet) -> None:
    cursor = changes(fleet)["cursor"]
    ours = fleet.ready()

    assert [row["id"] for row in changes(fleet, f"?after={cursor}")["chargers"]] == [ours]
    theirs = changes(fleet, f"?after={cursor}", organization="globex")
    assert (theirs["chargers"], theirs["removed"]) == ([], [])
