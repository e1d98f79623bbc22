"""When the meters are read: for the end of a transaction, and at the times of day. Both versions."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simulator.charge_point.charge_point import ChargePoint
from simulator.charge_point.memory import State
from simulator.clock import format_time, parse_time
from simulator.lifecycle import build_charge_point
from simulator.link.frames import Payload
from simulator.log import EventLog
from simulator.settings import read_settings
from simulator.station.metering.clock_aligned import DAY_S, Boundaries, next_boundary
from simulator.station.metering.sampling import thin_out
from simulator.station.model import Sample, Token
from tests.simulator.charger import environment
from tests.simulator.station.both import request_stop, set_option, stopped
from tests.simulator.talk import Talk
from tests.simulator.virtual_time import VirtualTimeLoop
from tests.support.waiting import wait_until_async

#: Far from `NOW` of the CSMS.
NOON = parse_time("2030-06-01T12:00:00Z")


def transaction(
    version: str, during: Callable[[ChargePoint], Coroutine[Any, Any, None]], **options: object
) -> list[Payload]:
    """The readings that the end of a transaction reports, in virtual time and without a CSMS."""

    async def run() -> list[Payload]:
        environ = environment(
            "ws://csms", version, configuration=json.dumps(options), ev_energy_wh=10_000_000
        )
        model = build_charge_point(read_settings(environ), EventLog(lambda _: None))
        model.power_on()
        connector = model.station.connectors[0]
        model.station.cable.plug(connector)
        model.station.sessions.start_remotely(connector, Token("TAG"), None, check=False)
        await during(model)
        model.station.transactions.stop(connector, "Remote", "Remote")
        model.power_off()
        return values_of_end(model)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run())


def values_of_end(model: ChargePoint) -> list[Payload]:
    """The readings of the last report in the queue."""
    last = list(model.delivery.outbox.durable())[-1].payload
    return last.get("transactionData") or last.get("meterValue") or []


def contexts(values: list[Payload]) -> list[str]:
    return [value["context"] for each in values for value in each["sampledValue"]]


def wait(seconds: float) -> Callable[[ChargePoint], Coroutine[Any, Any, None]]:
    async def during(_: ChargePoint) -> None:
        await asyncio.sleep(seconds)

    return during


def interval(version: str, seconds: int) -> dict[str, object]:
    """The interval of the readings for the end: in 1.6 it is that of the readings in between."""
    name = "MeterValueSampleInterval" if version == "OCPP1.6" else "SampledDataCtrlr.TxEndedInterval"
    return {name: seconds}


def test_the_end_has_the_readings_at_the_interval(version: str) -> None:
    """OCPP 1.6 part 1, 9.1.27; 2.0.1, J02.FR.11."""
    values = transaction(version, wait(35), **interval(version, 10))

    assert contexts(values) == ["Transaction.Begin", *["Sample.Periodic"] * 3, "Transaction.End"]


@pytest.mark.parametrize("count", [0, 1, 47, 48, 49, 100, 1_000])
def test_the_end_has_a_bounded_number_of_readings_with_the_first_and_the_last(
    version: str, count: int
) -> None:
    """StopTransactionMaxMeterValues of the errata to OCPP 1.6; in MicroOcpp the last one overwrites the one before."""
    values = transaction(version, wait(10 * count + 5), **interval(version, 10))

    assert len(values) == min(count + 2, 50)
    assert contexts(values)[0] == "Transaction.Begin"
    assert contexts(values)[-1] == "Transaction.End"
    assert set(contexts(values)[1:-1]) <= {"Sample.Periodic"}
    moments = [parse_time(each["timestamp"]) for each in values]
    assert moments == sorted(moments)


@pytest.mark.parametrize("count", [51, 100, 1_000, 10_000])
def test_the_readings_in_between_stay_spread_evenly(count: int) -> None:
    samples: list[Sample] = []
    for moment in range(count):
        samples.append(Sample(moment, "Sample.Periodic", []))
        if len(samples) > 50:
            thin_out(samples)

    moments = [sample.moment for sample in samples]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert (moments[0], moments[-1]) == (0, count - 1)
    assert max(gaps[:-1]) <= 4 * min(gaps[:-1])


def test_an_interval_that_changes_counts_from_then_on(version: str) -> None:
    async def during(model: ChargePoint) -> None:
        name = "sample_s" if version == "OCPP1.6" else "ended_s"
        await asyncio.sleep(25)
        model.options.set(name, "5")
        model.apply_option(name)
        await asyncio.sleep(11)
        model.options.set(name, "0")
        model.apply_option(name)
        await asyncio.sleep(1_000)

    values = transaction(version, during, **interval(version, 10))

    assert contexts(values) == ["Transaction.Begin", *["Sample.Periodic"] * 4, "Transaction.End"]


def test_an_interval_that_is_set_to_what_it_is_does_not_begin_anew(version: str) -> None:
    """Otherwise a CSMS that sets it more often than that gets no readings."""

    async def during(model: ChargePoint) -> None:
        for _ in range(5):
            await asyncio.sleep(7)
            model.apply_option("sample_s")
            model.apply_option("ended_s")

    values = transaction(version, during, **interval(version, 10))

    assert contexts(values) == ["Transaction.Begin", *["Sample.Periodic"] * 3, "Transaction.End"]


def test_a_process_that_stood_still_reads_once_and_not_once_per_interval(version: str) -> None:
    async def during(_: ChargePoint) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        await asyncio.sleep(5)
        loop._clock.now_s += 3_600
        await asyncio.sleep(6)

    values = transaction(version, during, **interval(version, 10))

    assert contexts(values) == ["Transaction.Begin", *["Sample.Periodic"] * 2, "Transaction.End"]


@pytest.mark.parametrize("kept", [True, False], ids=["this release", "an older release"])
def test_the_readings_for_the_end_survive_a_kill(version: str, kept: bool) -> None:
    states: list[State] = []

    async def during(model: ChargePoint) -> None:
        await asyncio.sleep(25)
        states.append(json.loads(json.dumps(model.describe() | {"clean": False})))

    transaction(version, during, **interval(version, 10))
    (connector, *_) = states[0]["connectors"]
    if not kept:
        del connector["transaction"]["samples"]
        for name in ("arrival_wh", "tapers", "phases"):
            del connector["ev"][name]

    async def restart() -> list[Payload]:
        environ = environment("ws://csms", version)
        model = build_charge_point(read_settings(environ), EventLog(lambda _: None))
        model.recall(states[0])
        assert model.station.connectors[0].energy_wh == connector["energy_wh"]
        return values_of_end(model)

    recorded = ["Transaction.Begin", *["Sample.Periodic"] * 2] if kept else []
    assert contexts(asyncio.run(restart())) == [*recorded, "Transaction.End"]


def test_no_list_has_no_readings(version: str) -> None:
    assert transaction(version, wait(35), StopTxnSampledData="", **interval(version, 10)) == []


# At the times of day


def set_clock(talk: Talk, moment: float) -> None:
    """As the CSMS's answer to a heartbeat does."""
    jump_s = talk.model.clock.set(format_time(moment))
    if abs(jump_s) > 0.5:
        talk.model.follow_clock(jump_s)


