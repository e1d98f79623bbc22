"""What a process may send over the control link, and what is refused."""

from dataclasses import asdict
from typing import Any

import orjson
import pytest

from link.wire.frames import (
    MAX_LEVELS,
    BadFrame,
    Hello,
    HelloCharger,
    HostReport,
    Memory,
    Observed,
    Result,
    State,
    read_frame,
    read_hello,
    read_host_report,
    read_items,
)

HELLO = {
    "type": "hello",
    "process": "dep-1",
    "boot": "b00t",
    "version": "0.1.0",
    "chargers": [{"charger": "dep-1", "boot": "b00t", "spec": 3, "has_memory": True, "of": "the future"}],
}


def frame(**values: Any) -> dict[str, Any]:
    return dict(read_frame(orjson.dumps(values).decode()))


def items(**values: Any) -> list[Any]:
    found = read_items(frame(**values))
    assert found is not None
    return list(found)


def test_a_hello_names_the_process_and_its_chargers() -> None:
    assert read_hello(frame(**HELLO)) == Hello(
        "dep-1", "b00t", "0.1.0", (HelloCharger("dep-1", "b00t", spec_revision=3, has_memory=True),)
    )


def test_results_states_and_memories_are_read_one_by_one() -> None:
    result = {"charger": "dep-1", "id": 7, "status": "rejected", "reason": "no", "result": {"a": [1]}}
    state = {"charger": "dep-1", "csms": None, "connectors": [{"connector_id": 1, "power_w": 7.5}]}
    applied = {"charger": "dep-1", "spec": {"revision": 3, "error": None}}

    assert items(type="results", results=[result]) == [Result("dep-1", 7, "rejected", "no", {"a": [1]})]
    assert items(type="states", states=[state, applied]) == [
        State("dep-1", {"csms": None, "connectors": [{"connector_id": 1, "power_w": 7.5}]}),
        State("dep-1", {}, spec_revision=3),
    ]
    assert items(type="memories", memories=[{"charger": "dep-1", "memory": {"x": 1}}]) == [
        Memory("dep-1", {"x": 1})
    ]


def test_what_is_as_deep_as_it_may_be_can_be_written() -> None:
    deep: dict[str, Any] = {}
    for _ in range(MAX_LEVELS - 1):
        deep = {"a": deep}

    [result] = items(type="results", results=[{"charger": "c", "id": 1, "status": "applied", "result": deep}])

    assert orjson.loads(orjson.dumps([asdict(result)]))[0]["result"] == deep
    with pytest.raises(BadFrame, match="levels"):
        items(type="memories", memories=[{"charger": "c", "memory": {"a": deep}}])


def test_a_type_of_a_newer_peer_is_no_error() -> None:
    assert read_items(frame(type="weather", sun=True)) is None


def test_what_postgresql_cannot_hold_is_replaced_and_long_texts_are_cut() -> None:
    raw = '{"type":"results","results":[{"charger":"c","id":1,"status":"failed","reason":"a\\u0000%s"}]}'

    [result] = read_items(read_frame(raw % ("x" * 3_000))) or iter(())

    assert isinstance(result, Result)
    assert result.reason is not None
    assert result.reason.startswith("a\ufffdx")
    assert len(result.reason) == 2_000


@pytest.mark.parametrize(
    "raw",
    ["", "[]", "{}", '{"type":1}', '{"type":"hello"', "nul", b'{"type":"hello"}', '"\\ud800"', "[" * 5_000],
)
def test_what_is_no_frame_is_refused(raw: str | bytes) -> None:
    with pytest.raises(BadFrame):
        read_frame(raw)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "results"},
        {"process": ""},
        {"process": 1},
        {"boot": "x" * 129},
        {"boot": "a\nb"},
        {"version": None},
        {"chargers": []},
        {"chargers": {}},
        {"chargers": ["dep-1"]},
        {"chargers": [{"charger": "dep-1"}]},
        {"chargers": HELLO["chargers"] * 2},  # type: ignore[operator]
        {"chargers": [{"charger": "dep-1", "boot": "b", "spec": "3"}]},
        {"chargers": [{"charger": "dep-1", "boot": "b", "spec": True}]},
    ],
    ids=str,
)
def test_a_hello_that_breaks_the_protocol_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadFrame):
        read_hello(frame(**(HELLO | change)))


