"""Any events in any order: no action raises, one that is rejected at once changes nothing, and messages stay valid."""

import asyncio
import json
from asyncio import Future
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.actions.outcome import Outcome
from simulator.actions.table import TABLE
from simulator.link import schemas
from simulator.link.session import CallFailed
from simulator.versions import VERSIONS
from tests.simulator.actions.events import events_of
from tests.simulator.unconnected import Unconnected, unconnected
from tests.simulator.virtual_time import VirtualTimeLoop

Step = tuple[str, Any]

STEPS: st.SearchStrategy[Step] = st.sampled_from(
    [st.tuples(st.just(row.name), events_of(row)) for row in TABLE.values()]
).flatmap(lambda step: step)
CABLE: st.SearchStrategy[Step] = st.just(("plug_connector", {}))
START: st.SearchStrategy[Step] = st.just(("start_transaction", {"id_tag": "TAG"}))
TIME: st.SearchStrategy[Step] = st.tuples(st.just("time passes"), st.sampled_from([1, 60, 7_200]))


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_events_leave_a_charger_consistent(version: str, data: st.DataObject) -> None:
    steps = data.draw(st.lists(st.one_of(*[STEPS] * 8, CABLE, START, TIME), min_size=1, max_size=25))

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(_live_through(version, steps))


async def _live_through(version: str, steps: list[Step]) -> None:
    with unconnected(version, meter_start_wh=0) as charger:
        energy_wh = [0.0, 0.0]
        for name, event in steps:
            if name == "time passes":
                await asyncio.sleep(event)
            else:
                _perform(charger, name, event)
            await asyncio.sleep(0)
            _check(charger, energy_wh)
        assert [each for each in charger.remarks if "could not be performed" in each] == []


def _perform(charger: Unconnected, name: str, event: Any) -> None:
    before = _state(charger)
    outcome = charger.model.actions.begin(name, event)
    if isinstance(outcome, Outcome):
        json.dumps(outcome.result, allow_nan=False)
        assert outcome.status == "applied" or outcome.reason
        assert outcome.status != "rejected" or _state(charger) == before
    else:
        assert isinstance(outcome, Future)


def _state(charger: Unconnected) -> Any:
    """All that could have changed, but for the time."""
    state = charger.model.describe() | {"saved_at": None}
    connectors = [asdict(connector) for connector in charger.model.station.connectors]
    waiting = [message.action for message in charger.model.delivery.outbox._messages]
    return json.loads(json.dumps([state, connectors, waiting], default=sorted))


def _check(charger: Unconnected, energy_before_wh: list[float]) -> None:
    """Meters only grow, messages are valid. The CSMS accepts every token, and loses all other calls."""
    model = charger.model
    if model.wants_reboot:
        model.power_off()
        model.power_on()
    for index, connector in enumerate(model.station.connectors):
        assert energy_before_wh[index] <= connector.energy_wh < float("inf")
        energy_before_wh[index] = connector.energy_wh
        assert 0 <= connector.power_w <= model.settings.max_power_w
        assert not connector.power_w or (connector.transaction and connector.plugged and connector.token)
    while model.delivery.outbox._messages:
        message = model.delivery.outbox._messages.pop(0)
        payload = model.payload_to_send(message)
        schemas.check_payload(model.version, message.action, json.loads(json.dumps(payload)), answer=False)
        accepted = {model.info_field: {"status": "Accepted"}}
        lost = CallFailed(CallFailed.DROPPED, "lost")
        message.on_answer(accepted if message.action == "Authorize" else lost)
    json.dumps(model.describe())