HOURLY = {"ClockAlignedDataInterval": 3600, "AlignedDataCtrlr.TxEndedInterval": 3600}


@pytest.mark.charger(configuration=json.dumps(HOURLY | {"StopTxnAlignedData": "Power.Active.Import"}))
async def test_the_end_has_the_clock_aligned_readings(talk: Talk) -> None:
    """OCPP 1.6 part 1, 9.1.25; 2.0.1, AlignedDataCtrlr.TxEndedMeasurands."""
    set_clock(talk, NOON - 600)
    await talk.start()
    for hour in (0, 1):
        set_clock(talk, NOON + 3600 * hour + 0.1)

    await request_stop(talk)
    ended = await stopped(talk)

    values = [
        (value["context"], value["measurand"])
        for each in ended["transaction_data" if talk.is_16 else "meter_value"]
        for value in each["sampled_value"]
    ]
    energy = "Energy.Active.Import.Register"
    assert values == [
        ("Transaction.Begin", energy),
        *[("Sample.Clock", "Power.Active.Import")] * 2,
        ("Transaction.End", energy),
    ]


@pytest.mark.charger(connectors=1, configuration=json.dumps({"ClockAlignedDataInterval": 3600}))
async def test_each_boundary_is_read_once_though_the_clock_is_set_back_a_little(talk: Talk) -> None:
    """A CSMS that answers heartbeats with whole seconds sets the clock back by a part of one each time."""
    set_clock(talk, NOON - 0.3)
    await asyncio.sleep(0.2)
    set_clock(talk, NOON - 0.3)

    await wait_until_async(lambda: talk.model.clock.now() > NOON + 0.05)
    set_clock(talk, NOON - 0.2)
    await wait_until_async(lambda: talk.model.clock.now() > NOON + 0.05)

    (reported,) = talk.link.all("MeterValues")
    assert 0 <= parse_time(reported["meter_value"][0]["timestamp"]) - NOON < 1