@pytest.mark.parametrize(
    "values",
    [
        {"type": "results"},
        {"type": "results", "results": [{"charger": "c", "id": 1, "status": "queued"}]},
        {"type": "results", "results": [{"charger": "c", "id": 1, "status": ["applied"]}]},
        {"type": "results", "results": [{"charger": "c", "id": "1", "status": "applied"}]},
        {"type": "results", "results": [{"charger": "c", "id": 2**63, "status": "applied"}]},
        {"type": "results", "results": [{"charger": "c", "id": 0, "status": "applied"}]},
        {"type": "results", "results": [{"id": 1, "status": "applied"}]},
        {"type": "results", "results": [{"charger": "c", "id": 1, "status": "applied", "result": []}]},
        {"type": "results", "results": [{"charger": "c", "id": 1, "status": "applied", "reason": 1}]},
        {"type": "states", "states": [{"charger": "c", "csms": "up"}]},
        {"type": "states", "states": [{"charger": "c", "connectors": [1]}]},
        {"type": "states", "states": [{"charger": "c", "connectors": [{}] * 101}]},
        {"type": "states", "states": [{"charger": "c", "spec": 3}]},
        {"type": "memories", "memories": [{"charger": "c", "memory": None}]},
    ],
    ids=lambda values: str(values)[:60],
)
def test_an_item_that_breaks_the_protocol_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(BadFrame):
        items(**values)


def test_a_host_may_run_nothing_and_says_how_many_chargers_it_has_room_for() -> None:
    hello = read_hello(frame(**(HELLO | {"process": "host-1", "chargers": [], "capacity": 1_000})))

    assert (hello.is_of_host, hello.capacity, hello.chargers) == (True, 1_000, ())
    with pytest.raises(BadFrame, match="capacity"):
        read_hello(frame(**(HELLO | {"capacity": -1})))


def test_what_a_host_says_of_a_charger_is_read_and_a_long_fault_is_cut() -> None:
    runs = {"charger": "dep-1", "generation": 7, "running": True, "boot": "b", "restart_generation": 5}
    fault = {"charger": "dep-2", "generation": 0, "running": False, "boot": None, "fault": "x" * 900}

    assert items(type="observed", observed=[runs | {"fault": None}, fault]) == [
        Observed("dep-1", 7, running=True, boot_id="b", fault=None),
        Observed("dep-2", 0, running=False, boot_id=None, fault="x" * 500),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"generation": -1},
        {"generation": 2**31},
        {"running": 1},
        {"boot": None},
        {"fault": 3},
        {"charger": ""},
    ],
    ids=str,
)
def test_what_a_host_cannot_say_of_a_charger_is_refused(change: dict[str, Any]) -> None:
    said = {"charger": "dep-1", "generation": 7, "running": True, "boot": "b", "fault": None}

    with pytest.raises(BadFrame):
        items(type="observed", observed=[said | change])


HOST = {
    **{"type": "host", "max_chargers": 1_000, "running": 998, "connected": 990, "lag_ms": 3},
    **{"memory_bytes": 60_000_000, "cpu_percent": 6.1, "lines_dropped": 0},
}


def test_what_a_host_says_of_itself_is_read() -> None:
    assert read_host_report(frame(**HOST)) == HostReport(1_000, 998, 990, 3.0, 60_000_000, None, 6.1, 0)
    limited = frame(**(HOST | {"memory_limit_bytes": 2**29}))
    assert read_host_report(limited).memory_limit_bytes == 2**29


@pytest.mark.parametrize(
    "change",
    [
        *({"running": value} for value in (-1, 1.5, True, None, "1", 2**31)),
        *({"lag_ms": value} for value in (-0.1, True, None, "3")),
        {"memory_bytes": 2**63},
        {"memory_limit_bytes": -1},
    ],
    ids=str,
)
def test_what_a_host_cannot_say_of_itself_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadFrame):
        read_host_report(frame(**(HOST | change)))
