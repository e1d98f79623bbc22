"""Whatever is measured, of whatever car, when the clock and the options change: readings are valid, and registers grow."""

import asyncio
import json
import math
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.charge_point.charge_point import ChargePoint
from simulator.clock import format_time
from simulator.configuration import MEASURANDS, PHASED, PHASES
from simulator.lifecycle import build_charge_point
from simulator.link import schemas
from simulator.link.frames import Payload
from simulator.log import EventLog
from simulator.settings import read_settings
from simulator.station.model import Token
from simulator.versions import VERSIONS
from tests.simulator.charger import environment
from tests.simulator.virtual_time import VirtualTimeLoop

Step = tuple[str, Any]

MEMBERS = st.sampled_from([*MEASURANDS, *(f"{name}.{phase}" for name in PHASED for phase in sorted(PHASES))])
LISTS = st.tuples(
    st.sampled_from(["sampled", "started", "ended", "aligned", "aligned_ended"]),
    st.lists(MEMBERS, unique=True, max_size=6).map(",".join),
)
INTERVALS = st.tuples(
    st.sampled_from(["sample_s", "ended_s", "aligned_s", "aligned_ended_s"]),
    st.sampled_from(["0", "1", "60", "7000", "31536000"]),
)
#: What may happen to one charger, by the names of `perform`.
STEPS = st.one_of(
    st.tuples(st.just("option"), LISTS | INTERVALS),
    st.tuples(st.just("clock"), st.floats(-90_000, 90_000)),
    st.tuples(st.just("wait"), st.floats(0, 200)),
    st.tuples(st.just("start"), st.none()),
    st.tuples(st.just("stop"), st.none()),
    st.tuples(st.just("action"), st.sampled_from(["PlugIn", "Unplug", "RequestEnergy", "StopEnergy"])),
    st.tuples(st.just("power"), st.sampled_from([None, 0, 0.001, 6_900, 1e9])),
    st.tuples(
        st.just("car"),
        st.fixed_dictionaries(
            {},
            optional={
                "energyWh": st.sampled_from([0, 0.001, 1, 1e9]),
                "batteryWh": st.sampled_from([0, 1, 1e9]),
                "socPercent": st.sampled_from([-1, 0, 99.9, 100]),
                "maxPowerW": st.sampled_from([0, 1, 1e9]),
                "phases": st.sampled_from([0, 1, 2.5, 3]),
            },
        ),
    ),
)
CARS = st.fixed_dictionaries(
    {
        "connector_type": st.sampled_from(["Type2", "CCS2"]),
        "max_power_w": st.sampled_from([1, 3_680, 22_080, 10_000_000]),
        "ev_phases": st.integers(1, 3),
        "ev_soc_percent": st.sampled_from(["", 0, 79, 100]),
        "ev_power_factor": st.sampled_from([0.5, 0.97, 1]),
        "ev_battery_wh": st.sampled_from([1, 60_000, 10_000_000]),
        "ev_curve": st.sampled_from(["flat", "taper"]),
        "meter_start_wh": st.sampled_from([0, 1_000_000_000]),
    }
)


def perform(model: ChargePoint, name: str, value: Any) -> None:
    connector = model.station.connectors[0]
    match name:
        case "option":
            model.options.set(*value)
            model.apply_option(value[0])
        case "clock":
            model.follow_clock(model.clock.set(format_time(model.clock.now() + value)))
        case "start" if model.station.sessions.choose_connector(Token("TAG"), 1):
            model.station.sessions.start_remotely(connector, Token("TAG"), 1, check=False)
        case "stop":
            model.station.transactions.stop(connector, "RemoteStop", "Remote")
        case "action":
            model.data_transfer.perform(value, None)
        case "power":
            model.data_transfer.perform("SetPower", {"powerW": value})
        case "car":
            model.data_transfer.perform("PlugIn", value)


async def live_through(version: str, car: dict[str, object], steps: list[Step]) -> None:
    environ = environment("ws://csms", version, **car)
    model = build_charge_point(read_settings(environ), EventLog(lambda _: None))
    model.power_on()
    watch = asyncio.ensure_future(model.station.timers.watch())
    connector, register_wh = model.station.connectors[0], 0.0
    for name, value in steps:
        await asyncio.sleep(value if name == "wait" else 0.1)
        perform(model, name, value)
        assert connector.energy_wh >= register_wh
        assert 0 <= connector.power_w <= model.settings.max_power_w
        register_wh = connector.energy_wh
        check_messages(model)
    model.power_off()
    assert not watch.done(), "a timer failed"
    watch.cancel()
    check_messages(model)


def check_messages(model: ChargePoint) -> None:
    while model.delivery.outbox._messages:
        message = model.delivery.outbox._messages.pop(0)
        payload = json.loads(json.dumps(model.payload_to_send(message), allow_nan=False))
        schemas.check_payload(model.version, message.action, payload, answer=False)
        for value in sampled_values(payload):
            number = float(value["value"])
            assert math.isfinite(number)
            assert 0 <= number < 1e10
            assert len(str(value["value"])) < 20
            assert "e" not in str(value["value"])


def sampled_values(payload: Payload) -> Iterator[Payload]:
    for each in payload.get("meterValue", []) + payload.get("transactionData", []):
        yield from each["sampledValue"]


@settings(max_examples=60, deadline=None)
@given(version=st.sampled_from(list(VERSIONS)), car=CARS, steps=st.lists(STEPS, min_size=1, max_size=20))
def test_readings_are_valid_and_registers_grow(
    version: str, car: dict[str, object], steps: list[Step]
) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(live_through(version, car, steps))
