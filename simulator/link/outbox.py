"""The calls that wait to be sent to the CSMS, in order."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from simulator.flag import Flag
from simulator.link.frames import Payload
from simulator.link.outbox_budget import BUDGET, Budget
from simulator.link.session import CallFailed
from simulator.turn import TURN

Answer = Payload | CallFailed
OnAnswer = Callable[[Answer], None]

#: Messages, durable and others counted apart; with one more, some are dropped.
CAPACITY = 1000

#: The JSON text of all durable payloads.
CAPACITY_BYTES = 512 * 1024

#: Of a message in memory, beside its text.
MESSAGE_BYTES = 160

#: Requested messages that may wait when the CSMS requests more; beyond it, its request is refused.
REQUESTED_CAPACITY = 100

#: Connections that may break on a report before it is dropped: a CSMS may close them on a message that it does not know.
REPORT_ATTEMPTS = 3


def ignore(_: Answer) -> None:
    """For calls whose answer changes nothing."""


def ignore_dropped(_: list["Message"]) -> None:
    """Where nobody waits for answers."""


@dataclass(slots=True, eq=False)
class Message:
    action: str
    content: Payload | str  #: the payload; of a queued durable message its JSON text, a third of the memory
    on_answer: OnAnswer = ignore
    requested: bool = (
        False  #: triggered by the CSMS; one that is not durable may be sent while the boot is pending
    )
    durable: bool = False  #: kept while offline
    droppable: bool = False  #: an intermediate reading: dropped first when the outbox is full
    transaction_id: str | None = (
        None  #: of the `Transaction`; its messages are sent again if the CSMS refuses them
    )
    attempts: int = 0
    in_flight: bool = False  #: sent, and not answered yet

    @property
    def payload(self) -> Payload:
        payload: Payload = json.loads(self.content) if isinstance(self.content, str) else self.content
        return payload


class Outbox:
    def __init__(self, budget: Budget = BUDGET) -> None:
        """`budget` is that of all outboxes of the process."""
        self._messages: list[Message] = []
        self._durable = self._text_bytes = 0  #: of the durable messages
        self._changed = Flag()
        #: called with what is dropped because all outboxes of the process have too much
        self.on_dropped: Callable[[list[Message]], object] = ignore_dropped
        self._budget = budget
        budget.add(self)

    def put(self, message: Message) -> list[Message]:
        """Returns the messages that a full outbox has dropped; nobody answers them."""
        self._messages.append(message)
        self._changed.set()
        if not message.durable:
            return self._drop_volatile_above_capacity()
        if not isinstance(message.content, str):
            message.content = json.dumps(message.content, separators=(",", ":"))
        self._count([message], 1)
        dropped: list[Message] = []
        while self._is_full():
            dropped += self._make_room()
        TURN.hold(self._budget.take, len(message.content) + MESSAGE_BYTES)
        return dropped

    @property
    def size(self) -> int:
        """Of the durable messages, in bytes of memory."""
        return self._text_bytes + self._durable * MESSAGE_BYTES

    def give_up_some(self) -> int:
        """Drops what matters least, for all outboxes of the process. Returns how many messages that were."""
        dropped = self._make_room() if self._durable > 1 else []
        if dropped:
            self.on_dropped(dropped)
        return len(dropped)

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
            self._count([message], -1)

    def has_action(self, action: str) -> bool:
        return any(message.action == action for message in self._messages)

    def first_of(self, transaction_id: str) -> Message | None:
        """The oldest message of this transaction."""
        return next((each for each in self._messages if each.transaction_id == transaction_id), None)

    def has_transaction(self, transaction_id: str | None = None) -> bool:
        """Whether a message of this transaction waits, or of any."""
        return any(
            message.transaction_id is not None and transaction_id in (None, message.transaction_id)
            for message in self._messages
        )

    def has_undelivered(self) -> bool:
        """Whether a durable message waits, or any waits for its answer."""
        return any(message.durable or message.in_flight for message in self._messages)

    @property
    def is_busy(self) -> bool:
        """Whether so many requested messages wait that the CSMS shall not request more."""
        return sum(message.requested for message in self._messages) >= REQUESTED_CAPACITY

    def durable(self) -> Iterator[Message]:
        return (message for message in self._messages if message.durable)

    def drop_volatile(self) -> list[Message]:
        """After the connection was lost: only durable messages wait for the next one.

        Each other one calls back with a CallFailed: no answer will come. Returns the reports that are dropped, too,
        because the connection broke on them REPORT_ATTEMPTS times.
        """
        dropped = [message for message in self._messages if not message.durable]
        for message in self.durable():
            message.attempts += message.in_flight and message.transaction_id is None
            message.in_flight = False
        given_up = [m for m in self.durable() if m.transaction_id is None and m.attempts >= REPORT_ATTEMPTS]
        self._messages = [message for message in self.durable() if message not in given_up]
        self._count(given_up, -1)
        for message in dropped:
            message.on_answer(
                CallFailed(CallFailed.DROPPED, f"{message.action} was lost with the connection")
            )
        return given_up

    def describe(self) -> list[list[Any]]:
        """The durable messages, for the state file."""
        return [[m.action, m.content, m.droppable, m.transaction_id, m.attempts] for m in self.durable()]

    def restore(self, described: list[list[Any]]) -> None:
        """Takes payloads as text, or as the objects of an older state file."""
        for action, content, droppable, transaction_id, attempts in described:
            self.put(
                Message(
                    action,
                    content,
                    durable=True,
                    droppable=droppable,
                    transaction_id=transaction_id,
                    attempts=attempts,
                )
            )

    def _is_full(self) -> bool:
        return self._durable > CAPACITY or (self._durable > 1 and self._text_bytes > CAPACITY_BYTES)

    def _count(self, messages: list[Message], sign: int) -> None:
        """Those of them that are durable have come (1) or gone (-1)."""
        sizes = [len(message.content) for message in messages if message.durable]
        self._durable += sign * len(sizes)
        self._text_bytes += sign * sum(sizes)

    def _make_room(self) -> list[Message]:
        """Drops what matters least of the durable messages: readings, then reports, then a whole transaction.

        Every other reading goes, so that those of the first hours of a long time offline stay, too
        (OCPP 2.0.1 part 2, 2.1.9; libocpp).
        """
        kept = list(self.durable())
        readings = [message for message in kept if message.droppable]
        reports = [message for message in kept if message.transaction_id is None]
        oldest = kept[0].transaction_id
        dropped = readings[1::2] or readings[:1] or reports[:1]
        dropped = dropped or [message for message in kept if message.transaction_id == oldest]
        lost = set(dropped)
        self._messages = [message for message in self._messages if message not in lost]
        self._count(dropped, -1)
        return dropped

    def _drop_volatile_above_capacity(self) -> list[Message]:
        waiting = [m for m in self._messages if not m.durable]
        dropped = [m for m in waiting if not m.in_flight][:1] if len(waiting) > CAPACITY else []
        for message in dropped:
            self._messages.remove(message)
        return dropped
