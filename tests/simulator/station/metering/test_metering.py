"""The meters of a charger: where their registers begin, and what a reading looks like. Both versions."""

import json
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.settings import BadSettings, read_settings
from simulator.station.station import new_connector
from tests.simulator.charger import LocalCharger, environment
from tests.simulator.talk import Talk, open_talk, start_remotely
from tests.support.csms import Csms, Payload, call16, call201
from tests.support.waiting import wait_until_async

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


@pytest.mark.charger(max_power_w=10_000_000, connector_type="CCS2")
@pytest.mark.parametrize("version", ["OCPP1.6"])
@pytest.mark.parametrize(("power_w", "text"), [(1_234_567.8, "1234567.8"), (150_000.5, "150000.5"), (7, "7")])
async def test_a_value_in_1_6_is_a_plain_decimal(talk: Talk, power_w: float, text: str) -> None:
    """OCPP 1.6 part 1, 7.41: a value is a decimal as text; readers take no exponent."""
    await talk.start()
    await talk.perform("SetPower", json.dumps({"powerW": power_w}))

    await talk.call("TriggerMessage", requested_message="MeterValues", connector_id=1)

    reported = await talk.link.next("MeterValues")
    assert [value["value"] for value in readings_of(reported) if value["unit"] == "W"] == [text]


@VERSIONS
@pytest.mark.parametrize("number", ["NaN", "1e999", "1" + "0" * 400, "2e9", "-1", '"nan"', "true", "[]"])
async def test_a_power_that_is_no_possible_number_is_refused(talk: Talk, number: str) -> None:
    data = f'{{"powerW": {number}}}'
    await talk.start()

    assert await talk.perform("SetPower", data) == "Rejected"
    assert await talk.perform("PlugIn", data.replace("powerW", 'connector": 2, "energyWh')) == "Rejected"

    assert talk.connector.power_w == 22_000
    assert not talk.model.station.connectors[1].plugged


@VERSIONS
async def test_what_was_reported_survives_a_power_cut(version: str, tmp_path: Path) -> None:
    state_file = tmp_path / "state.json"
    more = {
        "state_file": state_file,
        "max_power_w": 10_000_000,
        "ev_energy_wh": 10_000_000,
        "ev_plug_in_s": 0,
    }
    async with Csms() as csms, LocalCharger(csms.url, version, **more) as charger:
        link = await csms.accepted()
        await start_remotely(link, version)
        connector = charger.model.station.connectors[0]
        await wait_until_async(lambda: connector.power_w > 0)
        before_wh = connector.energy_wh
        await wait_until_async(lambda: _counted(charger) > before_wh + 50)
        if version == "OCPP1.6":
            await link.call(call16.TriggerMessage(requested_message="MeterValues", connector_id=1))
        else:
            await link.call(call201.TriggerMessage(requested_message="MeterValues", evse={"id": 1}))
        reported = float(readings_of(await link.next("MeterValues"))[0]["value"])

        saved = json.loads(state_file.read_text())["connectors"][0]["energy_wh"]

    assert saved >= reported - 0.5  # reported in whole watt-hours


def _counted(charger: LocalCharger) -> float:
    charger.model.station.energy.update_meters()
    return charger.model.station.connectors[0].energy_wh
