"""Whatever has happened, a connector that is free can be started again."""

import asyncio
import json
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator.charge_point.charge_point import ChargePoint
from simulator.configuration import TX_POINTS
from simulator.lifecycle import build_charge_point
from simulator.link.frames import Payload
from simulator.link.session import CallFailed
from simulator.log import EventLog
from simulator.settings import read_settings
from simulator.station.model import Token
from tests.simulator.charger import environment
from tests.simulator.scripted_session import ANSWERS, ScriptedLink
from tests.simulator.virtual_time import VirtualTimeLoop
from tests.support.csms import NOW

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])

Step = tuple[str, object]
Mood = Literal["answers", "refuses", "is late", "is silent"]

#: Longer than EVConnectionTimeOut, the call timeout and all pauses between attempts.
SETTLED_S = 600.0


class Script:
    """A charger of one connector more than it needs, its link, and the steps that happen to them."""

    def __init__(self, version: str) -> None:
        environ = environment("ws://csms", version, connectors=2, ev_plug_in_s=0, reboot_s=1)
        environ["CHARGER_CONFIGURATION"] = json.dumps({"TransactionMessageRetryInterval": 0})
        self.model: ChargePoint = build_charge_point(read_settings(environ), EventLog(lambda _: None))
        self.mood: Mood = "answers"
        self._link = ScriptedLink(self.answer, reboot_s=1)

    async def follow(self, steps: list[Step]) -> None:
        self.model.power_on()
        self._link.connect(self.model)
        for name, value in steps:
            await self.take(name, value)
            await asyncio.sleep(0)

    async def take(self, name: str, value: object) -> None:
        match name:
            case "wait":
                assert isinstance(value, float)
                await asyncio.sleep(value)
            case "mood":
                self.mood = value  # type: ignore[assignment]
            case "lose the link":
                await self._link.disconnect()
            case "connect":
                self._link.connect(self.model)
            case "configure":
                self.model.options.set(*value)  # type: ignore[misc]
            case "act":
                self.model.data_transfer.perform(*value)  # type: ignore[misc]
            case _:
                self.request(name, value)

    def request(self, action: str, payload: object) -> Payload | None:
        """None when the charger cannot be asked now."""
        if not self._link.is_up or not self.model.is_accepted:
            return None
        assert isinstance(payload, dict)
        return self.model.answer(action, payload)

    async def answer(self, action: str, _: Payload) -> Payload:
        """Of a CSMS that answers, refuses, is late, or is silent until the call's time is up."""
        match self.mood:
            case "refuses":
                raise CallFailed("InternalError", "refused")
            case "is silent":
                await asyncio.sleep(30)
                raise CallFailed(CallFailed.TIMEOUT, "not answered")
            case "is late":
                await asyncio.sleep(1)
        return ANSWERS.get(action, {})

    async def settle(self) -> None:
        self.mood = "answers"
        for name in ("local_pre_authorize", "authorize_remote_start"):
            self.model.options.set(name, "true" if name == "authorize_remote_start" else "false")
        self._link.connect(self.model)
        await asyncio.sleep(SETTLED_S)

    async def finish(self) -> None:
        await self._link.disconnect()
        self.model.power_off()


def remote_start(version: str, connector: int, id_tag: str = "TAG") -> tuple[str, Payload]:
    if version == "OCPP1.6":
        return "RemoteStartTransaction", {"idTag": id_tag, "connectorId": connector}
    id_token = {"idToken": id_tag, "type": "ISO14443"}
    return "RequestStartTransaction", {"idToken": id_token, "remoteStartId": 1, "evseId": connector}


def availability(version: str, connector: int, kind: str) -> tuple[str, Payload]:
    if version == "OCPP1.6":
        return "ChangeAvailability", {"connectorId": connector, "type": kind}
    evse = {} if connector == 0 else {"evse": {"id": connector}}
    return "ChangeAvailability", {"operationalStatus": kind, **evse}


def update_firmware(version: str) -> Step:
    location = "https://files.example/fw-2.bin"
    if version == "OCPP1.6":
        return "UpdateFirmware", {"location": location, "retrieveDate": NOW}
    return "UpdateFirmware", {"requestId": 1, "firmware": {"location": location, "retrieveDateTime": NOW}}


def unlock(version: str) -> Step:
    return "UnlockConnector", {"connectorId": 1} | ({} if version == "OCPP1.6" else {"evseId": 1})


def actions() -> st.SearchStrategy[Step]:
    data = st.fixed_dictionaries(
        {
            "connector": st.integers(1, 2),
            "idToken": st.sampled_from(["TAG", "OTHER"]),
            "fault": st.just("OverVoltage"),
        }
    )
    names = ["PlugIn", "Unplug", "PresentToken", "PresentToken", "Fault", "ClearFault"]
    return st.tuples(st.just("act"), st.tuples(st.sampled_from(names), data))


def steps(version: str) -> st.SearchStrategy[list[Step]]:
    resets: list[Payload] = (
        [{"type": "Soft"}, {"type": "Hard"}]
        if version == "OCPP1.6"
        else [{"type": kind} | evse for kind in ("Immediate", "OnIdle") for evse in ({}, {"evseId": 1})]
    )
    switches = ["authorize_remote_start", "local_pre_authorize", "accept_unknown_offline", "stop_on_unplug"]
    points = [] if version == "OCPP1.6" else [("tx_start_point", point) for point in TX_POINTS]
    kinds: list[st.SearchStrategy[Step]] = [
        actions(),
        actions(),
        st.sampled_from([remote_start(version, number) for number in (1, 2)]),
        st.just(("lose the link", None)),
        st.just(("connect", None)),
        st.tuples(st.just("mood"), st.sampled_from(["answers", "refuses", "is late", "is silent"])),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.5, 1.5, 61.0])),
        st.sampled_from([("Reset", reset) for reset in resets]),
        st.sampled_from([update_firmware(version), unlock(version)]),
        st.sampled_from(
            [
                availability(version, number, kind)
                for number in (0, 1)
                for kind in ("Operative", "Inoperative")
            ]
        ),
        st.tuples(
            st.just("configure"),
            st.sampled_from([(name, flag) for name in switches for flag in ("true", "false")] + points),
        ),
    ]
    return st.lists(st.sampled_from(kinds).flatmap(lambda kind: kind), max_size=14)


@VERSIONS
def test_a_usable_connector_without_a_transaction_accepts_a_new_start(version: str) -> None:
    """Any order of drivers, requests, faults, resets, lost links, and answers that come late or never."""
    start = remote_start(version, 1)
    check_first: Step = ("configure", ("authorize_remote_start", "true"))

    @settings(max_examples=25, deadline=None)
    @given(steps(version))
    @example([check_first, ("wait", 0.5), ("mood", "is silent"), start, ("lose the link", None)])
    @example(
        [("wait", 0.5), start, *(availability(version, 0, kind) for kind in ("Inoperative", "Operative"))]
    )
    def check(drawn: list[Step]) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(_live_through(version, drawn))

    check()


async def _live_through(version: str, drawn: list[Step]) -> None:
    script = Script(version)
    await script.follow(drawn)
    await script.settle()
    for connector in script.model.station.connectors:
        if connector.is_usable and connector.transaction is None:
            answer = script.request(*remote_start(version, connector.number, "NEXT"))
            assert answer is not None, "the charger is not accepted"
            assert answer["status"] == "Accepted", connector
            await asyncio.sleep(1)
            running = script.model.station.connectors[connector.number - 1].transaction
            assert running is not None, connector
            assert running.token == Token("NEXT")
    await script.finish()
