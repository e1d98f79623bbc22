"""The queue of calls to the CSMS."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.link.frames import Payload
from simulator.link.outbox import CAPACITY, CAPACITY_BYTES, MESSAGE_BYTES, Message, Outbox
from simulator.link.outbox_budget import Budget


def about(transaction: str, action: str, payload: Payload | None = None) -> Message:
    droppable = action == "MeterValues"
    return Message(action, payload or {}, durable=True, droppable=droppable, transaction_id=transaction)


def test_a_full_outbox_drops_every_other_reading_and_nothing_else() -> None:
    """Not from the start of the time offline: OCPP 2.0.1 part 2, 2.1.9; libocpp drops in the same way."""
    outbox = Outbox()
    outbox.put(about("A", "StartTransaction"))
    for number in range(CAPACITY + 20):
        outbox.put(about("A", "MeterValues", {"number": number}))
    outbox.put(about("A", "StopTransaction"))

    kept = list(outbox.durable())

    assert len(kept) <= CAPACITY
    assert (kept[0].action, kept[-1].action) == ("StartTransaction", "StopTransaction")
    numbers = [message.payload["number"] for message in kept[1:-1]]
    assert numbers[:3] == [0, 2, 4]
    assert numbers[-1] == CAPACITY + 19
    assert max(later - earlier for earlier, later in pairwise(numbers)) == 2


@pytest.mark.parametrize("size", [10, 20_000])
def test_an_outbox_without_readings_drops_reports_and_then_whole_transactions(size: int) -> None:
    """Neither the number nor the bytes of the durable messages grow without a bound."""
    outbox = Outbox()
    outbox.put(Message("FirmwareStatusNotification", {}, durable=True))
    dropped = []
    for number in range(CAPACITY):
        dropped += outbox.put(about(str(number), "StartTransaction", {"idTag": "x" * size}))
        dropped += outbox.put(about(str(number), "StopTransaction"))

    kept = list(outbox.durable())

    assert len(kept) <= CAPACITY
    assert sum(len(message.content) for message in kept) <= CAPACITY_BYTES
    assert dropped[0].action == "FirmwareStatusNotification"
    starts = {message.transaction_id for message in kept if message.action == "StartTransaction"}
    stops = {message.transaction_id for message in kept if message.action == "StopTransaction"}
    assert starts == stops
    assert kept[-1].transaction_id == str(CAPACITY - 1)


def test_an_outbox_of_other_messages_drops_the_oldest_that_is_not_sent() -> None:
    outbox = Outbox()
    messages = [Message("StatusNotification", {}) for _ in range(CAPACITY + 3)]
    messages[0].in_flight = True

    dropped = [lost for message in messages for lost in outbox.put(message)]

    assert dropped == messages[1:4]


def test_outboxes_that_have_too_much_together_drop_from_the_one_with_the_most() -> None:
    budget = Budget(200_000)
    full, small = Outbox(budget), Outbox(budget)
    dropped: list[Message] = []
    full.on_dropped = dropped.extend
    for number in range(3):
        small.put(about("A", "MeterValues", {"number": number}))
    full.put(about("B", "StartTransaction"))
    for number in range(900):
        full.put(about("B", "MeterValues", {"number": number, "text": "x" * 200}))

    assert full.size + small.size <= 200_000
    assert len(list(small.durable())) == 3
    assert {message.action for message in dropped} == {"MeterValues"}
    assert len(dropped) == budget.dropped == 901 - len(list(full.durable()))
    kept = [message.payload["number"] for message in list(full.durable())[1:]]
    assert (kept[0], kept[-1]) == (0, 899)


def test_what_was_delivered_and_outboxes_that_are_gone_leave_room_for_others() -> None:
    budget = Budget(100_000)
    gone, outbox = Outbox(budget), Outbox(budget)
    for number in range(300):
        gone.put(about("A", "MeterValues", {"number": number}))
    del gone
    for _ in range(10):
        messages = [about("B", "MeterValues", {"number": number}) for number in range(300)]
        for message in messages:
            outbox.put(message)
        for message in messages:
            outbox.remove(message)

    assert budget.dropped == 0
    assert outbox.size == 0


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(500, 20_000))
def test_outboxes_never_have_more_together_than_their_budget(puts: list[int], limit: int) -> None:
    """But for one message each, which none of them drops. Whatever is dropped is counted."""
    budget = Budget(limit)
    outboxes = [Outbox(budget) for _ in range(6)]
    for number, at in enumerate(puts):
        outboxes[at].put(
            about(f"{number // 3}", ("MeterValues", "StopTransaction")[number % 2], {"x": "y" * 200})
        )

        assert sum(each.size for each in outboxes) <= max(limit, sum(max_size(each) for each in outboxes))

    left = sum(len(list(each.durable())) for each in outboxes)
    assert left + budget.dropped == len(puts)


def max_size(outbox: Outbox) -> int:
    return max((len(message.content) + MESSAGE_BYTES for message in outbox.durable()), default=0)


def test_durable_messages_are_restored_also_from_an_older_state_file() -> None:
    """It has their payloads as objects."""
    outbox = Outbox()
    outbox.put(about("A", "StartTransaction", {"idTag": "ü"}))
    described = json.loads(json.dumps(outbox.describe()))
    older = [["StopTransaction", {"meterStop": 1}, False, "A", 2]]

    restored = Outbox()
    restored.restore(described + older)

    start, stop = restored.durable()
    assert (start.payload, start.transaction_id) == ({"idTag": "ü"}, "A")
    assert (stop.payload, stop.attempts) == ({"meterStop": 1}, 2)
