"""Automatic sessions go on, however drivers and cars are set. In virtual time and without a CSMS."""

import asyncio
import json
from itertools import product

import pytest

from simulator.lifecycle import build_charge_point
from simulator.log import EventLog
from simulator.settings import read_settings
from tests.simulator.charger import environment
from tests.simulator.virtual_time import VirtualTimeLoop

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])


def sessions(version: str, **more: object) -> int:
    """The transactions of four hours on one connector, where a driver comes every five minutes."""
    options = {"AllowOfflineTxForUnknownId": "true", "MeterValueSampleInterval": 0}
    given = more.pop("options", {})
    assert isinstance(given, dict)
    settings = {"CHARGER_VISITOR_EVERY_S": 300, "configuration": json.dumps(options | given), **more}

    async def run() -> int:
        environ = environment("ws://csms", version, **settings)
        model = build_charge_point(read_settings(environ), EventLog(lambda _: None))
        model.power_on()
        await asyncio.sleep(4 * 3_600)
        model.power_off()
        payloads = [message.payload for message in model.delivery.outbox.durable()]
        return sum("meterStart" in payload or payload.get("eventType") == "Started" for payload in payloads)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run())


@pytest.mark.parametrize(("unplug_s", "soc"), list(product(["0", "10", "never"], ["", "0", "100"])))
def test_drivers_keep_coming_whatever_their_cars_do(unplug_s: str, soc: str) -> None:
    more = {"ev_unplug_s": unplug_s, "ev_soc_percent": soc, "ev_plug_in_s": "never"}

    assert sessions("OCPP1.6", ev_energy_wh=1_000, **more) > 20


@VERSIONS
@pytest.mark.parametrize(
    "options",
    [
        {"TxCtrlr.TxStartPoint": "EVConnected", "TxCtrlr.TxStopPoint": "EVConnected"},
        {"TxCtrlr.TxStartPoint": "Authorized", "TxCtrlr.TxStopPoint": "Authorized"},
        {"StopTransactionOnEVSideDisconnect": "false", "ConnectionTimeOut": 0},
    ],
)
def test_drivers_keep_coming_wherever_a_transaction_begins_and_ends(
    version: str, options: dict[str, object]
) -> None:
    assert sessions(version, ev_energy_wh=1_000, ev_unplug_s="never", options=options) > 20


@pytest.mark.parametrize(
    "more", [{"ev_energy_wh": 1}, {"max_power_w": 10_000_000}, {"connector_type": "CCS2"}]
)
def test_drivers_keep_coming_with_any_car(more: dict[str, object]) -> None:
    assert sessions("OCPP2.0.1", ev_unplug_s="never", **{"ev_energy_wh": 1_000, **more}) > 5
