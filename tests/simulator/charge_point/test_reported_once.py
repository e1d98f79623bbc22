"""Whatever happens to the link and the process, a transaction is reported in order and once, and every status at last."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator.charge_point.charge_point import ChargePoint
from simulator.lifecycle import build_charge_point
from simulator.link.frames import Payload
from simulator.log import EventLog
from simulator.settings import read_settings
from tests.simulator.charger import environment
from tests.simulator.scripted_session import ANSWERS, ScriptedLink
from tests.simulator.virtual_time import VirtualTimeLoop

Step = tuple[str, Any]

ACTIONS: st.SearchStrategy[Step] = st.sampled_from(
    [("act", name) for name in ("PlugIn", "PresentToken", "Unplug", "Fault", "ClearFault")]
)
SESSION: st.SearchStrategy[Step] = st.just(("session", None))
WAITS: st.SearchStrategy[Step] = st.sampled_from([("wait", seconds) for seconds in (0.0, 0.4, 0.7, 3.0)])
ENDS: st.SearchStrategy[Step] = st.sampled_from(
    [("lose the link", None), ("connect", None), ("restart", None), ("kill", None), ("reset", None)]
)
STEPS = st.lists(st.sampled_from([SESSION, ACTIONS, WAITS, ENDS]).flatmap(lambda kind: kind), max_size=16)

CONFIGURATION = {
    "TransactionMessageRetryInterval": 0,
    "MeterValueSampleInterval": 1,
    "AllowOfflineTxForUnknownId": True,
}


class Csms:
    """Keeps what it has answered: each answer takes half a second. Statuses count at once."""

    def __init__(self) -> None:
        self.answered: list[tuple[str, Payload]] = []
        self.statuses: dict[int, str] = {}  # by connector

    async def answer(self, action: str, payload: Payload) -> Payload:
        if action == "StatusNotification":
            number = payload.get("evseId") or payload["connectorId"]
            self.statuses[number] = payload.get("status") or payload["connectorStatus"]
        await asyncio.sleep(0.5)
        self.answered.append((action, payload))
        number = len(self.answered)
        return ANSWERS.get(action, {}) | ({"transactionId": number} if action == "StartTransaction" else {})


class Life:
    """The processes of one charger, one after another, with their state file."""

    def __init__(self, version: str, state_file: Path) -> None:
        self._environ = environment("ws://csms", version, ev_unplug_s="never", state_file=state_file)
        self._environ["CHARGER_CONFIGURATION"] = json.dumps(CONFIGURATION)
        self.csms = Csms()
        self.model = self._start()
        self._link = ScriptedLink(self.csms.answer)

    async def follow(self, steps: list[Step]) -> None:
        self._link.connect(self.model)
        for name, value in [*steps, ("act", "Unplug"), ("act", "ClearFault"), ("connect", None)]:
            await self.take(name, value)
            await asyncio.sleep(0)
        await asyncio.sleep(600)
        assert self.csms.statuses == {
            number: self.model.status_of(number) for number in self.model.reporting_numbers()
        }
        await self._link.disconnect()
        self.model.power_off()

    async def take(self, name: str, value: Any) -> None:
        match name:
            case "act":
                self.model.data_transfer.perform(value, {"idToken": "TAG"})
            case "session":
                for action in ("ClearFault", "Unplug", "PlugIn", "PresentToken"):
                    self.model.data_transfer.perform(action, {"idToken": "TAG"})
            case "wait":
                await asyncio.sleep(value)
            case "connect":
                self._link.connect(self.model)
            case "lose the link":
                await self._link.disconnect()
            case "reset":
                self.model.station.transactions.end_all("HardReset")
                self.model.reboot("RemoteReset", gentle=False)
            case "restart":
                self.model.end_for_good()
                await self._link.disconnect()
                self.model.power_off()
                self.model = self._start()
            case "kill":
                await asyncio.sleep(0)
                self.model.memory._path, path = (
                    None,
                    self.model.memory._path,
                )  # a killed process writes nothing
                await self._link.disconnect()
                self.model.power_off()
                self.model.memory._path = path
                self.model = self._start()

    def _start(self) -> ChargePoint:
        model = build_charge_point(read_settings(self._environ), EventLog(lambda _: None))
        model.power_on()
        return model


@pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])
def test_each_transaction_is_reported_from_its_start_to_its_end_once_and_every_status(
    version: str, tmp_path: Path
) -> None:
    """Any order of drivers, lost links, resets, stops and kills of the process, with a state file."""
    session: list[Step] = [("wait", 3.0), ("session", None), ("wait", 0.7)]

    @settings(max_examples=25, deadline=None)
    @given(STEPS)
    @example([*session, ("kill", None), ("connect", None), ("wait", 3.0)])
    @example([*session, ("restart", None), ("connect", None), ("wait", 3.0)])
    @example([*session, ("lose the link", None), ("act", "Unplug"), ("connect", None)])
    @example([*session, ("reset", None), ("wait", 3.0)])
    @example(
        [
            ("wait", 3.0),
            ("act", "PlugIn"),
            ("wait", 0.0),
            ("lose the link", None),
            ("act", "Unplug"),
            ("connect", None),
        ]
    )
    def check(steps: list[Step]) -> None:
        state_file = tmp_path / "state.json"
        state_file.unlink(missing_ok=True)
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            life = runner.run(_live(version, state_file, steps))
        (check_16 if version == "OCPP1.6" else check_201)(life.csms.answered)

    check()


async def _live(version: str, state_file: Path, steps: list[Step]) -> Life:
    life = Life(version, state_file)
    await life.follow(steps)
    return life


def check_16(answered: list[tuple[str, Payload]]) -> None:
    running: set[int] = set()
    for number, (action, payload) in enumerate(answered, 1):
        if action == "StartTransaction":
            running.add(number)
        elif action == "StopTransaction":
            running.remove(payload["transactionId"])
        elif action == "MeterValues":
            assert payload["transactionId"] in running
    assert not running


def check_201(answered: list[tuple[str, Payload]]) -> None:
    events: dict[str, list[Payload]] = {}
    for action, payload in answered:
        if action == "TransactionEvent":
            events.setdefault(payload["transactionInfo"]["transactionId"], []).append(payload)
    for of_transaction in events.values():
        kinds = [event["eventType"] for event in of_transaction]
        assert kinds == ["Started", *["Updated"] * (len(kinds) - 2), "Ended"]
        assert [event["seqNo"] for event in of_transaction] == list(range(len(kinds)))
