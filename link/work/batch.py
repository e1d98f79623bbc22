"""Collects what sessions have for the database, and writes many items with one statement."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from itertools import islice
from typing import Generic, TypeVar

import structlog

from link.database import is_refused
from link.work.loop import Loop

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

log = structlog.get_logger(__name__)

MAX_ITEMS, MAX_BYTES = 50_000, 64 * 1024 * 1024  # waiting: then sessions are not read
AT_ONCE = 2_000  # items of one statement


def newest(_old: T, new: T) -> T:
    """Merge two items of one key: only the newer one counts."""
    return new


class Batch(Generic[K, T]):
    """Keeps each item until it is written: an outage of the database delays items and loses none.

    An item that the database refuses is dropped by itself, with a line in the log.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[list[T]], Awaitable[None]],
        *,
        pause_s: float,
        merge: Callable[[T, T], T] = newest,
    ) -> None:
        """`write` may be repeated with items that it has written already."""
        self.loop = Loop(name, self._write_some, every_s=None, pause_s=pause_s)
        self._name = name
        self._write = write
        self._merge = merge
        self._items: dict[K, tuple[T, int]] = {}
        self._bytes = 0
        self._writing = asyncio.Lock()
        self._has_room = asyncio.Event()
        self._has_room.set()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, key: K, item: T, size: int = 0) -> None:
        """Have the item written soon, merged with one of the same key that waits. `size` is in bytes."""
        waiting = self._items.get(key)
        if waiting is not None:
            item = self._merge(waiting[0], item)
            self._bytes -= waiting[1]
        self._items[key] = item, size
        self._bytes += size
        self._measure()
        self.loop.wake()

    async def room(self) -> None:
        """Return when more items may be put."""
        await self._has_room.wait()

    async def flush(self) -> None:
        """Return when everything is written that waits now or is being written. Raises the database's errors."""
        for _ in range(len(self._items) // AT_ONCE + 2):  # what is being written may have to be written again
            await self._write_some()

    async def _write_some(self) -> None:
        async with self._writing:
            await self._write_oldest()

    async def _write_oldest(self) -> None:
        taken = dict(islice(self._items.items(), AT_ONCE))
        for key in taken:
            del self._items[key]
        try:
            await self._write_each([item for item, _ in taken.values()])
        except BaseException:
            self._put_back(taken)
            raise
        self._bytes -= sum(size for _, size in taken.values())
        self._measure()
        if self._items:
            self.loop.wake()

    async def _write_each(self, items: list[T]) -> None:
        """Write the items, and drop those that the database refuses: halves of a refused list are tried by themselves."""
        try:
            if items:
                await self._write(items)
        except Exception as error:
            if not is_refused(error):
                raise
            if len(items) == 1:
                first_line = str(error).partition("\n")[0]
                log.error("link.item_dropped", work=self._name, error=first_line)  # noqa: TRY400 - not our bug
                return
            half = len(items) // 2
            await self._write_each(items[:half])
            await self._write_each(items[half:])

    def _put_back(self, taken: dict[K, tuple[T, int]]) -> None:
        newer, self._items = self._items, taken
        for key, (item, size) in newer.items():
            old = self._items.get(key)
            self._items[key] = (item if old is None else self._merge(old[0], item)), size
            self._bytes -= 0 if old is None else old[1]

    def _measure(self) -> None:
        if len(self._items) < MAX_ITEMS and self._bytes < MAX_BYTES:
            self._has_room.set()
        else:
            self._has_room.clear()
