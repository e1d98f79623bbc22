"""Cuts what is sent to a process into frames."""

from collections.abc import Iterator
from typing import Any

import orjson


def portions(items: list[dict[str, Any]], at_most: int) -> Iterator[list[dict[str, Any]]]:
    """The items in lists of at most so many characters of JSON each. One that is longer is in a list of its own."""
    some: list[dict[str, Any]] = []
    characters = 0
    for item in items:
        size = len(orjson.dumps(item))
        if some and characters + size > at_most:
            yield some
            some, characters = [], 0
        some.append(item)
        characters += size
    if some:
        yield some
