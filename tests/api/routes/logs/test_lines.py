"""A charger's log as lines of JSON: all that matches, streamed."""

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from api.limits.slots import Slots
from api.resources import Resources
from api.routes import logs
from tests.api.routes.logs.reading import LINES, Log
from tests.support.log_entries import frame, remark


def test_lines_are_all_that_matches_oldest_first(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_LINES_BYTES", 100)  # so a few lines at a time
    log.write(
        *(frame(number / 7, f"{number:03}") for number in range(100)), remark(5, "r", "error", "late\n")
    )

    entries = log.lines(kind="frame,remark")

    assert [entry["id"] for entry in entries] == [f"{number:03}" for number in range(36)] + ["r"] + [
        f"{number:03}" for number in range(36, 100)
    ]
    assert entries[0] == log.get(kind="frame,remark", order="asc")["data"][0]
    assert entries[36]["message"] == "late\n"


def test_lines_are_filtered_as_pages_are(log: Log) -> None:
    log.write(
        frame(0, "a"), frame(1, "b", '[4,"1","E","",{}]'), frame(2, "c", '[4,"2","E","",{}]', action="X")
    )

    assert [entry["id"] for entry in log.lines(errors="true", hide="X")] == ["b"]
    assert log.lines(q="nowhere") == []


@pytest.mark.parametrize("parameter", ["limit=5", "offset=0", "cursor=", "order=asc"])
def test_lines_have_no_pages(log: Log, parameter: str) -> None:
    answer = log.fleet.get(f"{log.path}?{parameter}", headers=LINES)

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["query", parameter.split("=", maxsplit=1)[0]]


def test_a_client_that_takes_anything_gets_the_contracts_page(log: Log) -> None:
    log.write(frame(0, "a"))
    plain = log.fleet.get(log.path)

    assert plain.mimetype == "application/json"
    assert plain.data == (
        b'{"data":[{"direction":"cp_to_csms","action":"Heartbeat","message":"[2,\\"1\\",\\"Heartbeat\\",{}]",'
        b'"timestamp":"2026-04-09T12:00:00Z"}],"total":1,"limit":1000,"offset":0,"next_offset":null}'
    )
    for accept in ("*/*", "application/json", "application/json, application/x-ndjson;q=0.9"):
        assert log.fleet.get(log.path, headers={"Accept": accept}).data == plain.data


@pytest.fixture
def slots(app: Flask, resources: Resources, monkeypatch: pytest.MonkeyPatch) -> Slots:
    """One slot for each organization."""
    slots = Slots(10, 1)
    monkeypatch.setitem(app.extensions, "chargehand", replace(resources, stream_slots=slots))
    return slots


def taken(slots: Slots) -> int:
    found: dict[str, Any] = slots._taken  # it shows no count
    return sum(found.values())


def test_lines_take_a_slot_of_an_event_stream_until_the_client_has_them_or_leaves(
    log: Log, slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_LINES_BYTES", 10)
    log.write(frame(0, "a"), frame(1, "b"), frame(2, "c"))

    reading = log.fleet.get(log.path, headers=LINES, buffered=False)
    first = next(reading.response)
    refused = log.fleet.get(log.path, headers=LINES)
    reading.close()

    assert b'"id":"a"' in first and b'"id":"b"' not in first
    assert refused.status_code == 429
    assert taken(slots) == 0
    assert len(log.lines()) == 3
    assert taken(slots) == 0
    assert log.fleet.request("HEAD", log.path, headers=LINES).status_code == 200
    assert taken(slots) == 0


def test_no_connection_waits_for_a_slow_client(
    log: Log, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_LINES_BYTES", 10)
    log.write(frame(0, "a"), frame(1, "b"))
    reading = log.fleet.get(log.path, headers=LINES, buffered=False)

    next(reading.response)
    held: Any = resources.pools.reading.pool

    assert held.checkedout() == 0
    reading.close()
