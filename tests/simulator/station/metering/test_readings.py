"""What a meter shows, by measurand and phase. Both versions."""

import json
from math import sqrt

import pytest

from simulator.configuration import MEASURANDS, PHASED, PHASES
from simulator.station.metering.readings import KINDS
from tests.simulator.station.both import set_option
from tests.simulator.talk import Talk
from tests.support.csms import Payload
from tests.support.waiting import wait_until_async

#: Lists that a trigger reads: the first in OCPP 1.6, the second in 2.0.1.
LISTS = ("MeterValuesSampledData", "AlignedDataCtrlr.Measurands")

Values = dict[tuple[str, str | None], float]


def measuring(*measurands: str, **more: object) -> pytest.MarkDecorator:
    """A charger that reads these (default: all) when it is triggered."""
    lists = dict.fromkeys(LISTS, ",".join(measurands or MEASURANDS))
    return pytest.mark.charger(configuration=json.dumps(lists), **more)


async def triggered(talk: Talk) -> list[Payload]:
    """The sampled values of connector 1."""
    place: Payload = {"connector_id": 1} if talk.is_16 else {"evse": {"id": 1}}
    await talk.call("TriggerMessage", requested_message="MeterValues", **place)
    payload = await talk.link.next("MeterValues")
    values: list[Payload] = payload["meter_value"][0]["sampled_value"]
    return values


async def read(talk: Talk) -> Values:
    return {(each["measurand"], each.get("phase")): float(each["value"]) for each in await triggered(talk)}


def of_phases(measurand: str, *values: float, neutral: bool = False) -> Values:
    return {
        (measurand, f"L{line}-N" if neutral else f"L{line}"): value for line, value in enumerate(values, 1)
    }


def total(measurand: str, value: float) -> Values:
    return {(measurand, None): value}


def without_register(values: Values) -> Values:
    return {key: value for key, value in values.items() if not key[0].startswith("Energy")}


@measuring(max_power_w=22_080)
async def test_a_charger_with_three_phases_reports_current_and_voltage_of_each(talk: Talk) -> None:
    """Real chargers report current and voltage by phase, power and energy in all."""
    await talk.start()
    await talk.perform("SetPower", '{"powerW": 11040}')

    assert without_register(await read(talk)) == {
        **of_phases("Current.Import", 16, 16, 16),
        **total("Current.Offered", 32),
        **total("Frequency", 50),
        **total("Power.Active.Import", 11_040),
        **total("Power.Factor", 1),
        **total("Power.Offered", 22_080),
        **total("Power.Reactive.Import", 0),
        **of_phases("Voltage", 230, 230, 230, neutral=True),
    }


@measuring("Current.Import", "Power.Active.Import", "Power.Active.Import.L1", "Power.Active.Import.L2", "Voltage",
           max_power_w=22_080, ev_phases=1)  # fmt: skip
async def test_a_car_with_one_phase_draws_current_from_the_first_only(talk: Talk) -> None:
    await talk.start()

    assert await read(talk) == {
        **of_phases("Current.Import", 32, 0, 0),
        **total("Power.Active.Import", 7_360),
        **of_phases("Power.Active.Import", 7_360, 0),
        **of_phases("Voltage", 230, 230, 230, neutral=True),
    }


@measuring("Current.Import", "Voltage", "Voltage.L2", "Current.Import.L1", max_power_w=7_360)
async def test_a_charger_with_one_phase_names_it_only_if_it_is_named(talk: Talk) -> None:
    await talk.start()

    assert await read(talk) == {
        **total("Current.Import", 32),
        **of_phases("Current.Import", 32),
        **total("Voltage", 230),
    }


@measuring(max_power_w=40_000, connector_type="CCS2", ev_power_factor=0.9)
async def test_a_dc_charger_has_neither_phases_nor_reactive_power(talk: Talk) -> None:
    await talk.start()

    values = without_register(await read(talk))

    assert 66 < values.pop(("SoC", None)) < 67
    assert values == {
        **total("Current.Import", 100),
        **total("Current.Offered", 100),
        **total("Power.Active.Import", 40_000),
        **total("Power.Offered", 40_000),
        **total("Voltage", 400),
    }


@measuring("Current.Import.L1", "Power.Factor", "Power.Reactive.Import", "Power.Reactive.Import.L3",
           max_power_w=22_080, ev_power_factor=0.96)  # fmt: skip
async def test_a_power_factor_takes_more_current_and_reactive_power(talk: Talk) -> None:
    """Apparent power is 18.4 kVA; its reactive part is the square root of 1 - 0.96 squared."""
    await talk.start()
    await talk.perform("SetPower", json.dumps({"powerW": 18_400 * 0.96}))

    reactive_var = round(18_400 * sqrt(1 - 0.96**2), 1)
    assert await read(talk) == {
        **of_phases("Current.Import", round(18_400 / 690, 1)),
        **total("Power.Factor", 0.96),
        **total("Power.Reactive.Import", reactive_var),
        ("Power.Reactive.Import", "L3"): pytest.approx(reactive_var / 3, abs=0.1),
    }


