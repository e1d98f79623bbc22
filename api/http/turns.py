"""Lets other requests of the process go on while a long list is read or written, which takes no turn by itself."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import gevent

Item = TypeVar("Item")

TURN = 25  # items, which take some milliseconds


def in_turns(items: Iterable[Item]) -> Iterator[Item]:
    """The items. Other greenlets run after each TURN of them."""
    for position, item in enumerate(items):
        if position and position % TURN == 0:
            gevent.sleep(0)
        yield item
