"""The meters of a charger: where their registers begin, and what a reading looks like. Both versions."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.settings import BadSettings, read_settings
from simulator.station.station import new_connector
from tests.simulator.charger import environment
from tests.simulator.talk import open_talk
from tests.support.csms import Payload

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])


def start_of(identity: str, number: int = 1, **more: object) -> float:
    known = read_settings(environment("ws://csms", "OCPP1.6", **{"identity": identity, **more}))
    return new_connector(known, number).energy_wh


@settings(max_examples=30)
@given(identity=st.text("AZaz09*-", min_size=1, max_size=48), number=st.integers(1, 100))
def test_a_new_register_is_that_of_a_used_meter_and_the_same_after_each_start(
    identity: str, number: int
) -> None:
    start_wh = start_of(identity, number)

    assert 100_000 <= start_wh < 10_000_000
    assert start_wh == start_of(identity, number)
    assert start_wh.is_integer()


def test_chargers_and_their_connectors_have_registers_of_their_own() -> None:
    identities = [f"CP-{number}" for number in range(100)]

    registers = {start_of(identity, number) for identity, number in product(identities, (1, 2))}

    assert len(registers) == 200


@pytest.mark.parametrize("start_wh", [0, 123_456])
def test_the_first_register_can_be_set(start_wh: int) -> None:
    assert [start_of("CP-1", number, meter_start_wh=start_wh) for number in (1, 2)] == [start_wh, start_wh]


def test_a_register_cannot_begin_below_zero() -> None:
    with pytest.raises(BadSettings, match="CHARGER_METER_START_WH must be a whole number from 0"):
        start_of("CP-1", meter_start_wh=-1)


def readings_of(payload: Payload) -> list[Payload]:
    """The sampled values of a MeterValues or TransactionEvent."""
    return [value for each in payload["meter_value"] for value in each["sampled_value"]]


@VERSIONS
async def test_a_transaction_begins_and_ends_at_the_register(version: str) -> None:
    """Home Assistant takes a register that starts at 0 for the energy of the session."""
    async with open_talk(version, meter_start_wh=5_000_000) as talk:
        started = await talk.start()
        if version == "OCPP1.6":
            await talk.call("RemoteStopTransaction", transaction_id=4711)
            ended = await talk.link.next("StopTransaction")
            values = [started["meter_start"], ended["meter_stop"]]
        else:
            await talk.request_stop()
            values = [
                float(readings_of(payload)[-1]["value"]) for payload in (started, await talk.event("Ended"))
            ]

    assert all(5_000_000 <= value < 5_000_100 for value in values)