@pytest.mark.charger(connectors=1, configuration=json.dumps(HOURLY))
async def test_clock_aligned_readings_go_on_after_the_clock_jumps_by_hours(talk: Talk) -> None:
    async def pass_boundary(moment: float) -> float:
        set_clock(talk, moment - 0.6)
        set_clock(talk, moment + 0.1)
        reported = await talk.link.next("MeterValues")
        return parse_time(reported["meter_value"][0]["timestamp"])

    for hour in (0, 7, -5, -4):
        moment = NOON + 3600 * hour
        assert 0 <= await pass_boundary(moment) - moment < 1

    assert len(talk.link.all("MeterValues")) == 4


@pytest.mark.charger(
    connectors=2, configuration=json.dumps(HOURLY | {"AlignedDataCtrlr.SendDuringIdle": "true"})
)
async def test_clock_aligned_readings_can_be_for_idle_chargers_only(talk: Talk) -> None:
    """OCPP 2.0.1, J01.FR.20: none while a transaction runs."""
    set_clock(talk, NOON - 0.6)
    set_clock(talk, NOON + 0.1)
    assert [(await talk.link.next("MeterValues")) for _ in range(2)]
    talk.link.calls.clear()
    await talk.start()

    set_clock(talk, NOON + 3600 - 0.6)
    set_clock(talk, NOON + 3600 + 0.1)
    await request_stop(talk)
    await stopped(talk)

    assert "Sample.Clock" not in str([call.payload for call in talk.link.calls])


@pytest.mark.charger(connectors=1)
async def test_an_interval_of_the_day_takes_effect_at_once(talk: Talk) -> None:
    set_clock(talk, NOON - 0.6)
    await set_option(talk, "ClockAlignedDataInterval", "AlignedDataCtrlr.Interval", "600")
    set_clock(talk, NOON + 0.1)

    assert (await talk.link.next("MeterValues"))["meter_value"]


#: Seconds that pass, and by how much the clock is behind then.
STEPS = st.lists(st.tuples(st.floats(0, 3.0), st.floats(0, 0.9)), max_size=60)


@example(interval_s=1, start=0.0, steps=[(1.1, 0.0), (0.0, 0.3), (0.3, 0.0)])
@given(interval_s=st.integers(1, 100_000), start=st.floats(0, 3 * DAY_S), steps=STEPS)
def test_no_boundary_is_read_twice_or_early_however_the_clock_is_set_back(
    interval_s: int, start: float, steps: list[tuple[float, float]]
) -> None:
    """By less than the shortest interval, as by a CSMS that cuts its time to whole seconds."""
    boundaries, moment, read = Boundaries(), NOON + start, []
    awaited = boundaries.next(moment, interval_s)
    for passed_s, behind_s in steps:
        moment += passed_s
        now = moment - behind_s
        if boundaries.has_passed(now, interval_s):
            assert awaited <= now
            read.append(awaited)
        awaited = boundaries.next(now, interval_s)
        assert now < awaited <= now + 2 * interval_s

    assert all(earlier < later for earlier, later in pairwise(read))


@given(moment=st.floats(0, 10 * DAY_S), interval_s=st.integers(1, 200_000))
def test_boundaries_are_multiples_of_the_interval_since_midnight(moment: float, interval_s: int) -> None:
    """OCPP 1.6 part 1, 9.1.6: evenly spaced intervals per day, starting at 00:00:00."""
    boundary = next_boundary(moment, interval_s)

    assert moment < boundary <= moment + interval_s
    assert boundary % DAY_S == 0 or boundary % DAY_S % interval_s == 0
