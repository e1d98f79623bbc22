"""The car: how much it draws, how its power falls towards a full battery, and when it leaves. Both versions."""

import asyncio
import json
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.lifecycle import build_charge_point
from simulator.log import EventLog
from simulator.settings import BadSettings, read_settings
from simulator.station.car.ev import NEGLIGIBLE_WH, TAPER_STEPS
from simulator.station.model import Connector, Token
from tests.simulator.charger import environment
from tests.simulator.talk import Talk, start_remotely
from tests.simulator.virtual_time import VirtualTimeLoop
from tests.support.waiting import wait_until_async

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])


class Stage(NamedTuple):
    """A time of constant power."""

    power_w: float
    hours: float
    soc_percent: float  #: when it begins


class Charge(NamedTuple):
    stages: list[Stage]
    counted_wh: float
    connector: Connector

    @property
    def powers(self) -> list[float]:
        return [stage.power_w for stage in self.stages]


def charge(**more: object) -> Charge:
    """A car charges until it draws nothing, in virtual time and without a CSMS."""

    async def run() -> Charge:
        environ = environment("ws://csms", "OCPP1.6", **{"ev_unplug_s": "never", **more})
        model = build_charge_point(read_settings(environ), EventLog(lambda _: None))
        model.power_on()
        station, timers = model.station, model.station.timers
        connector, stages = station.connectors[0], list[Stage]()
        start_wh = connector.energy_wh
        station.cable.plug(connector)
        station.sessions.start_remotely(connector, Token("TAG"), None, check=False)
        while connector.power_w > 0:
            assert connector.ev is not None
            power_w, soc_percent, begin_s = connector.power_w, connector.ev.soc_percent, timers.now_s()
            await asyncio.sleep(timers._handles[0, "power"].when() - begin_s)
            await asyncio.sleep(0)
            stages.append(Stage(power_w, (timers.now_s() - begin_s) / 3600, soc_percent))
        model.power_off()
        return Charge(stages, connector.energy_wh - start_wh, connector)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run())


@settings(max_examples=30, deadline=None)
@given(
    battery_wh=st.integers(1, 100_000),
    energy_wh=st.integers(1, 100_000),
    soc=st.one_of(st.just(""), st.integers(0, 100)),
    power_w=st.integers(50_000, 400_000),
    curve=st.sampled_from(["flat", "taper"]),
    phases=st.integers(1, 3),
)
def test_the_register_counts_power_times_time_and_no_more_than_the_car_wants(
    *, battery_wh: int, energy_wh: int, soc: int | str, power_w: int, curve: str, phases: int
) -> None:
    """With a bounded number of wake-ups, whatever the battery, and a power that never rises by itself."""
    done = charge(
        ev_battery_wh=battery_wh,
        ev_energy_wh=energy_wh,
        ev_soc_percent=soc,
        max_power_w=power_w,
        ev_curve=curve,
        ev_phases=phases,
    )

    ev = done.connector.ev
    assert ev is not None
    drawn_wh = sum(stage.power_w * stage.hours for stage in done.stages)
    # A wake-up is at least 10 ms away.
    assert done.counted_wh == pytest.approx(drawn_wh, abs=NEGLIGIBLE_WH + power_w * 0.02 / 3600)
    assert done.counted_wh == pytest.approx(ev.wanted_wh, abs=NEGLIGIBLE_WH)
    assert ev.drawn_wh <= ev.wanted_wh <= energy_wh
    assert done.connector.charging_state == "SuspendedEV"
    assert done.powers == sorted(done.powers, reverse=True)
    assert len(set(done.powers)) <= TAPER_STEPS
    assert len(done.stages) <= 2 * TAPER_STEPS
    assert 0 <= ev.soc_percent <= 100


def test_the_power_falls_from_80_percent_on_in_a_straight_line() -> None:
    """As in Linear2StageBattery of ACN-Sim: constant current, then constant voltage."""
    done = charge(
        connector_type="CCS2",
        max_power_w=100_000,
        ev_battery_wh=50_000,
        ev_soc_percent=50,
        ev_energy_wh=50_000,
    )

    steps = dict.fromkeys((round(stage.soc_percent), stage.power_w) for stage in done.stages)
    line = [(80 + 2 * step, 100_000 * (1 - step / 10)) for step in range(1, 10)]
    assert list(steps) == [(50, 100_000), *((soc, pytest.approx(power_w)) for soc, power_w in line)]


@pytest.mark.parametrize(
    ("more", "falls"),
    [
        ({"connector_type": "CCS2"}, True),
        ({"connector_type": "Type2"}, False),
        ({"connector_type": "CCS2", "ev_curve": "flat"}, False),
        ({"connector_type": "Type2", "ev_curve": "taper"}, True),
    ],
)
def test_the_power_falls_at_dc_unless_that_is_set_otherwise(more: dict[str, str], falls: bool) -> None:
    """An on-board charger takes so little that the battery limits it only in its last percents."""
    assert (len(set(charge(**more).powers)) > 1) == falls


