"""What the charger still has to tell its CSMS, in order."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from simulator.link.frames import Payload
from simulator.link.session import CallFailed

#: Takes the answer, or what came instead of one.
Then = Callable[[Payload | CallFailed], None]

#: Of durable messages; beyond it the oldest that can be spared are dropped, as OCPP 2.0.1 (E04) has it.
CAPACITY = 1000


def ignore(_: Payload | CallFailed) -> None:
    """Nothing depends on the answer."""


@dataclass(slots=True, eq=False)
class Message:
    action: str
    payload: Payload
    then: Then = ignore
    requested: bool = False  #: the CSMS asked for it, so it may leave while the boot is pending
    durable: bool = False  #: kept while the connection is away, and tried again when it is refused
    spare: bool = False  #: an intermediate reading: the first to go when there is no more room
    transaction_id: str | None = None  #: of the model
    attempts: int = 0


class Outbox:
    def __init__(self) -> None:
        self._messages: deque[Message] = deque()
        self._news = asyncio.Event()

    def put(self, message: Message) -> None:
        self._messages.append(message)
        if message.durable:
            self._make_room()
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
        if message in self._messages:
            self._messages.remove(message)

    def has(self, action: str) -> bool:
        return any(message.action == action for message in self._messages)

    def about(self, transaction_id: str | None = None) -> bool:
        """Whether something about a transaction waits: this one, or any."""
        return any(
            message.transaction_id is not None and transaction_id in (None, message.transaction_id)
            for message in self._messages
        )

    def durable(self) -> Iterator[Message]:
        return (message for message in self._messages if message.durable)

    def drop_fleeting(self) -> None:
        """The connection is gone: only what is durable waits for the next one."""
        self._messages = deque(self.durable())

    def describe(self) -> list[list[Any]]:
        return [[m.action, m.payload, m.spare, m.transaction_id, m.attempts] for m in self.durable()]

    def restore(self, known: list[list[Any]]) -> None:
        for action, payload, spare, transaction_id, attempts in known:
            self._messages.append(
                Message(
                    action,
                    payload,
                    durable=True,
                    spare=spare,
                    transaction_id=transaction_id,
                    attempts=attempts,
                )
            )

    def _make_room(self) -> None:
        if sum(1 for _ in self.durable()) > CAPACITY:
            for message in self._messages:
                if message.spare and message.attempts == 0:
                    self._messages.remove(message)
                    return
