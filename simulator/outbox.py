"""What the charger still has to tell its CSMS, in order."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from simulator.frames import Payload
from simulator.session import CallFailed

#: Takes the answer, or what came instead of one.
Then = Callable[[Payload | CallFailed], None]


def ignore(_: Payload | CallFailed) -> None:
    """Nothing depends on the answer."""


@dataclass(slots=True, eq=False)
class Message:
    action: str
    payload: Payload
    then: Then = ignore
    durable: bool = False  #: kept while the connection is away
    requested: bool = False  #: the CSMS asked for it, so it may leave while the boot is pending


class Outbox:
    def __init__(self) -> None:
        self._messages: deque[Message] = deque()
        self._news = asyncio.Event()

    def put(self, message: Message) -> None:
        self._messages.append(message)
        self._news.set()

    def look_again(self) -> None:
        """What may leave has changed."""
        self._news.set()

    async def next(self, may_leave: Callable[[Message], bool]) -> Message:
        """The oldest message that may leave; it stays until `remove`."""
        while True:
            for message in self._messages:
                if may_leave(message):
                    return message
            self._news.clear()
            await self._news.wait()

    def remove(self, message: Message) -> None:
        self._messages.remove(message)

    def has(self, action: str) -> bool:
        return any(message.action == action for message in self._messages)

    def drop_fleeting(self) -> None:
        """The connection is gone: only what is durable waits for the next one."""
        self._messages = deque(message for message in self._messages if message.durable)
