"""The frames that a process sends over the control link: read, checked and cut to size.

What comes out of here can be stored: it has no character that PostgreSQL cannot hold, and no value without a bound.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NoReturn

import orjson

from shared.ids import HOST_PREFIX

MAX_FRAME_BYTES = 1024 * 1024  # both ways
MAX_CHARGERS = 10_000  # of one process
MAX_ID_CHARACTERS = 128
MAX_TEXT_CHARACTERS = 2_000
MAX_FAULT_CHARACTERS = 500
MAX_CONNECTORS = 100
MAX_MEMBERS = 32  # of an object in a state
MAX_LEVELS = 128  # of objects and lists in one another: our own readers and writers take 254

ANSWERS = frozenset({"received", "applied", "rejected", "failed"})
MAX_ACTION_ID = 2**63 - 1
MAX_COUNT = 2**31 - 1  # of generations and chargers


class BadFrame(Exception):
    """The frame is not one of the protocol's. The message says what is wrong with it, without its content."""


@dataclass(frozen=True, slots=True)
class HelloCharger:
    """A charger that runs in the process."""

    charger_id: str
    boot_id: str
    spec_revision: int | None  #: of the specification that it has
    has_memory: bool  #: then the link does not send what is stored


@dataclass(frozen=True, slots=True)
class Hello:
    """The first frame: which process this is, and which chargers it runs."""

    process_id: str
    boot_id: str
    version: str
    chargers: tuple[HelloCharger, ...]
    capacity: int | None = None  #: of a host: the chargers that it has room for

    @property
    def is_of_host(self) -> bool:
        """Whether the process is a host, whose chargers come and go."""
        return self.process_id.startswith(HOST_PREFIX)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an action."""

    charger_id: str
    action_id: int
    status: str  #: of ANSWERS
    reason: str | None
    result: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class State:
    """What a charger says of itself. `values` has only the keys that have changed: csms, connectors, remark."""

    charger_id: str
    values: dict[str, Any]
    spec_revision: int | None = None  #: applied, or refused with spec_error; None when unchanged
    spec_error: str | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What a charger must remember over a restart."""

    charger_id: str
    memory: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Observed:
    """What a host says of one of its chargers, after it has dealt with what is desired of it."""

    charger_id: str
    generation: int  #: the newest that the host knows
    running: bool
    boot_id: str | None  #: of the charger's newest start; not None while it runs
    fault: str | None  #: why it does not run although it should


@dataclass(frozen=True, slots=True)
class HostReport:
    """What a host says of itself."""

    max_chargers: int
    running: int
    connected: int
    lag_ms: float
    memory_bytes: int
    memory_limit_bytes: int | None  #: None: of a host that knows of none, or of an earlier release
    cpu_percent: float
    lines_dropped: int


Item = Result | State | Memory | Observed


def read_frame(text: str | bytes) -> Mapping[str, Any]:
    """The frame as an object with a text `type`. Raises BadFrame."""
    if isinstance(text, bytes):
        refuse("a frame is text")
    if "\\u0000" in text:  # PostgreSQL holds no NUL
        text = text.replace("\\u0000", "\\ufffd")
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError:
        refuse("it is not JSON")
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        refuse("it is no object with a type")
    return frame


def read_hello(frame: Mapping[str, Any]) -> Hello:
    """Raises BadFrame."""
    if frame["type"] != "hello":
        refuse("the first frame is a hello")
    chargers = tuple(_hello_charger(each) for each in _objects(frame, "chargers", MAX_CHARGERS))
    hello = Hello(
        process_id=_id(frame, "process"),
        boot_id=_id(frame, "boot"),
        version=_id(frame, "version"),
        chargers=chargers,
        capacity=None if frame.get("capacity") is None else _count(frame, "capacity", MAX_CHARGERS),
    )
    if len({charger.charger_id for charger in chargers}) < len(chargers):
        refuse("chargers names each charger of the process once")
    if not chargers and not hello.is_of_host:
        refuse("only a host may have no chargers")
    return hello


def read_items(frame: Mapping[str, Any]) -> Iterator[Item] | None:
    """What the frame says of chargers, one by one; None for a type that this version does not know. Raises BadFrame."""
    match frame["type"]:
        case "results":
            return (_result(each) for each in _objects(frame, "results"))
        case "states":
            return (_state(each) for each in _objects(frame, "states"))
        case "memories":
            return (_memory(each) for each in _objects(frame, "memories"))
        case "observed":
            return (_observed(each) for each in _objects(frame, "observed"))
    return None


def read_host_report(frame: Mapping[str, Any]) -> HostReport:
    """Of a frame of the type `host`. Raises BadFrame."""
    return HostReport(
        max_chargers=_count(frame, "max_chargers"),
        running=_count(frame, "running"),
        connected=_count(frame, "connected"),
        lag_ms=_measure(frame, "lag_ms"),
        memory_bytes=_count(frame, "memory_bytes", MAX_ACTION_ID),
        memory_limit_bytes=(
            None
            if frame.get("memory_limit_bytes") is None
            else _count(frame, "memory_limit_bytes", MAX_ACTION_ID)
        ),
        cpu_percent=_measure(frame, "cpu_percent"),
        lines_dropped=_count(frame, "lines_dropped", MAX_ACTION_ID),
    )


