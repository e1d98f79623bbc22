"""Pages of a charger's log by cursor: several kinds, filters, and what an entry has."""

from typing import Any

import pytest

from tests.api.routes.logs.reading import Log
from tests.support.log_entries import connection, frame, remark

ALL = "frame,remark,connection"


@pytest.fixture
def story(log: Log) -> Log:
    """A charger that boots, sends heartbeats and is disconnected."""
    log.write(
        connection(0, "a", "connected"),
        frame(
            1, "b", '[2,"m1","BootNotification",{"chargePointModel":"Pulsar 50%"}]', action="BootNotification"
        ),
        frame(1.5, "c", '[3,"m1",{"status":"Accepted"}]', action="BootNotification", to_csms=False),
        frame(2, "d", '[2, "m2","Heartbeat",{}]'),
        frame(2.5, "e", ' [4,"m2","InternalError","",{}]', to_csms=False),
        frame(3, "f", '[2,"x9","RemoteStartTransaction",{}]', action="RemoteStartTransaction", to_csms=False),
        frame(3.5, "g", '[3,"x9",{"status":"Accepted"}]', action="RemoteStartTransaction"),
        remark(4, "h", "warning", "the answer is not valid"),
        remark(5, "i", "error", "the meter is broken"),
        connection(6, "j", "disconnected", "http_401"),
    )
    return log


def test_several_kinds_are_one_list_in_the_order_of_time(story: Log) -> None:
    page = story.get(kind=ALL)

    assert [entry["id"] for entry in page["data"]] == list("jihgfedcba")
    assert [entry["kind"] for entry in page["data"]][:3] == ["connection", "remark", "remark"]
    assert (page["total"], page["offset"], page["next_offset"], page["limit"]) == (None, None, None, 1000)
    assert (page["next_cursor"], page["searched_until"]) == (None, None)


def test_a_frame_says_which_message_it_is(story: Log) -> None:
    page = story.get(order="asc", event="BootNotification")

    assert page["data"][0] == {
        "id": "b",
        "kind": "frame",
        "direction": "cp_to_csms",
        "action": "BootNotification",
        "message": '[2,"m1","BootNotification",{"chargePointModel":"Pulsar 50%"}]',
        "message_type": 2,
        "message_id": "m1",
        "timestamp": "2026-04-09T12:00:01Z",
    }
    assert (page["data"][1]["message_type"], page["data"][1]["message_id"]) == (3, "m1")


@pytest.mark.parametrize(
    ("message", "type_and_id"),
    [
        (r'[2,"a\"b","X",{}]', (2, 'a"b')),
        ('[4,"é","InternalError","",{}]', (4, "é")),
        ('[9,"1","X",{}]', (None, None)),
        ("[2,17]", (None, None)),
        (r'[2,"\q","X",{}]', (2, None)),
        ("hello", (None, None)),
        ("", (None, None)),
        (None, (None, None)),
    ],
)
def test_a_frame_that_is_not_ocpp_has_no_message_id(
    log: Log, message: str | None, type_and_id: tuple[Any, Any]
) -> None:
    log.write(frame(0, "a", message))

    (entry,) = log.get(cursor="")["data"]

    assert (entry["message_type"], entry["message_id"]) == type_and_id
    assert entry["message"] == message


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"kind": ALL, "order": "desc"}, "jihgfedcba"),
        ({"order": "asc"}, "bcdefg"),
        ({"kind": "remark,connection"}, "jiha"),
        ({"kind": ALL, "event": "Heartbeat"}, "ed"),
        ({"direction": "cp_to_csms"}, "gdb"),
        ({"kind": ALL, "direction": "CSMS_TO_CP"}, "fec"),
        ({"caller": "charger"}, "edcb"),
        ({"caller": "csms", "kind": ALL}, "gf"),
        ({"hide": "Heartbeat,RemoteStartTransaction"}, "cb"),
        ({"kind": ALL, "hide": "Heartbeat"}, "jihgfcba"),
        ({"errors": "true"}, "e"),
        ({"kind": ALL, "errors": "true"}, "jie"),
        ({"kind": ALL, "errors": "false"}, "jihgfedcba"),
        ({"q": "ACCEPTED"}, "gc"),
        ({"q": "50%"}, "b"),
        ({"q": "_"}, ""),
        ({"q": "valid", "kind": ALL}, "h"),
        ({"kind": ALL, "start_date": "2026-04-09T12:00:03Z", "end_date": "2026-04-09T12:00:05Z"}, "ihgf"),
        ({"caller": "charger", "q": "internal", "event": "Heartbeat"}, "e"),
    ],
)
def test_an_entry_is_listed_if_it_meets_all_filters(story: Log, query: dict[str, str], ids: str) -> None:
    assert story.ids(**query) == list(ids)


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("kind=remark&direction=cp_to_csms", "direction"),
        ("kind=remark,connection&caller=csms", "caller"),
        ("cursor=&offset=0", "offset"),
        ("kind=frame,remark&offset=5", "offset"),
        ("cursor=nonsense", "cursor"),
        ("hide=", "hide"),
        ("hide=Heartbeat,", "hide"),
        ("errors=yes", "errors"),
        ("order=up", "order"),
        ("q=", "q"),
        ("direction=both", "direction"),
        ("text=x", "text"),
    ],
)
def test_what_makes_no_page_is_refused(log: Log, query: str, parameter: str) -> None:
    answer = log.fleet.get(f"{log.path}?{query}")

    assert answer.status_code == 422
    assert [problem["loc"] for problem in answer.json["detail"]] == [["query", parameter]]


def test_a_cursor_is_good_for_its_own_log_filters_and_order_only(story: Log) -> None:
    cursor = story.get(order="desc", limit=1)["next_cursor"]

    for query in ({"order": "asc"}, {"q": "x"}, {"kind": ALL}):
        answer = story.fleet.get(story.path, query_string={"cursor": cursor, **query})
        assert answer.status_code == 422
    assert story.ids(cursor=cursor, limit=2) == ["f", "e"]


def test_no_page_is_another_organizations(story: Log) -> None:
    for accept in ("application/json", "application/x-ndjson"):
        answer = story.fleet.get(
            f"{story.path}?kind={ALL}", organization="globex", headers={"Accept": accept}
        )
        assert answer.status_code == 404
