"""The frames that a charger exchanged with its CSMS."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import text

from api.resources import Resources
from shared.models import ChargerLog
from tests.support.fleet import Fleet

NOON = datetime(2026, 4, 9, 12, tzinfo=UTC)


@pytest.fixture
def charger_id(fleet: Fleet) -> Iterator[str]:
    """A charger with three frames, at noon and one and two minutes later."""
    charger_id = fleet.create()
    with fleet.sessions.begin() as session:
        session.execute(
            text(
                "CREATE TABLE frames_of_that_day PARTITION OF charger_logs "
                "FOR VALUES FROM ('2026-04-09T00:00:00Z') TO ('2026-04-10T00:00:00Z')"
            )
        )
        for minute, action in enumerate(["BootNotification", "Heartbeat", "Authorize"]):
            session.add(
                ChargerLog(
                    charger_id=charger_id,
                    timestamp=NOON + timedelta(minutes=minute),
                    event_id=str(minute),
                    direction="cp_to_csms",
                    action=action,
                    message=f'[2,"{minute}","{action}",{{}}]',
                )
            )
    yield charger_id
    with fleet.sessions.begin() as session:
        session.execute(text("DROP TABLE frames_of_that_day"))


def test_frames_are_listed_newest_first(fleet: Fleet, charger_id: str) -> None:
    answer = fleet.get(f"/ocpp/chargers/{charger_id}/logs")

    assert answer.status_code == 200
    assert [entry["action"] for entry in answer.json["data"]] == [
        "Authorize",
        "Heartbeat",
        "BootNotification",
    ]
    assert answer.json["data"][2] == {
        "direction": "cp_to_csms",
        "action": "BootNotification",
        "message": '[2,"0","BootNotification",{}]',
        "timestamp": NOON.isoformat().replace("+00:00", "Z"),
    }
    assert (answer.json["total"], answer.json["limit"], answer.json["offset"]) == (3, 1000, 0)


def test_limit_and_offset_cut_the_filtered_result(fleet: Fleet, charger_id: str) -> None:
    answer = fleet.get(f"/ocpp/chargers/{charger_id}/logs?limit=1&offset=1")

    assert [entry["action"] for entry in answer.json["data"]] == ["Heartbeat"]
    assert (answer.json["total"], answer.json["limit"], answer.json["offset"]) == (3, 1, 1)


def test_both_bounds_are_inclusive(fleet: Fleet, charger_id: str) -> None:
    bounds = {"start_date": NOON.isoformat(), "end_date": (NOON + timedelta(minutes=1)).isoformat()}

    answer = fleet.get(f"/ocpp/chargers/{charger_id}/logs", query_string=bounds)

    assert [entry["action"] for entry in answer.json["data"]] == ["Heartbeat", "BootNotification"]


def test_a_bound_may_be_in_any_zone(fleet: Fleet, charger_id: str) -> None:
    two_hours_east = (NOON + timedelta(minutes=2, hours=2)).isoformat().replace("+00:00", "+02:00")

    answer = fleet.get(f"/ocpp/chargers/{charger_id}/logs", query_string={"start_date": two_hours_east})

    assert [entry["action"] for entry in answer.json["data"]] == ["Authorize"]


def test_a_start_after_the_end_is_an_empty_page(fleet: Fleet, charger_id: str) -> None:
    bounds = {"start_date": "2026-04-10T00:00:00Z", "end_date": "2026-04-09T00:00:00Z"}

    answer = fleet.get(f"/ocpp/chargers/{charger_id}/logs", query_string=bounds)

    assert (answer.status_code, answer.json["data"], answer.json["total"]) == (200, [], 0)


@pytest.mark.parametrize(
    ("event", "total"), [("Heartbeat", 1), ("heartbeat", 0), ("%", 0), ("' OR 1=1 --", 0)]
)
def test_an_event_is_the_exact_name_of_an_action(
    fleet: Fleet, charger_id: str, event: str, total: int
) -> None:
    answer = fleet.get(f"/ocpp/chargers/{charger_id}/logs", query_string={"event": event})

    assert (answer.status_code, answer.json["total"]) == (200, total)


def test_the_logs_of_an_unknown_charger_are_not_an_empty_page(fleet: Fleet) -> None:
    assert fleet.get("/ocpp/chargers/dep-unknown/logs").status_code == 404


@pytest.fixture
def small_pages(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of 1,000 bytes of messages."""
    resources: Resources = app.extensions["chargehand"]
    settings = replace(resources.settings, log_page_bytes=1000)
    monkeypatch.setitem(app.extensions, "chargehand", replace(resources, settings=settings))


def add_frames(fleet: Fleet, charger_id: str, *messages: str) -> None:
    with fleet.sessions.begin() as session:
        for number, message in enumerate(messages):
            session.add(
                ChargerLog(
                    charger_id=charger_id,
                    timestamp=NOON + timedelta(hours=1, seconds=number // 2),  # some at the same time
                    event_id=f"long-{number:03}",
                    direction="csms_to_cp",
                    action="DataTransfer",
                    message=message,
                )
            )


@pytest.mark.usefixtures("small_pages")
def test_a_page_of_long_messages_is_shorter_and_says_where_the_next_one_begins(
    fleet: Fleet, charger_id: str
) -> None:
    messages = [f"{number:03}" + "x" * 297 for number in range(10)]
    add_frames(fleet, charger_id, *messages)
    read: list[str] = []
    pages = 0
    offset: int | None = 0

    while offset is not None:
        page = fleet.get(
            f"/ocpp/chargers/{charger_id}/logs?event=DataTransfer&limit=100&offset={offset}"
        ).json
        assert sum(len(frame["message"]) for frame in page["data"]) <= 1000
        assert page["total"] == 10
        read += [frame["message"] for frame in page["data"]]
        pages, offset = pages + 1, page["next_offset"]

    assert read == messages[::-1]
    assert pages == 4


@pytest.mark.usefixtures("small_pages")
def test_a_message_that_no_page_can_hold_is_cut_and_marked(fleet: Fleet, charger_id: str) -> None:
    add_frames(fleet, charger_id, "short", "\N{EURO SIGN}" * 2000)

    page = fleet.get(f"/ocpp/chargers/{charger_id}/logs?event=DataTransfer").json
    rest = fleet.get(f"/ocpp/chargers/{charger_id}/logs?event=DataTransfer&offset=1").json

    assert [(len(frame["message"]), frame.get("truncated")) for frame in page["data"]] == [(250, True)]
    assert page["next_offset"] == 1
    assert [(frame["message"], frame.get("truncated")) for frame in rest["data"]] == [("short", None)]
    assert rest["next_offset"] is None
