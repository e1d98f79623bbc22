"""Every frame of the CSMS is answered, also a malformed one."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.link.pace import Pace
from tests.simulator.charger import LocalCharger
from tests.simulator.talk import Talk
from tests.support.csms import Csms, Link, boot_answers, send_together
from tests.support.waiting import wait_until_async

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])

CASES: list[tuple[str | bytes, str, str, str]] = [
    # what the CSMS sends; the id of the answer; its code in 1.6; in 2.0.1
    ("nonsense", "-1", "FormationViolation", "RpcFrameworkError"),
    ("[" * 100_000, "-1", "FormationViolation", "RpcFrameworkError"),
    (
        '[2,"7","Reset",{"type":' + "[" * 500 + "]" * 500 + "}]",
        "7",
        "FormationViolation",
        "RpcFrameworkError",
    ),
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
    (
        '[2,"7","Reset",{"type":1e999}]',
        "7",
        "TypeConstraintViolation",
        "TypeConstraintViolation",
    ),
]
STRICT_CASES: list[tuple[str | bytes, str, str, str]] = [
    ('[2,"7","Heartbeat",{"x":1}]', "7", "FormationViolation", "FormatViolation"),
    ('[2,"7","GetLocalListVersion",{"x":null}]', "7", "FormationViolation", "FormatViolation"),
]


@VERSIONS
@pytest.mark.parametrize("strict", ["false", "true"])
async def test_each_bad_frame_gets_its_error_and_the_connection_goes_on(version: str, strict: str) -> None:
    async with Csms() as csms, LocalCharger(csms.url, version, strict=strict) as charger:
        link = await csms.accepted()
        for sent, unique_id, code_16, code_201 in CASES + (STRICT_CASES if strict == "true" else []):
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


async def test_a_rejected_16_charger_answers_nothing_until_it_is_accepted() -> None:
    """OCPP 1.6 part 1, 4.2: "While Rejected, the Charge Point SHALL NOT respond to any Central System initiated message"."""
    async with Csms() as csms:
        csms.answers["BootNotification"] = boot_answers("Rejected", "Accepted", interval_s=1)
        async with LocalCharger(csms.url) as charger:
            link = await csms.link()
            await charger.connection("rejected", "boot_rejected")
            for frame in ('[2,"6","GetConfiguration",{}]', '[2,"6","Nonsense",{}]', "nonsense"):
                await link.socket.send(frame)
            await charger.connection("accepted")
            await link.socket.send('[2,"7","GetLocalListVersion",{}]')
            assert (await _answer_to(link, "7"))[0] == 3

    assert not [frame for frame in link.frames if json.loads(frame)[1] in ("6", "-1")]


@VERSIONS
async def test_a_request_is_taken_without_what_it_has_too_much(version: str) -> None:
    """Unknown keys, and null where a key may be absent; what real CSMSs send is no reason to refuse them."""
    sent = {
        "OCPP1.6": '[2,"7","GetConfiguration",{"key":null,"x":{"y":1}}]',
        "OCPP2.0.1": '[2,"7","GetTransactionStatus",{"transactionId":null,"x":{"y":1}}]',
    }
    async with Csms() as csms, LocalCharger(csms.url, version) as charger:
        link = await csms.accepted()

        for _ in range(2):
            await link.socket.send(sent[version])

        await wait_until_async(lambda: len([frame for frame in link.frames if '[3,"7"' in frame]) == 2)
        (remark,) = charger.remarks()  # not one for each
        assert "is used as far as it is valid" in remark
        assert "has unknown x" in remark


#: Answers to Heartbeat that a tolerant charger takes.
USABLE = [
    '[3,"ID",{"currentTime":"2031-01-01T00:00:00Z","x":1}]',
    '[3,"ID",{"currentTime":"2031-01-01T00:00:00Z"},"more"]',
]
#: Those that nobody can use, because they say too little.
UNUSABLE = [
    '[3,"ID",null]',  # 1.6J says that a null payload is an empty one
    '[3,"ID"]',
    '[3,"ID",[]]',
    '[3,"ID","text"]',
    '[3,"ID",[{}]]',
    '[3,"ID",{"currentTime":null}]',
    '[3,"ID",{"currentTime":12}]',
    '[3,"ID",{"currentTime":NaN}]',
    '[3,"ID",{"currentTime":1e999}]',
    '[3,"ID",{"currentTime":' + "7" * 400 + "}]",
    '[3,"ID",{"currentTime":' + "7" * 5000 + "}]",
    '[3,"ID",{"currentTime":' + "[" * 100_000,
    '[3,"ID",{"currentTime":"2031-01-01T00:00:00Z","x":' + "[" * 100 + "]" * 100 + "}]",
    ' [ 3 , "ID", {"currentTime":"203',
    '\ufeff[3,"ID",{"currentTime":"2031-01-01T00:00:00Z"}]',
    '["3","ID",{"currentTime":"2031-01-01T00:00:00Z"}]',
    '{"id":"ID","currentTime":"2031-01-01T00:00:00Z"}',
    '[3,["ID"],{}]',
    '[8,"ID",{}]',
    '[4,"ID"]',
    '[4,"ID",null,null,null]',
    '[4,"ID","InternalError","went wrong","SQL [insert into ocpp_tag ...]"]',
    '[4,"ID",12,[],{},7]',
    '[4,"ID","InternalError","went wrong",{}]',
]


@pytest.mark.parametrize("strict", ["false", "true"])
async def test_no_answer_holds_up_the_next_call(strict: str) -> None:
    """mikuso/ocpp-rpc#35, steve-community/steve#45 and their kind; the call timeout of 30 s is never waited for."""
    async with Csms() as csms, LocalCharger(csms.url, strict=strict) as charger:
        link = await csms.accepted()
        model = charger.model
        for answer in USABLE + UNUSABLE:
            csms.raw_frames["Heartbeat"] = lambda unique_id: [answer.replace("ID", unique_id)]  # noqa: B023
            before = len(charger.remarks())

            model.registration.send_heartbeat()

            await wait_until_async(lambda: not model.delivery.outbox.has_action("Heartbeat"), within_s=3)
            failed = any("Heartbeat failed" in remark for remark in charger.remarks()[before:])
            assert failed == (strict == "true" or answer in UNUSABLE), answer
    assert charger.states().count("connecting") == 1
    assert len(link.frames) > len(UNUSABLE)


