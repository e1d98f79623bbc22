"""Any order of requests and actions: the answers and messages are valid, and the meters only grow."""

import asyncio
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp.exceptions import InternalError, OCPPError  # type: ignore[import-untyped]

from simulator.actions.data_transfer import ALIASES
from simulator.charge_point.charge_point import ChargePoint
from simulator.lifecycle import build_charge_point, load_kind
from simulator.link import schemas
from simulator.link.schemas import SCHEMA_ROOT
from simulator.log import EventLog
from simulator.settings import read_settings
from simulator.versions import VERSIONS, Version
from tests.simulator.charger import environment
from tests.simulator.payloads import Payloads

Step = tuple[str, Any]


def requests_of(version: Version) -> st.SearchStrategy[Step]:
    return st.one_of([_requests(version, action) for action in sorted(load_kind(version).handlers)])


def _requests(version: Version, action: str) -> st.SearchStrategy[Step]:
    path = SCHEMA_ROOT / version.schema_set / "schemas" / f"{action}{version.request_suffix}.json"
    schema = json.loads(path.read_text("utf-8-sig"))
    return st.tuples(st.just(action), Payloads(schema).values())


NO_AMOUNTS = [-5, 1e300, 10**400, math.inf, math.nan, "nan", True, []]
DRIVER_DATA = st.fixed_dictionaries(
    {},
    optional={
        "connector": st.integers(0, 3) | st.sampled_from([True, None, "1"]),
        "idToken": st.sampled_from(["TAG", "tag", "OTHER", "", 5, None, []]),
        "type": st.sampled_from(["ISO14443", "KeyCode", "", "Nonsense", 5, None, []]),
        "powerW": st.sampled_from([None, 0, 7_000, 10**9, *NO_AMOUNTS]),
        "energyWh": st.sampled_from([0, 1, 10_000, *NO_AMOUNTS]),
        "fault": st.sampled_from(["OverCurrentFailure", "Nonsense", ""]),
    },
)
DRIVER = st.tuples(
    st.sampled_from([*ALIASES, "Nonsense"]).map(lambda action: f"driver {action}"), DRIVER_DATA
)
TIME = st.tuples(st.just("time passes"), st.sampled_from([0.0, 1.0, 3600.0, 1e6]))
START: dict[str, Step] = {
    "OCPP1.6": ("RemoteStartTransaction", {"idTag": "TAG"}),
    "OCPP2.0.1": (
        "RequestStartTransaction",
        {"idToken": {"idToken": "TAG", "type": "ISO14443"}, "remoteStartId": 1},
    ),
}


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_order_of_requests_and_actions_leaves_a_charger_consistent(
    version: Version, data: st.DataObject
) -> None:
    # sampled_from makes the four kinds equally likely; one_of would flatten them.
    kinds = [requests_of(version), DRIVER, TIME, st.just(START[version.name])]
    steps = st.sampled_from(kinds).flatmap(lambda kind: kind)

    asyncio.run(_live_through(version, data.draw(st.lists(steps, min_size=1, max_size=25))))


async def _live_through(version: Version, steps: list[Step]) -> None:
    remarks: list[str] = []
    log = EventLog(lambda line: remarks.append(json.loads(line)["message"]))
    model = build_charge_point(
        read_settings(environment("ws://csms", version.name, connectors=2, ev_plug_in_s=0)), log
    )
    model.power_on()
    model.registration.status, model.online = "Accepted", True
    energy_wh = [0.0, 0.0]
    for name, request in steps:
        if name == "time passes":
            energy = model.station.energy
            energy._metered_at_s = (energy._metered_at_s or 0.0) - request
            energy.update_power()
        elif name.startswith("driver "):
            model.data_transfer.perform(name.removeprefix("driver "), request)
        else:
            _call(model, name, request)
        await _check(model, energy_wh)
    model.power_off()
    expected = ("is refused: ", "security event")
    assert [remark for remark in remarks if not any(each in remark for each in expected)] == []


def _call(model: ChargePoint, action: str, payload: Any) -> None:
    try:
        answer = model.answer(action, payload)
    except OCPPError as error:
        assert not isinstance(error, InternalError), (action, payload)
        return
    schemas.check_payload(model.version, action, json.loads(json.dumps(answer)), answer=True)


async def _check(model: ChargePoint, energy_before_wh: list[float]) -> None:
    if model.wants_reboot:
        model.power_off()
        model.power_on()
    for _ in range(3):  # lets the callbacks run that wait for the next turn
        await asyncio.sleep(0)
    for index, connector in enumerate(model.station.connectors):
        assert connector.energy_wh >= energy_before_wh[index]
        energy_before_wh[index] = connector.energy_wh
        assert 0 <= connector.power_w <= model.settings.max_power_w
        assert not connector.power_w or (connector.transaction and connector.plugged and connector.token)
        assert not connector.transaction or connector.is_usable or connector.operative_next is not None
    while model.delivery.outbox._messages:
        message = model.delivery.outbox._messages.pop(0)
        payload = model.payload_to_send(message)
        schemas.check_payload(model.version, message.action, json.loads(json.dumps(payload)), answer=False)
    json.dumps(model.describe())
