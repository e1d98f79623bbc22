"""The queue of calls to the CSMS."""

from simulator.link.outbox import CAPACITY, Message, Outbox


async def test_a_full_outbox_drops_intermediate_readings_and_nothing_else() -> None:
    outbox = Outbox()
    outbox.put(Message("StartTransaction", {}, durable=True))
    for number in range(CAPACITY + 20):
        outbox.put(Message("MeterValues", {"number": number}, durable=True, droppable=True))
    outbox.put(Message("StopTransaction", {}, durable=True))

    kept = list(outbox.durable())

    assert len(kept) == CAPACITY
    assert (kept[0].action, kept[-1].action) == ("StartTransaction", "StopTransaction")
    assert kept[-2].payload == {"number": CAPACITY + 19}
