"""The feed of the chargers that have a label: of a test run in a busy organization."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask

from api.resources import Resources
from tests.api.feed.conftest import WatchAll
from tests.support.fleet import Fleet
from tests.support.waiting import wait_until


def test_changes_are_those_of_chargers_with_the_labels_and_of_those_that_lost_them(fleet: Fleet) -> None:
    mine, lost, gone = (fleet.ready(identity=f"CP-{one}", labels={"run": "1"}) for one in range(3))
    other = fleet.ready(identity="CP-OTHER", labels={"run": "2"})
    cursor = fleet.get("/ocpp/changes?labels=run:1").json["cursor"]
    for charger_id in (mine, other):
        fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")
    fleet.put(f"/ocpp/chargers/{lost}", json={"labels": {"run": "2"}})
    fleet.delete(f"/ocpp/chargers/{gone}")

    changes = fleet.get(f"/ocpp/changes?labels=run:1&after={cursor}").json
    all_changes = fleet.get(f"/ocpp/changes?after={cursor}").json

    assert [row["id"] for row in changes["chargers"]] == [mine]
    assert set(changes["removed"]) == {lost, gone}
    assert changes["summary"]["total"] == 1
    assert {row["id"] for row in all_changes["chargers"]} == {mine, lost, other}


def test_a_request_waits_for_a_change_of_a_charger_with_the_labels(
    fleet: Fleet, app: Flask, resources: Resources
) -> None:
    mine = fleet.ready(labels={"run": "1"})
    other = fleet.ready(identity="CP-OTHER")
    cursor = fleet.get("/ocpp/changes").json["cursor"]
    with ThreadPoolExecutor(1) as threads:
        path = f"/ocpp/changes?labels=run:1&after={cursor}&wait=30"
        waiting = threads.submit(lambda: app.test_client().get(path, headers=fleet.headers()))
        wait_until(lambda: resources.feed.count == 1)
        for number in range(3):
            fleet.put(f"/ocpp/chargers/{other}", json={"name": f"Bay {number}"})
        fleet.post(f"/ocpp/chargers/{mine}/stop-charger")
        answer: Any = waiting.result(10).json

    assert [row["id"] for row in answer["chargers"]] == [mine]
    assert answer["removed"] == []


def test_a_stream_has_the_rows_of_chargers_with_the_labels(fleet: Fleet, watch_all: WatchAll) -> None:
    mine = fleet.ready(labels={"run": "1"})
    other = fleet.ready(identity="CP-OTHER")
    watching = watch_all(labels="run:1")
    assert watching.next().data["summary"]["total"] == 1

    fleet.post(f"/ocpp/chargers/{other}/stop-charger")
    fleet.post(f"/ocpp/chargers/{mine}/stop-charger")
    first = watching.next()
    fleet.put(f"/ocpp/chargers/{mine}", json={"labels": None})
    fleet.put(f"/ocpp/chargers/{other}", json={"labels": {"run": "1"}})
    news = [watching.next() for _ in range(2)]

    assert (first.event, first.data["id"]) == ("charger", mine)
    assert {(one.event, one.data["id"]) for one in news} == {("removed", mine), ("charger", other)}