def test_a_car_with_one_phase_draws_a_third_of_what_the_charger_offers() -> None:
    assert set(charge(max_power_w=22_080, ev_phases=1).powers) == {7_360}
    assert set(charge(max_power_w=22_080, ev_phases=2).powers) == {14_720}


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("CHARGER_EV_SOC_PERCENT", "101", "a whole number from 0 to 100"),
        ("CHARGER_EV_CURVE", "steep", "flat or taper"),
        ("CHARGER_EV_PHASES", "0", "a whole number from 1 to 3"),
        ("CHARGER_EV_POWER_FACTOR", "nan", "a number from 0.5 to 1"),
        ("CHARGER_EV_POWER_FACTOR", "high", "a number from 0.5 to 1"),
    ],
)
def test_a_car_that_cannot_be_is_refused(name: str, value: str, complaint: str) -> None:
    with pytest.raises(BadSettings, match=f"{name} must be {complaint}"):
        read_settings(environment("ws://csms", "OCPP1.6") | {name: value})


@VERSIONS
@pytest.mark.charger(ev_soc_percent=100, ev_unplug_s=0.05)
async def test_a_car_that_arrives_full_is_suspended_and_leaves(talk: Talk) -> None:
    if talk.is_16:
        await talk.call("RemoteStartTransaction", id_tag="TAG", connector_id=1)
        await talk.status("SuspendedEV")
        assert (await talk.link.next("StopTransaction"))["reason"] == "EVDisconnected"
    else:
        token = {"id_token": "TAG", "type": "ISO14443"}
        await talk.call("RequestStartTransaction", id_token=token, remote_start_id=7, evse_id=1)
        assert (await talk.event("Started"))["transaction_info"]["charging_state"] == "SuspendedEV"
        await talk.event("Ended", "EVCommunicationLost")
    await talk.status("Available")


@VERSIONS
@pytest.mark.charger(max_power_w=10_000_000)
async def test_a_full_car_that_requests_energy_again_draws_as_much_again(talk: Talk) -> None:
    await talk.perform("PlugIn", '{"energyWh": 1000}')
    await talk.start()
    before_wh = talk.connector.energy_wh
    await wait_until_async(lambda: talk.connector.charging_state == "SuspendedEV")
    first_wh = talk.connector.energy_wh

    await talk.perform("RequestEnergy")

    assert talk.connector.charging_state == "Charging"
    await wait_until_async(lambda: talk.connector.charging_state == "SuspendedEV")
    assert talk.connector.energy_wh - first_wh == pytest.approx(1_000, abs=1)
    assert talk.connector.energy_wh - before_wh <= 2_000


@VERSIONS
@pytest.mark.charger(
    max_power_w=10_000_000, configuration='{"MaxEnergyOnInvalidId": "100"}', meter_start_wh=0
)
async def test_a_refused_token_draws_exactly_what_is_allowed(talk: Talk) -> None:
    talk.csms.answers["StartTransaction"] = {"transaction_id": 9, "id_tag_info": {"status": "Invalid"}}
    talk.csms.answers["TransactionEvent"] = lambda payload: (
        {"id_token_info": {"status": "Invalid"}} if payload["event_type"] == "Started" else {}
    )
    await start_remotely(talk.link, talk.model.version.name)
    transaction = talk.connector.transaction
    assert transaction is not None

    await wait_until_async(lambda: talk.connector.transaction is None)

    assert transaction.energy_limit_wh is not None
    assert talk.connector.energy_wh == pytest.approx(transaction.energy_limit_wh, abs=2 * NEGLIGIBLE_WH)


@VERSIONS
async def test_a_power_that_was_set_is_that_of_the_car_and_leaves_with_it(talk: Talk) -> None:
    await talk.start()
    await talk.perform("SetPower", '{"powerW": 1000}')

    await talk.perform("Unplug")
    await talk.start()

    assert talk.connector.power_w == 22_000


@VERSIONS
@pytest.mark.charger(connector_type="CCS2", max_power_w=100_000)
async def test_a_car_can_be_described_when_it_is_plugged_in(talk: Talk) -> None:
    """Otherwise every car of a charger is the same."""
    car = {"batteryWh": 80_000, "socPercent": 90, "energyWh": 50_000, "maxPowerW": 50_000}

    assert await talk.perform("PlugIn", json.dumps(car)) == "Accepted"
    await talk.start()

    ev = talk.connector.ev
    assert ev is not None
    assert ev.soc_percent == pytest.approx(90, abs=0.1)
    assert ev.wanted_wh == 8_000
    assert talk.connector.power_w == 25_000  # half of what it draws below 80 %


@VERSIONS
@pytest.mark.parametrize(
    "car", [{"socPercent": 101}, {"batteryWh": 0}, {"phases": 4}, {"energyWh": -1}, {"maxPowerW": "much"}]
)
async def test_a_car_that_cannot_be_is_not_plugged_in(talk: Talk, car: dict[str, object]) -> None:
    assert await talk.perform("PlugIn", json.dumps(car)) == "Rejected"

    assert not talk.connector.plugged
