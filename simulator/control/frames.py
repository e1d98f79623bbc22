"""The frames of the control link: JSON objects with a type."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from simulator.control.connection import MAX_FRAME_BYTES
from simulator.plain_json import plain_text

Frame = dict[str, Any]

#: A frame is sent when it has this much; what is larger alone goes alone.
FULL_BYTES = 128 * 1024

#: Of one item. A memory comes back in a welcome, which has a specification too and must fit into a frame.
MAX_ITEM_BYTES = MAX_FRAME_BYTES * 3 // 4


class BadFrame(ValueError):
    """A frame that is no JSON object with a type."""


def parse_frame(text: str | bytes) -> Frame:
    """Raises BadFrame."""
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadFrame("a frame is not JSON") from error
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise BadFrame("a frame is not a JSON object with a type")
    return frame


#: Frames that carry a list under the name of their type.
LISTS = ("actions", "specs", "desired")


def parts_of(frame: Frame) -> list[tuple[str, Frame]]:
    """The entries of a list, or the frame itself, with the frame's type. Raises BadFrame."""
    kind = frame["type"]
    if kind not in LISTS:
        return [(kind, frame)]
    entries = frame.get(kind)
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise BadFrame(f"a frame has no list of {kind}")
    return [(kind, each) for each in entries]


def batch(kind: str, items: Iterable[Frame]) -> Iterator[str]:
    """Frames of this type with the items under the same name, none longer than the link takes.

    Raises TooBig for items of more than MAX_ITEM_BYTES, after the others.
    """
    texts: list[str] = []
    size, too_big = 0, []
    for item in items:
        text = plain_text(item)  # ASCII: a character is a byte
        if len(text) > MAX_ITEM_BYTES:
            too_big.append(str(item["charger"]))
            continue
        if texts and size + len(text) > FULL_BYTES:
            yield _joined(kind, texts)
            texts, size = [], 0
        texts.append(text)
        size += len(text) + 1
    if texts:
        yield _joined(kind, texts)
    if too_big:
        raise TooBig(f"{kind} of more than {MAX_ITEM_BYTES} bytes: {', '.join(too_big)}")


class TooBig(ValueError):
    """What a charger has to say is more than a frame of the link may have of it."""


def _joined(kind: str, texts: list[str]) -> str:
    return f'{{"type":"{kind}","{kind}":[{",".join(texts)}]}}'