@pytest.mark.parametrize("answer", ['[3,"ID",null]', '[3,"ID"]', '[3,"ID",[]]', '[3,"ID",{"x":null}]'])
async def test_an_answer_without_a_payload_is_an_empty_one(talk: Talk, answer: str) -> None:
    """OCPP-J 1.6, 4.2.2: null is an empty payload. The CSMS has taken what it answers so."""
    talk.csms.raw_frames["StatusNotification"] = lambda unique_id: [answer.replace("ID", unique_id)]

    talk.model.data_transfer.perform("PlugIn", None)

    await wait_until_async(lambda: not talk.model.delivery.outbox.has_action("StatusNotification"))
    assert not any("failed" in remark for remark in talk.charger.remarks())
    talk.link.socket.transport.abort()
    again = await talk.csms.link(2)
    await talk.charger.connection("accepted", "still_accepted")
    talk.model.registration.send_heartbeat()
    await again.next("Heartbeat")
    assert again.all("StatusNotification") == []


async def test_an_optional_part_of_an_answer_that_is_wrong_counts_as_absent(talk: Talk) -> None:
    """Home Assistant's `parentIdTag: null`, and whatever else is wrong where nothing need be."""
    answer = {
        "OCPP1.6": '{"transactionId":7.0,"idTagInfo":{"status":"Accepted","parentIdTag":null,"expiryDate":5}}',
        "OCPP2.0.1": '{"totalCost":"free","idTokenInfo":{"status":"Accepted","language1":null,"x":[]}}',
    }[talk.model.version.name]
    talk.csms.raw_answers["StartTransaction" if talk.is_16 else "TransactionEvent"] = answer

    talk.model.data_transfer.perform("PlugIn", None)
    await talk.perform("PresentToken", '{"idToken": "TAG"}')

    await wait_until_async(lambda: talk.connector.power_w > 0 and not talk.model.has_queued_messages(None))
    action = "StartTransaction" if talk.is_16 else '"Started"'
    assert len([frame for frame in talk.link.frames if action in frame]) == 1
    if talk.is_16:
        await talk.call("RemoteStopTransaction", transaction_id=7)
        assert (await talk.link.next("StopTransaction"))["transaction_id"] == 7


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