@measuring()
async def test_a_unit_is_left_out_where_ocpp_has_none(talk: Talk) -> None:
    """OCPP 1.6 part 1, 7.31, and the units of 2.0.1's appendix: frequency is in hertz without saying so."""
    await talk.start()

    def unit(value: Payload) -> object:
        return value.get("unit") if talk.is_16 else value.get("unit_of_measure", {}).get("unit")

    units = {value["measurand"]: unit(value) for value in await triggered(talk)}

    assert units.items() <= {name: kind.unit for name, kind in KINDS.items()}.items()
    assert units["Frequency"] is units["Power.Factor"] is None
    assert units["Power.Reactive.Import"] == "var"


@pytest.mark.charger(
    configuration=json.dumps(
        {
            "MeterValueSampleInterval": 1,
            "MeterValuesSampledData": "Energy.Active.Import.Register,Energy.Active.Import.Interval",
        }
    ),
    max_power_w=3_600_000,
)
async def test_the_energy_of_an_interval_is_the_difference_of_two_registers(talk: Talk) -> None:
    started = await talk.start()

    async def sampled() -> list[float]:
        reported = await (
            talk.link.next("MeterValues") if talk.is_16 else talk.event("Updated", "MeterValuePeriodic")
        )
        return [float(value["value"]) for value in reported["meter_value"][0]["sampled_value"]]

    (register, interval), (later_register, later_interval) = await sampled(), await sampled()

    begin = started["meter_start"] if talk.is_16 else started["meter_value"][0]["sampled_value"][0]["value"]
    assert interval == pytest.approx(register - begin, abs=1)
    assert later_interval == pytest.approx(later_register - register, abs=1)


@pytest.mark.parametrize(
    ("measurand", "accepted"),
    [
        ("Voltage.L1", True),
        ("Power.Active.Import.L3-N", True),
        ("Voltage.L4", False),
        ("SoC.L1", False),
        ("Temperature", False),
        ("Energy.Active.Export.Register", False),
    ],
)
async def test_a_list_names_what_the_charger_can_measure(talk: Talk, measurand: str, accepted: bool) -> None:
    """OCPP 1.6 part 1, 9.1.17: a measurand is combined with a phase where that applies."""
    change = set_option(talk, "MeterValuesSampledData", "SampledDataCtrlr.TxUpdatedMeasurands", measurand)

    if accepted:
        await change
        assert talk.model.options.text("sampled") == measurand
    else:
        with pytest.raises(AssertionError):
            await change


@pytest.mark.parametrize("version", ["OCPP2.0.1"])
async def test_the_csms_knows_how_many_phases_a_car_uses(talk: Talk) -> None:
    """OCPP 2.0.1 part 2, TransactionEventRequest: the last number that was sent comes before any schedule's."""
    await talk.start()
    charging = await talk.event("Updated", "ChargingStateChanged")
    assert charging["number_of_phases_used"] == 3

    period = {"start_period": 0, "limit": 16, "number_phases": 1}
    schedule = {"id": 1, "charging_rate_unit": "A", "charging_schedule_period": [period]}
    profile = {
        "id": 1,
        "stack_level": 0,
        "charging_profile_purpose": "TxDefaultProfile",
        "charging_profile_kind": "Absolute",
        "charging_schedule": [schedule | {"start_schedule": "2020-01-01T00:00:00Z"}],
    }
    assert (await talk.call("SetChargingProfile", evse_id=1, charging_profile=profile)).status == "Accepted"

    changed = await talk.event("Updated", "ChargingRateChanged")
    assert changed["number_of_phases_used"] == 1
    assert talk.connector.power_w == 3_680


def test_every_measurand_can_be_read() -> None:
    assert {*KINDS, "Energy.Active.Import.Interval"} == set(MEASURANDS)
    assert {name for name, kind in KINDS.items() if kind.line} == PHASED
    assert {phase for kind in KINDS.values() for phase in kind.phases if phase} <= PHASES


async def test_nothing_is_read_of_a_limit_before_there_is_one(talk: Talk) -> None:
    """Power.Offered at the start of a transaction was what the connector had before it, at worst infinity."""
    await set_option(talk, "StopTxnSampledData", "SampledDataCtrlr.TxEndedMeasurands", "Power.Offered")
    await talk.start()

    assert talk.connector.transaction is not None
    (sample,) = talk.connector.transaction.samples
    assert [reading.value for reading in sample.readings] == [22_000]
    await wait_until_async(lambda: talk.connector.power_w == 22_000)


@measuring("Energy.Active.Import.Register", meter_start_wh=7)
async def test_a_register_is_a_whole_number(talk: Talk) -> None:
    (value,) = [each["value"] for each in await triggered(talk)]

    assert repr(value) == ("'7'" if talk.is_16 else "7")
