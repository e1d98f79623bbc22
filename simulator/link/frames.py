"""Reads and writes OCPP-J frames: CALL, CALLRESULT and CALLERROR."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Payload = dict[str, Any]

CALL, CALL_RESULT, CALL_ERROR = 2, 3, 4

#: The id of the answer to a frame whose id cannot be read (OCPP 2.0.1 part 4, 4.2.3).
UNREADABLE_ID = "-1"

#: Of a payload's arrays and objects within each other; messages need a dozen. What Python's reader just takes may be too
#: deep for its writer: then neither the state file nor the result of an action could be written.
MAX_DEPTH = 100


class Call(NamedTuple):
    unique_id: str
    action: str
    payload: Payload


class CallResult(NamedTuple):
    unique_id: str
    payload: Payload
    oddity: str = ""  #: what is wrong with the frame, if it can be read all the same


class CallError(NamedTuple):
    unique_id: str
    code: str
    description: str
    oddity: str = ""


class BadFrame(Exception):
    """Not an OCPP-J frame, and no answer. It is answered with a CALLERROR of this id."""

    def __init__(self, unique_id: str, code: str, description: str) -> None:
        super().__init__(description)
        self.unique_id = unique_id
        self.code = code
        self.description = description


class BadAnswer(Exception):
    """An answer that cannot be read. It is not answered. `unique_id` is that of its call, if it has one."""

    def __init__(self, unique_id: str, description: str) -> None:
        super().__init__(description)
        self.unique_id = unique_id


def parse_frame(text: str | bytes) -> Call | CallResult | CallError:
    """Raises BadAnswer, or BadFrame with an error code of OCPP 2.0.1."""
    if isinstance(text, bytes):
        raise BadFrame(UNREADABLE_ID, "RpcFrameworkError", "OCPP-J frames are text, not binary")
    try:
        frame = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        if answered := START_OF_ANSWER.match(text):
            raise BadAnswer(answered["id"], "not JSON") from None
        raise BadFrame(UNREADABLE_ID, "RpcFrameworkError", "not JSON") from None
    match frame:
        case [2, str(unique_id), str(action), dict(payload)] if 0 < len(unique_id) <= 36:
            return _read_call(unique_id, action, payload)
        case [3, str(unique_id), *parts]:
            return _read_result(unique_id, parts)
        case [4, str(unique_id), *parts]:
            return _read_error(unique_id, parts)
        case [3 | 4, *_]:
            raise BadAnswer("", "an answer without the id of its call")
        case [2, str(unique_id), *_] if 0 < len(unique_id) <= 36:
            raise BadFrame(unique_id, "RpcFrameworkError", "a CALL is [2, id, action, {payload}]")
        case [int(), str(unique_id), *_] if 0 < len(unique_id) <= 36:
            raise BadFrame(unique_id, "MessageTypeNotSupported", "the message type is 2, 3 or 4")
        case _:
            raise BadFrame(UNREADABLE_ID, "RpcFrameworkError", "a frame is a JSON array with an id")


def is_too_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        if not level:
            return False
        level = [part for each in level if isinstance(each, (dict, list)) for part in _parts(each)]
    return bool(level)


def _parts(container: dict[str, object] | list[object]) -> Iterable[object]:
    return container.values() if isinstance(container, dict) else container


#: The beginning of an answer whose rest is not JSON.
START_OF_ANSWER = re.compile(r'\s*\[\s*[34]\s*,\s*"(?P<id>[^"\\]*)"')


def _read_call(unique_id: str, action: str, payload: Payload) -> Call:
    if is_too_deep(payload):
        raise BadFrame(unique_id, "RpcFrameworkError", f"its payload is more than {MAX_DEPTH} levels deep")
    return Call(unique_id, action, payload)


def _read_result(unique_id: str, parts: list[object]) -> CallResult:
    """A missing, null or `[]` payload is an empty one: PHP writes an empty object as `[]` (OCPP-J 1.6, 4.2.2)."""
    match parts:
        case [dict(payload), *_] if is_too_deep(payload):
            raise BadAnswer(unique_id, f"its payload is more than {MAX_DEPTH} levels deep")
        case [dict(payload)]:
            return CallResult(unique_id, payload)
        case [dict(payload), *_]:
            return CallResult(unique_id, payload, "has more than three parts")
        case [] | [None | [], *_]:
            return CallResult(unique_id, {}, "has no payload")
        case _:
            raise BadAnswer(unique_id, "its payload is no object")


def _read_error(unique_id: str, parts: list[object]) -> CallError:
    """An error in any form is an error (OCPP-J 1.6, 4.2.3: what goes into the parts is up to the sender)."""
    match parts:
        case [str(code), str(description), dict()]:
            return CallError(unique_id, code, description)
        case _:
            code, description = [part if isinstance(part, str) else "" for part in [*parts, "", ""]][:2]
            return CallError(unique_id, code or "GenericError", description, "is not [4, id, code, text, {}]")


def call_text(unique_id: str, action: str, payload: Mapping[str, object]) -> str:
    return _compact([CALL, unique_id, action, payload])


def result_text(unique_id: str, payload: Mapping[str, object]) -> str:
    return _compact([CALL_RESULT, unique_id, payload])


def error_text(unique_id: str, code: str, description: str) -> str:
    return _compact([CALL_ERROR, unique_id, code, description[:255], {}])


_as_json = json.JSONEncoder(separators=(",", ":")).encode


def _compact(frame: list[object]) -> str:
    return _as_json(frame)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