async def test_an_answer_in_a_binary_frame_does_not_hold_up_the_next_call() -> None:
    async with Csms() as csms, LocalCharger(csms.url) as charger:
        link = await csms.accepted()
        csms.raw_answers["Heartbeat"] = None
        charger.model.registration.send_heartbeat()
        await wait_until_async(lambda: "Heartbeat" in str(link.frames))
        unique_id = json.loads(link.frames[-1])[1]

        await link.socket.send(f'[3,"{unique_id}",{{}}]'.encode())

        await wait_until_async(lambda: not charger.model.delivery.outbox.has_action("Heartbeat"), within_s=3)
    assert _errors(link.frames) == []


# The rate of frames


async def test_a_csms_that_floods_is_answered_at_a_bounded_rate() -> None:
    """50 at once and then 50 per second, so that chargers may share a process with one whose CSMS floods it.

    The charger's own calls are answered meanwhile as ever.
    """
    async with Csms() as csms, LocalCharger(csms.url) as charger:
        link = await csms.accepted()
        began_s = time.monotonic()
        send_together(link.socket, *60 * ['[2,"7","GetLocalListVersion",{}]'])
        await wait_until_async(lambda: str(link.frames).count('[3,"7"') >= 55)
        charger.model.registration.send_heartbeat()
        await link.next("Heartbeat")
        await wait_until_async(lambda: str(link.frames).count('[3,"7"') == 60)

    assert 0.15 < time.monotonic() - began_s < 5


async def test_a_csms_that_sends_long_frames_is_answered_more_slowly() -> None:
    """Seven of 480 KB are 105 ordinary ones: reading them takes a second, and more of the CPU than those."""
    long = '[2,"7","DataTransfer",{"vendorId":"V","data":"' + 480_000 * "x" + '"}]'
    async with Csms() as csms, LocalCharger(csms.url) as charger:
        link = await csms.accepted()
        began_s = time.monotonic()
        for _ in range(7):
            await link.socket.send(long)
        await wait_until_async(lambda: str(link.frames).count('[3,"7"') == 7)

    assert charger.model.is_accepted
    assert 0.7 < time.monotonic() - began_s < 8


@given(waits=st.lists(st.floats(0, 3), min_size=1, max_size=200))
def test_no_pace_exceeds_its_rate(waits: list[float]) -> None:
    """In any time, no more are taken than at once and for each second of it."""
    now_s = 0.0
    taken_at_s: list[float] = []
    pace = Pace(at_once=5, per_s=10, clock=lambda: now_s)
    for wait_s in waits:
        taken_at_s.append(now_s)
        now_s += pace.take() + wait_s
    for first in range(len(taken_at_s)):
        for last in range(first, len(taken_at_s)):
            assert last - first <= 5 + (taken_at_s[last] - taken_at_s[first]) * 10 + 1e-6


# The order of frames

BOOT = '{"status":"Accepted","interval":300,"currentTime":"2030-01-01T12:00:00Z"}'


