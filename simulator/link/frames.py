"""Reads and writes OCPP-J frames: CALL, CALLRESULT and CALLERROR."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

Payload = dict[str, Any]

CALL, CALL_RESULT, CALL_ERROR = 2, 3, 4

#: The id of the answer to a frame whose id cannot be read (OCPP 2.0.1 part 4, 4.2.3).
UNREADABLE_ID = "-1"


class Call(NamedTuple):
    unique_id: str
    action: str
    payload: Payload


class CallResult(NamedTuple):
    unique_id: str
    payload: Payload


class CallError(NamedTuple):
    unique_id: str
    code: str
    description: str
    details: Payload


class BadFrame(Exception):
    """Not an OCPP-J frame. `unique_id` is None for a malformed answer, which is not answered."""

    def __init__(self, unique_id: str | None, code: str, description: str) -> None:
        super().__init__(description)
        self.unique_id = unique_id
        self.code = code
        self.description = description


def parse_frame(text: str | bytes) -> Call | CallResult | CallError:
    """Raises BadFrame with an error code of OCPP 2.0.1."""
    if isinstance(text, bytes):
        raise BadFrame(UNREADABLE_ID, "RpcFrameworkError", "OCPP-J frames are text, not binary")
    try:
        frame = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BadFrame(UNREADABLE_ID, "RpcFrameworkError", "not JSON") from None
    match frame:
        case [2, str(unique_id), str(action), dict(payload)] if 0 < len(unique_id) <= 36:
            return Call(unique_id, action, payload)
        case [3, str(unique_id), dict(payload)]:
            return CallResult(unique_id, payload)
        case [4, str(unique_id), str(code), str(description), dict(details)]:
            return CallError(unique_id, code, description, details)
        case [3 | 4, *_]:
            raise BadFrame(None, "RpcFrameworkError", "an answer that is none")
        case [2, str(unique_id), *_] if 0 < len(unique_id) <= 36:
            raise BadFrame(unique_id, "RpcFrameworkError", "a CALL is [2, id, action, {payload}]")
        case [int(), str(unique_id), *_] if 0 < len(unique_id) <= 36:
            raise BadFrame(unique_id, "MessageTypeNotSupported", "the message type is 2, 3 or 4")
        case _:
            raise BadFrame(UNREADABLE_ID, "RpcFrameworkError", "a frame is a JSON array with an id")


def call_text(unique_id: str, action: str, payload: Mapping[str, object]) -> str:
    return _compact([CALL, unique_id, action, payload])


def result_text(unique_id: str, payload: Mapping[str, object]) -> str:
    return _compact([CALL_RESULT, unique_id, payload])


def error_text(unique_id: str, code: str, description: str) -> str:
    return _compact([CALL_ERROR, unique_id, code, description[:255], {}])


def _compact(frame: list[object]) -> str:
    return json.dumps(frame, separators=(",", ":"))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
