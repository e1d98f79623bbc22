"""The calls that wait to be sent to the CSMS, in order."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from simulator.link.frames import Payload
from simulator.link.session import CallFailed

Answer = Payload | CallFailed
OnAnswer = Callable[[Answer], None]

#: Durable messages; beyond it the oldest droppable ones are dropped (OCPP 2.0.1, E04).
CAPACITY = 1000


def ignore(_: Answer) -> None:
    """For calls whose answer changes nothing."""


@dataclass(slots=True, eq=False)
class Message:
    action: str
    payload: Payload
    on_answer: OnAnswer = ignore
    requested: bool = False  #: triggered by the CSMS, so it may be sent while the boot is pending
    durable: bool = False  #: kept while offline, and sent again when the CSMS does not take it
    droppable: bool = False  #: an intermediate reading: dropped first when the outbox is full
    transaction_id: str | None = None  #: of the `Transaction`
    attempts: int = 0


class Outbox:
    def __init__(self) -> None:
        self._messages: deque[Message] = deque()
        self._changed = asyncio.Event()

    def put(self, message: Message) -> None:
        self._messages.append(message)
        if message.durable:
            self._drop_above_capacity()
        self._changed.set()

    def wake(self) -> None:
        """Makes `next` check again which messages may be sent."""
        self._changed.set()

    async def next(self, may_send: Callable[[Message], bool]) -> Message:
        """The oldest message that may be sent, as soon as there is one. It stays queued until `remove`."""
        while True:
            for message in self._messages:
                if may_send(message):
                    return message
            self._changed.clear()
            await self._changed.wait()

    def remove(self, message: Message) -> None:
        """Safe to repeat."""
        if message in self._messages:
            self._messages.remove(message)

    def has_action(self, action: str) -> bool:
        return any(message.action == action for message in self._messages)

    def has_transaction(self, transaction_id: str | None = None) -> bool:
        """Whether a message of this transaction waits, or of any."""
        return any(
            message.transaction_id is not None and transaction_id in (None, message.transaction_id)
            for message in self._messages
        )

    def durable(self) -> Iterator[Message]:
        return (message for message in self._messages if message.durable)

    def drop_volatile(self) -> None:
        """After the connection was lost: only durable messages wait for the next one.

        Each other one calls back with a CallFailed: no answer will come.
        """
        dropped = [message for message in self._messages if not message.durable]
        self._messages = deque(self.durable())
        for message in dropped:
            message.on_answer(
                CallFailed(CallFailed.DROPPED, f"{message.action} was lost with the connection")
            )

    def describe(self) -> list[list[Any]]:
        """The durable messages, for the state file."""
        return [[m.action, m.payload, m.droppable, m.transaction_id, m.attempts] for m in self.durable()]

    def restore(self, described: list[list[Any]]) -> None:
        for action, payload, droppable, transaction_id, attempts in described:
            self._messages.append(
                Message(
                    action,
                    payload,
                    durable=True,
                    droppable=droppable,
                    transaction_id=transaction_id,
                    attempts=attempts,
                )
            )

    def _drop_above_capacity(self) -> None:
        if sum(1 for _ in self.durable()) > CAPACITY:
            for message in self._messages:
                if message.droppable and message.attempts == 0:
                    self._messages.remove(message)
                    return
