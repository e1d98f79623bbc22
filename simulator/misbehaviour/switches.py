"""What may be armed against the frames of a charger, and how often it happens."""

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, NamedTuple

from simulator.link import frames, schemas
from simulator.masking import mask_passwords
from simulator.versions import Version

Event = Mapping[str, Any]

#: With `one_in_n`.
DEFAULT_N = 10

NOT_A_VALUE = "NotAValue"


class Frame(NamedTuple):
    """A frame that the charger is about to send."""

    action: str  #: of the call, also where the frame answers it
    text: str
    delay_s: float = 0.0

    @property
    def is_answer(self) -> bool:
        return not self.text.startswith("[2,")


class Switch:
    """One armed misbehaviour. It is spent when it shall happen once, and has happened."""

    def __init__(self, kind: str, event: Event, version: Version) -> None:
        self.kind = kind
        self.event = dict(event)
        self.fired = 0  #: how often it has happened
        self._version = version
        self._how_often = event.get("how_often", "once")
        self._n = event.get("n", DEFAULT_N)
        self._random = Random(event.get("seed", 0)) if self._how_often == "one_in_n" else None

    @property
    def is_spent(self) -> bool:
        return self._how_often == "once" and self.fired > 0

    def describe(self) -> dict[str, Any]:
        """Its event with passwords masked, and how often it has happened."""
        event: dict[str, Any] = json.loads(mask_passwords(json.dumps(self.event)))
        return {"kind": self.kind, "fired": self.fired, **event}

    def replace_answer(self, call: frames.Call) -> str | None:
        """The frame to answer this call with; None when it does not happen now."""
        replace = REPLACEMENTS.get(self.kind)
        text = replace(call, self.event) if replace and self._concerns(call.action) else None
        return text if text is not None and self._happens() else None

    def spoil(self, frame: Frame) -> list[Frame] | None:
        """The frames to send instead of this one; None when it does not happen now."""
        spoil = SPOILERS.get(self.kind)
        of_this_kind = frame.is_answer == (self.event.get("frames", "answers") == "answers")
        if spoil is None or not of_this_kind or not self._concerns(frame.action):
            return None
        spoiled = spoil(frame, self.event, self._version)
        return spoiled if spoiled is not None and self._happens() else None

    def drops_link(self, frame: Frame) -> bool:
        return self.kind == "drop_link" and self.event["after"] == frame.action and self._happens()

    def _concerns(self, action: str) -> bool:
        return self.event.get("action") in (None, action)

    def _happens(self) -> bool:
        if self._random is not None and self._random.randrange(self._n):
            return False
        self.fired += 1
        return True


def _refuse(call: frames.Call, event: Event) -> str:
    code = event.get("code", "InternalError")
    return frames.error_text(call.unique_id, code, event.get("description", "refused on purpose"))


def _answer_with(call: frames.Call, event: Event) -> str:
    return frames.result_text(call.unique_id, event["answer"])


def _fail_to_unlock(call: frames.Call, event: Event) -> str | None:
    number = call.payload.get("connectorId" if "evseId" not in call.payload else "evseId")
    if call.action != "UnlockConnector" or event.get("connector_id") not in (None, number):
        return None
    return frames.result_text(call.unique_id, {"status": "UnlockFailed"})


#: By kind: the frame that answers a call instead of the charger; None: the charger answers it.
REPLACEMENTS: dict[str, Callable[[frames.Call, Event], str | None]] = {
    "refuse_requests": _refuse,
    "answer_with": _answer_with,
    "lock_fails": _fail_to_unlock,
}


def _delay(frame: Frame, event: Event, _: Version) -> list[Frame]:
    return [frame._replace(delay_s=frame.delay_s + event["seconds"])]


def _duplicate(frame: Frame, _: Event, __: Version) -> list[Frame]:
    return [frame, frame]


def _withhold(_: Frame, __: Event, ___: Version) -> list[Frame]:
    return []


def _break_json(frame: Frame, _: Event, __: Version) -> list[Frame]:
    """Its last two brackets are missing: the rest can be read, also the id."""
    return [frame._replace(text=frame.text[:-2])]


def _write_wrong_enum(frame: Frame, event: Event, version: Version) -> list[Frame] | None:
    """In the first field whose values the schema lists, or the first of this name; None: it has no such field."""
    try:
        content = json.loads(frame.text)
    except ValueError:
        return None  # it is broken already
    payload = content[-1]
    if content[0] == frames.CALL_ERROR:
        return None
    for part, name in schemas.listed_fields(version, frame.action, payload, answer=frame.is_answer):
        if event.get("field") in (None, name):
            part[name] = event.get("value", NOT_A_VALUE)
            return [frame._replace(text=json.dumps(content, separators=(",", ":")))]
    return None


#: By kind: the frames to send instead of one; None: it cannot happen to this frame.
SPOILERS: dict[str, Callable[[Frame, Event, Version], list[Frame] | None]] = {
    "delay_frames": _delay,
    "duplicate_frames": _duplicate,
    "withhold_frames": _withhold,
    "break_json": _break_json,
    "wrong_enum": _write_wrong_enum,
}