@VERSIONS
@pytest.mark.parametrize("behind", ["GetConfiguration", "RemoteStart"])
async def test_a_request_right_behind_the_acceptance_finds_an_accepted_charger(
    version: str, behind: str
) -> None:
    """Home Assistant's CSMS writes both in one breath."""
    requests = {
        ("OCPP1.6", "GetConfiguration"): '"GetConfiguration",{}',
        ("OCPP1.6", "RemoteStart"): '"RemoteStartTransaction",{"idTag":"TAG"}',
        ("OCPP2.0.1", "GetConfiguration"): '"GetBaseReport",{"requestId":1,"reportBase":"FullInventory"}',
        ("OCPP2.0.1", "RemoteStart"): '"RequestStartTransaction",{"remoteStartId":1,"idToken":'
        '{"idToken":"TAG","type":"Central"}}',
    }
    async with Csms() as csms, LocalCharger(csms.url, version):
        csms.raw_frames["BootNotification"] = lambda unique_id: [
            f'[3,"{unique_id}",{BOOT}]',
            f'[2,"7",{requests[version, behind]}]',
        ]
        link = await csms.link()

        answer = await _answer_to(link, "7")

    assert answer[0] == 3
    assert answer[2].get("status", "Accepted") == "Accepted"


@pytest.mark.parametrize("version", ["OCPP1.6"])
@pytest.mark.parametrize("behind", ["RemoteStopTransaction", "SetChargingProfile"])
async def test_a_request_about_a_transaction_may_come_right_behind_its_id(talk: Talk, behind: str) -> None:
    profile = (
        '{"chargingProfileId":1,"stackLevel":0,"chargingProfilePurpose":"TxProfile","transactionId":7,'
        '"chargingProfileKind":"Relative","chargingSchedule":{"chargingRateUnit":"W",'
        '"chargingSchedulePeriod":[{"startPeriod":0,"limit":1000}]}}'
    )
    request = {
        "RemoteStopTransaction": '{"transactionId":7}',
        "SetChargingProfile": f'{{"connectorId":1,"csChargingProfiles":{profile}}}',
    }[behind]
    talk.csms.raw_frames["StartTransaction"] = lambda unique_id: [
        f'[3,"{unique_id}",{{"transactionId":7,"idTagInfo":{{"status":"Accepted"}}}}]',
        f'[2,"7","{behind}",{request}]',
    ]

    talk.model.data_transfer.perform("PlugIn", None)
    await talk.perform("PresentToken", '{"idToken": "TAG"}')

    assert (await _answer_to(talk.link, "7"))[2] == {"status": "Accepted"}


async def test_a_request_right_behind_an_authorization_finds_what_it_allowed(talk: Talk) -> None:
    """The connector is claimed by the token: its state says so before the next frame is looked at."""
    info = '"idTagInfo"' if talk.is_16 else '"idTokenInfo"'
    talk.csms.raw_frames["Authorize"] = lambda unique_id: [
        f'[3,"{unique_id}",{{{info}:{{"status":"Accepted"}}}}]',
        '[2,"7","DataTransfer",{"vendorId":"chargehand","messageId":"State","data":"{}"}]',
    ]
    talk.model.data_transfer.perform("PlugIn", None)

    await talk.perform("PresentToken", '{"idToken": "TAG"}')

    state = json.loads((await _answer_to(talk.link, "7"))[2]["data"])
    assert state["transaction"] is not None


@pytest.fixture(params=["OCPP1.6", "OCPP2.0.1"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def _answer_to(link: Link, unique_id: str) -> Any:
    def answers() -> list[Any]:
        frames = [json.loads(frame) for frame in link.frames]
        return [frame for frame in frames if frame[0] in (3, 4) and frame[1] == unique_id]

    await wait_until_async(answers)
    return answers()[0]


def _errors(frames: list[str]) -> list[Any]:
    return [frame for frame in map(json.loads, frames) if frame[0] == 4]
