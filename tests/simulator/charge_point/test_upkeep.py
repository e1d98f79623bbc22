"""What a connection does when the CSMS changes the password or the ping interval, and how it ends."""

import asyncio
import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from websockets.frames import Opcode
from websockets.http11 import Request

from simulator.lifecycle import switch_off
from simulator.link import session, websocket
from simulator.settings import BadSettings
from tests.simulator.charger import LocalCharger
from tests.simulator.talk import Talk
from tests.support.csms import Csms, Link
from tests.support.waiting import wait_until_async

KEY = "4F43415F4F4354545f61646d696e5f7465737421"
NEW = {
    "OCPP1.6": (KEY, bytes.fromhex(KEY)),
    "OCPP2.0.1": ("N3w:pässword-of-16", "N3w:pässword-of-16".encode()),
}


@pytest.fixture(params=["OCPP1.6", "OCPP2.0.1"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def set_password(talk: Talk, password: str) -> str:
    return await set_option(talk, "AuthorizationKey", "SecurityCtrlr.BasicAuthPassword", password)


async def set_option(talk: Talk, key: str, path: str, value: str) -> str:
    if talk.is_16:
        return str((await talk.call("ChangeConfiguration", key=key, value=value)).status)
    component, _, name = path.partition(".")
    data = {"attribute_value": value, "component": {"name": component}, "variable": {"name": name}}
    answer = await talk.call("SetVariables", set_variable_data=[data])
    return str(answer.set_variable_result[0]["attribute_status"])


def password_of(request: Request) -> bytes:
    return b64decode(request.headers["Authorization"].removeprefix("Basic ")).removeprefix(b"CP-1:")


# The password


@pytest.mark.charger(password="OLD-passw0rd", retry_wait_s=60, retry_max_s=90, call_timeout_s=2)
async def test_a_charger_comes_back_at_once_with_a_new_password(talk: Talk, version: str) -> None:
    """The security whitepaper of 1.6, A01 (TC_073_CS; the key's bytes are sent: TC_085_CS); OCPP 2.0.1, A01."""
    await talk.start()
    text, sent = NEW[version]

    assert await set_password(talk, text) == "Accepted"

    await talk.charger.connection("disconnected", "new_password")
    second = await talk.csms.link(2)
    await talk.charger.connection("accepted", "still_accepted")
    assert [password_of(request) for request in talk.csms.requests] == [b"OLD-passw0rd", sent]
    assert talk.link.socket.close_code == 1001
    assert talk.connector.transaction is not None
    assert second.all("BootNotification") == []
    printed = json.dumps(talk.charger.events, ensure_ascii=False)
    assert not any(
        secret in printed for secret in (text, KEY.lower(), "OCA_OCTT", "OLD-passw0rd", "pässword")
    )


@pytest.mark.parametrize(
    "password", ["", "4F43415F", KEY + "FF", "Z" * 50, "with a space in it", "a" * 15 + "\n"]
)
async def test_a_password_of_a_wrong_form_is_rejected_and_not_printed(talk: Talk, password: str) -> None:
    """Hexadecimal for 16 to 20 bytes in 1.6, 16 to 40 characters in 2.0.1."""
    assert await set_password(talk, password) == "Rejected"

    await asyncio.sleep(0)
    assert talk.charger.states().count("connecting") == 1
    assert not password.strip() or password not in json.dumps(talk.charger.events)


async def test_a_new_password_that_the_csms_refuses_is_tried_again(version: str) -> None:
    """A01 knows no way back to the old one, and libocpp has none."""
    passwords: list[bytes] = []

    def admit(request: Request) -> tuple[int, str] | None:
        passwords.append(password_of(request))
        return (401, "") if len(passwords) in (2, 3) else None

    async with Csms(admit=admit) as csms, LocalCharger(csms.url, version, password="OLD-passw0rd") as charger:
        link = await csms.accepted()

        await set_password(Talk(csms, charger, link), NEW[version][0])

        await csms.link(2)
    assert passwords == [b"OLD-passw0rd", *3 * [NEW[version][1]]]


async def test_a_password_survives_a_restart_and_is_printed_neither_before_nor_after(
    version: str, tmp_path: Path
) -> None:
    environ = {"state_file": tmp_path / "state.json", "password": "OLD-passw0rd"}
    text, sent = NEW[version]
    async with Csms() as csms:
        async with LocalCharger(csms.url, version, **environ) as charger:
            await set_password(Talk(csms, charger, await csms.accepted()), text)
            await csms.link(2)
        async with LocalCharger(csms.url, version, **environ) as again:
            await csms.link(3)
            again.model.log.remark("info", f"{text} {sent!r}")
    assert password_of(csms.requests[-1]) == sent
    assert text not in json.dumps(again.events, ensure_ascii=False)


@pytest.mark.parametrize(
    ("key", "shown"), [("AuthorizationKey", "AuthorizationKey=***"), ("AuthorisationKey", "AuthorisationKey")]
)
def test_a_configured_password_that_is_not_valid_is_not_printed(key: str, shown: str) -> None:
    """Also under a wrong name."""
    configuration = json.dumps({key: "sh0rt-S3CRET"})

    with pytest.raises(BadSettings, match=rf"{re.escape(shown)} is not a setting"):
        LocalCharger("ws://127.0.0.1:9", configuration=configuration)


# Pings


async def test_a_changed_ping_interval_counts_for_the_open_connection(talk: Talk) -> None:
    pings = pings_on(talk.link)
    assert (
        await set_option(talk, "WebSocketPingInterval", "OCPPCommCtrlr.WebSocketPingInterval", "1")
        == "Accepted"
    )
    await wait_until_async(lambda: pings)

    await set_option(talk, "WebSocketPingInterval", "OCPPCommCtrlr.WebSocketPingInterval", "0")

    assert talk.charger.states().count("connecting") == 1


async def test_a_csms_that_does_not_answer_a_ping_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "PING_TIMEOUT_S", 0.1)
    monkeypatch.setattr(websocket, "CLOSE_TIMEOUT_S", 0.1)
    pings = json.dumps({"WebSocketPingInterval": 1})
    async with Csms() as csms, LocalCharger(csms.url, configuration=pings) as charger:
        link = await csms.accepted()

        link.socket.transport.pause_reading()

        event = await charger.connection("disconnected", "connection_lost")
    assert "did not answer a ping" in event["detail"]


def pings_on(link: Link) -> list[Any]:
    pings: list[Any] = []
    process = link.socket.process_event

    def record(event: Any) -> None:
        if event.opcode is Opcode.PING:
            pings.append(event)
        process(event)

    link.socket.process_event = record  # type: ignore[method-assign]
    return pings


# The end of a connection


@pytest.mark.parametrize("ending", ["soft reset", "hard reset", "password", "stop"])
async def test_what_is_on_its_way_is_answered_before_the_charger_closes(talk: Talk, ending: str) -> None:
    """A CSMS that takes 0.1 s to answer: CitrineOS keeps a call open that is cut off, and refuses the next boot."""

    async def answer_late(_: object) -> dict[str, Any]:
        await asyncio.sleep(0.1)
        return {}

    await talk.start()
    talk.csms.answers["StatusNotification"] = answer_late
    talk.csms.answers["StopTransaction" if talk.is_16 else "TransactionEvent"] = answer_late
    talk.model.statuses.send(1)

    if ending == "password":
        await set_password(talk, NEW[talk.model.version.name][0])
    elif ending == "stop":
        await switch_off(talk.model, asyncio.create_task(asyncio.sleep(60)))
    elif talk.is_16:
        await talk.call("Reset", type="Soft" if ending == "soft reset" else "Hard")
    else:
        await talk.call("Reset", type="OnIdle" if ending == "soft reset" else "Immediate")
        if ending == "soft reset":
            await talk.request_stop()
    if ending != "stop":
        await talk.link.socket.wait_closed()

    assert unanswered(talk.charger, talk.link) == []


def unanswered(charger: LocalCharger, link: Link) -> list[str]:
    """The charger's calls over this link that have no answer in its log."""
    frames = [json.loads(event["message"]) for event in charger.events if event["type"] == "frame"]
    answered = {frame[1] for frame in frames if frame[0] in (3, 4)}
    calls = [frame for frame in map(json.loads, link.frames) if frame[0] == 2]
    return [call[2] for call in calls if call[1] not in answered]


@pytest.mark.charger(reboot_s=0)
async def test_nothing_starts_at_a_charger_that_boots_once_more_before_it_ends(talk: Talk) -> None:
    """SIGTERM shortly after a Reset: a transaction that begins then would never end for the CSMS."""
    await talk.call("Reset", type="Hard" if talk.is_16 else "Immediate")
    talk.model.end_for_good()

    await talk.csms.link(2)

    assert not any(connector.is_usable for connector in talk.model.station.connectors)
