"""The frames that a charger exchanged with its CSMS, its remarks, and the changes of its link."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import text

from api.resources import Resources
from shared.models import ChargerLog, ChargerLogLine
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


@pytest.fixture
def lines(fleet: Fleet, charger_id: str) -> Iterator[None]:
    """Two remarks and two connection events of the charger, at different times."""
    rows = (
        {"kind": "remark", "level": "warning", "message": "the answer is not valid"},
        {"kind": "connection", "state": "connected"},
        {"kind": "remark", "level": "error", "message": "\x1b[31mred\n"},
        {"kind": "connection", "state": "disconnected", "reason": "http_401", "message": "HTTP 401"},
    )
    with fleet.sessions.begin() as session:
        session.execute(
            text(
                "CREATE TABLE lines_of_that_day PARTITION OF charger_log_lines "
                "FOR VALUES FROM ('2026-04-09T00:00:00Z') TO ('2026-04-10T00:00:00Z')"
            )
        )
        for minute, row in enumerate(rows):
            at = NOON + timedelta(minutes=minute)
            session.add(ChargerLogLine(charger_id=charger_id, timestamp=at, event_id="1", **row))
    yield
    with fleet.sessions.begin() as session:
        session.execute(text("DROP TABLE lines_of_that_day"))


@pytest.mark.usefixtures("lines")
def test_remarks_and_connection_events_are_pages_of_their_own(fleet: Fleet, charger_id: str) -> None:
    """The default stays the contract's: frames only."""
    url = f"/ocpp/chargers/{charger_id}/logs"
    remarks, events = fleet.get(f"{url}?kind=remark").json, fleet.get(f"{url}?kind=connection").json

    assert remarks["data"] == [
        {"level": "error", "message": "\x1b[31mred\n", "timestamp": "2026-04-09T12:02:00Z"},
        {"level": "warning", "message": "the answer is not valid", "timestamp": "2026-04-09T12:00:00Z"},
    ]
    assert events["data"] == [
        {
            "state": "disconnected",
            "reason": "http_401",
            "message": "HTTP 401",
            "timestamp": "2026-04-09T12:03:00Z",
        },
        {"state": "connected", "reason": None, "message": None, "timestamp": "2026-04-09T12:01:00Z"},
    ]
    assert (remarks["total"], events["total"]) == (2, 2)
    assert fleet.get(url).data == fleet.get(f"{url}?kind=frame").data
    assert fleet.get(url).json["total"] == 3


@pytest.mark.usefixtures("lines")
def test_remarks_are_cut_by_time_limit_and_offset_as_frames_are(fleet: Fleet, charger_id: str) -> None:
    url = f"/ocpp/chargers/{charger_id}/logs?kind=remark"
    second = fleet.get(f"{url}&limit=1&offset=1").json
    early = fleet.get(f"{url}&end_date=2026-04-09T12:01:00Z").json

    assert [entry["level"] for entry in second["data"]] == ["warning"]
    assert (second["total"], second["next_offset"]) == (2, None)
    assert [entry["level"] for entry in early["data"]] == ["warning"]
    assert b"\x1b" not in fleet.get(url).data


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize("kind", ["frame", "remark", "connection"])
def test_no_kind_of_line_is_another_organizations(fleet: Fleet, charger_id: str, kind: str) -> None:
    answer = fleet.get(f"/ocpp/chargers/{charger_id}/logs?kind={kind}", organization="globex")

    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("kind=", "kind"),
        ("kind=log", "kind"),
        ("kind=remark,log", "kind"),
        ("kind=remark&event=Heartbeat", "event"),
    ],
)
def test_a_kind_that_is_none_is_refused(fleet: Fleet, query: str, parameter: str) -> None:
    answer = fleet.get(f"/ocpp/chargers/dep-123/logs?{query}")

    assert answer.status_code == 422
    assert [problem["loc"] for problem in answer.json["detail"]] == [["query", parameter]]


def test_an_action_may_be_asked_of_frames_by_name(fleet: Fleet, charger_id: str) -> None:
    answer = fleet.get(f"/ocpp/chargers/{charger_id}/logs?kind=FRAME&event=Heartbeat")

    assert [entry["action"] for entry in answer.json["data"]] == ["Heartbeat"]