def _hello_charger(given: Mapping[str, Any]) -> HelloCharger:
    return HelloCharger(
        charger_id=_id(given, "charger"),
        boot_id=_id(given, "boot"),
        spec_revision=_revision(given.get("spec")),
        has_memory=given.get("has_memory") is True,
    )


def _result(given: Mapping[str, Any]) -> Result:
    action_id, status, result = given.get("id"), given.get("status"), given.get("result")
    if type(action_id) is not int or not 0 < action_id <= MAX_ACTION_ID:
        refuse("id is the number of an action")
    if not isinstance(status, str) or status not in ANSWERS:
        refuse("status is received, applied, rejected or failed")
    if result is not None:
        result = _object(result, "result")
    return Result(_id(given, "charger"), action_id, status, _text_or_none(given, "reason"), result)


def _state(given: Mapping[str, Any]) -> State:
    values: dict[str, Any] = {}
    for name in ("csms", "remark"):
        if name in given:
            values[name] = _flat_or_none(given[name], name)
    if "connectors" in given:
        connectors = _objects(given, "connectors", MAX_CONNECTORS)
        values["connectors"] = [_flat_or_none(connector, "connector") for connector in connectors]
    charger_id, spec = _id(given, "charger"), given.get("spec")
    if spec is None:
        return State(charger_id, values)
    if not isinstance(spec, dict):
        refuse("spec is an object or null")
    return State(charger_id, values, _revision(spec.get("revision")), _text_or_none(spec, "error"))


def _memory(given: Mapping[str, Any]) -> Memory:
    return Memory(_id(given, "charger"), _object(given.get("memory"), "memory"))


def _observed(given: Mapping[str, Any]) -> Observed:
    running, fault = given.get("running"), _text_or_none(given, "fault")
    if not isinstance(running, bool):
        refuse("running is true or false")
    return Observed(
        charger_id=_id(given, "charger"),
        generation=_count(given, "generation"),
        running=running,
        boot_id=_id(given, "boot") if running or given.get("boot") is not None else None,
        fault=fault and fault[:MAX_FAULT_CHARACTERS],
    )


def _object(given: object, name: str) -> dict[str, Any]:
    """An object with any members, of at most MAX_LEVELS levels."""
    if not isinstance(given, dict):
        refuse(f"{name} is an object")
    level: list[Any] = [given]
    for _ in range(MAX_LEVELS):
        level = [below for each in level for below in _below(each)]
    if level:
        refuse(f"{name} has more than {MAX_LEVELS} levels of objects and lists")
    return given


def _below(given: dict[str, Any] | list[Any]) -> list[Any]:
    members = given.values() if isinstance(given, dict) else given
    return [member for member in members if isinstance(member, dict | list)]


def _objects(given: Mapping[str, Any], name: str, at_most: int = MAX_CHARGERS) -> list[dict[str, Any]]:
    found = given.get(name)
    if (
        not isinstance(found, list)
        or len(found) > at_most
        or not all(isinstance(each, dict) for each in found)
    ):
        refuse(f"{name} is a list of objects, at most {at_most}")
    return found


def _flat_or_none(given: object, name: str) -> dict[str, Any] | None:
    """An object of texts, numbers and truth values, or null. Other members, of a newer peer, are left out."""
    if given is None:
        return None
    if not isinstance(given, dict):
        refuse(f"{name} is an object or null")
    return {
        key[:MAX_ID_CHARACTERS]: value[:MAX_TEXT_CHARACTERS] if isinstance(value, str) else value
        for key, value in islice(given.items(), MAX_MEMBERS)
        if isinstance(value, str | int | float | None)
    }


def _id(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_CHARACTERS or not value.isprintable():
        refuse(f"{name} is a text of 1 to {MAX_ID_CHARACTERS} characters")
    return value


def _text_or_none(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        refuse(f"{name} is a text or null")
    return value and value[:MAX_TEXT_CHARACTERS]


def _revision(value: object) -> int | None:
    if value is not None and (type(value) is not int or not 0 <= value <= MAX_ACTION_ID):
        refuse("a revision is a number or null")
    return value


def _count(given: Mapping[str, Any], name: str, at_most: int = MAX_COUNT) -> int:
    value = given.get(name)
    if type(value) is not int or not 0 <= value <= at_most:
        refuse(f"{name} is a whole number from 0 to {at_most}")
    return value


def _measure(given: Mapping[str, Any], name: str) -> float:
    value = given.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        refuse(f"{name} is a number from 0")
    return float(value)


def refuse(reason: str) -> NoReturn:
    raise BadFrame(reason)
