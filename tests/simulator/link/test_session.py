"""Every frame of the CSMS is answered, also a malformed one."""

import json
from typing import Any

import pytest

from tests.simulator.charger import LocalCharger
from tests.support.csms import Csms
from tests.support.waiting import wait_until_async

CASES: list[tuple[str | bytes, str, str, str]] = [
    # what the CSMS sends; the id of the answer; its code in 1.6; in 2.0.1
    ("nonsense", "-1", "FormationViolation", "RpcFrameworkError"),
    ("[" * 100_000, "-1", "FormationViolation", "RpcFrameworkError"),
    ('[2,"7","Reset",{"type":NaN}]', "-1", "FormationViolation", "RpcFrameworkError"),
    (b"\x00\xff", "-1", "FormationViolation", "RpcFrameworkError"),
    ("{}", "-1", "FormationViolation", "RpcFrameworkError"),
    ("[]", "-1", "FormationViolation", "RpcFrameworkError"),
    ('[2,7,"Reset",{}]', "-1", "FormationViolation", "RpcFrameworkError"),
    ('[2,"' + "7" * 37 + '","Reset",{}]', "-1", "FormationViolation", "RpcFrameworkError"),
    ('[2,"7"]', "7", "FormationViolation", "RpcFrameworkError"),
    ('[2,"7","Reset",[]]', "7", "FormationViolation", "RpcFrameworkError"),
    ('[5,"7","Reset",{}]', "7", "NotSupported", "MessageTypeNotSupported"),
    ('[2,"7","Nonsense",{}]', "7", "NotImplemented", "NotImplemented"),
    ('[2,"7","../v16/Reset",{}]', "7", "NotImplemented", "NotImplemented"),
    (
        '[2,"7","BootNotification",{}]',
        "7",
        "OccurenceConstraintViolation",
        "OccurrenceConstraintViolation",
    ),
    ('[2,"7","Heartbeat",{}]', "7", "NotSupported", "NotSupported"),
    ('[2,"7","Reset",{"type":"Gently"}]', "7", "PropertyConstraintViolation", "PropertyConstraintViolation"),
    ('[2,"7","Reset",{"type":1}]', "7", "TypeConstraintViolation", "TypeConstraintViolation"),
    (
        '[2,"7","DataTransfer",{"vendorId":"' + "x" * 256 + '"}]',
        "7",
        "TypeConstraintViolation",
        "TypeConstraintViolation",
    ),
    ('[2,"7","Heartbeat",{"x":1}]', "7", "FormationViolation", "FormatViolation"),
]


@pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])
async def test_each_bad_frame_gets_its_error_and_the_connection_goes_on(version: str) -> None:
    async with Csms() as csms, LocalCharger(csms.url, version) as charger:
        link = await csms.accepted()
        for sent, unique_id, code_16, code_201 in CASES:
            before = len(link.frames)

            await link.socket.send(sent)

            await wait_until_async(lambda: _errors(link.frames[before:]))  # noqa: B023
            (error,) = _errors(link.frames[before:])
            assert error[1:3] == [unique_id, code_16 if version == "OCPP1.6" else code_201], sent
    assert charger.states().count("connecting") == 1


@pytest.mark.parametrize(
    "answer", ['[3,"7",{}]', '[4,"7","GenericError","",{}]', '[3,"7"]', "[4]", "[3,7,{}]"]
)
async def test_an_answer_to_no_call_is_logged_and_not_answered(answer: str) -> None:
    async with Csms() as csms, LocalCharger(csms.url) as charger:
        link = await csms.accepted()

        await link.socket.send(answer)
        await link.socket.send("nonsense")

        await wait_until_async(lambda: _errors(link.frames))
        assert len(_errors(link.frames)) == 1
        assert len(charger.remarks()) == 2


async def test_an_answer_that_breaks_the_schema_is_logged_and_not_used() -> None:
    async with Csms() as csms, LocalCharger(csms.url) as charger:
        link = await csms.accepted()
        csms.raw_answers["Heartbeat"] = '{"currentTime":12}'

        charger.model.registration.send_heartbeat()

        await wait_until_async(
            lambda: any("answer to Heartbeat is not valid" in remark for remark in charger.remarks())
        )
        del csms.raw_answers["Heartbeat"]
        charger.model.registration.send_heartbeat()
        await link.next("Heartbeat")


def _errors(frames: list[str]) -> list[Any]:
    return [frame for frame in map(json.loads, frames) if frame[0] == 4]
