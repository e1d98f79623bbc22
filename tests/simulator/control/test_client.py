"""The charger's end of the control link: it says hello, and comes back whatever happens to the link."""

import re
import time
from pathlib import Path

import pytest

from embedded.ports import free_port
from simulator.control.connection import LATER, SELDOM, SOON, Away, open_control
from simulator.control.settings import ControlSettings, read_control_settings
from simulator.settings import BadSettings
from tests.simulator.charger import ChargerProcess
from tests.simulator.control.controlled import HASTE, ControlledCharger, controlled
from tests.simulator.control.scripted_link import CHARGER, FIRST_TOKEN, SESSION_TOKEN, ScriptedLink
from tests.simulator.tls import certify, server_tls
from tests.support.csms import Csms
from tests.support.waiting import wait_until_async


async def test_a_charger_says_who_it_is() -> None:
    async with controlled() as (_, session, link):
        hello = session.hello

    assert link.attempts == [FIRST_TOKEN]
    assert (hello["type"], hello["process"], hello["version"]) == ("hello", CHARGER, "0.1.0")
    (charger,) = hello["chargers"]
    assert charger.pop("boot")
    assert charger == {"charger": CHARGER, "spec": None, "has_memory": False}


async def test_a_new_process_is_another_boot() -> None:
    async with controlled() as (_, one, _), controlled() as (_, other, _):
        assert one.hello["boot"] != other.hello["boot"]
        assert one.hello["chargers"][0]["boot"] != other.hello["chargers"][0]["boot"]


async def test_a_broken_session_comes_back_as_the_same_boot_with_the_session_token() -> None:
    async with controlled() as (_, first, link):
        first.socket.transport.abort()

        second = await link.session(2)

    assert second.hello["boot"] == first.hello["boot"]
    assert second.token == SESSION_TOKEN
    assert second.hello["chargers"][0]["has_memory"] is True


async def test_a_renewed_token_is_used_for_the_next_session() -> None:
    async with controlled() as (_, first, link):
        await first.send("token", token="renewed", expires_in_s=3600)
        await first.act(1, "get_ev_state")
        await first.result(1)
        await first.socket.close(1012, "restart")

        assert (await link.session(2)).token == "renewed"


async def test_a_session_token_that_is_refused_is_replaced_by_the_first_token() -> None:
    async with controlled() as (_, first, link):
        link.bad_tokens.add(SESSION_TOKEN)
        first.socket.transport.abort()

        second = await link.session(2)

    assert second.token == FIRST_TOKEN


async def test_a_charger_talks_to_its_csms_while_the_link_is_away() -> None:
    async with Csms() as csms, ScriptedLink() as link:
        async with ControlledCharger(link, csms.url) as charger:
            session = await link.session()
            await csms.accepted()
            link.refusal = 503
            session.socket.transport.abort()
            await wait_until_async(lambda: link.attempts.count(SESSION_TOKEN) > 2)

            assert len(csms.links) == 1
            assert charger.model.is_accepted
        assert [each for each in charger.remarks() if "HTTP 503" in each] == [
            "the control link is away: it answered with HTTP 503"
        ]


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("127.0.0.1", "nothing listens on 127.0.0.1:{port}"),
        ("link.invalid", "the name link.invalid cannot be resolved: "),
    ],
)
async def test_why_the_link_cannot_be_reached_is_a_sentence(host: str, why: str) -> None:
    port = free_port()
    with pytest.raises(Away, match=re.escape(why.format(port=port))) as away:
        await open_control(
            ControlSettings(process_id="dep-1", url=f"ws://{host}:{port}/control", token="token"), "token"
        )

    assert "Errno" not in str(away.value)


@pytest.mark.parametrize(
    ("code", "waits"), [(0, SOON), (1012, SOON), (503, LATER), (4009, LATER), (4003, SELDOM), (401, SELDOM)]
)
def test_a_refusal_makes_a_charger_wait_longer_than_a_restart_of_the_link(code: int, waits: object) -> None:
    assert Away("", code).waits is waits


async def test_a_hello_that_is_refused_is_said_again_later() -> None:
    async with Csms() as csms, ScriptedLink() as link:
        link.close_code = 4009
        async with ControlledCharger(link, csms.url) as charger:
            await wait_until_async(lambda: any("4009" in remark for remark in charger.remarks()))
            link.close_code = None

            await link.session()


async def test_a_link_that_ends_each_session_at_once_is_called_less_and_less_often() -> None:
    async with Csms() as csms, ScriptedLink() as link:
        link.ends_sessions = True
        began_s = time.monotonic()
        async with ControlledCharger(link, csms.url):
            await link.session(6)

    growing_s = sum(SOON.retry_wait_s * 2**number for number in range(5)) / HASTE
    assert time.monotonic() - began_s > growing_s


async def test_a_frame_that_cannot_be_used_is_ignored() -> None:
    async with controlled() as (charger, session, _):
        for text in ("{", "[]", '{"type": 1}', '{"type": "news"}', '{"type": "actions", "actions": [1]}'):
            await session.socket.send(text)
        await session.send(
            "actions", actions=[{"charger": CHARGER}, {"charger": [], "id": {}, "name": 1, "event": 2}]
        )
        await session.send("specs", specs=[{"charger": CHARGER, "spec": None}])
        await session.act(1, "get_ev_state")

        assert (await session.result(1))["status"] == "applied"
        assert charger.model.is_accepted


async def test_the_link_is_trusted_by_its_own_certificate(tmp_path: Path) -> None:
    pair = certify()
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(pair[0])
    async with Csms() as csms, ScriptedLink(tls=server_tls(pair, tmp_path)) as link:
        async with ControlledCharger(link, csms.url) as distrustful:
            await wait_until_async(lambda: any("certificate" in each for each in distrustful.remarks()))
            assert link.sessions == []
        async with ControlledCharger(link, csms.url, control_ca_file=ca_file):
            await link.session()


async def test_no_token_is_ever_printed() -> None:
    async with controlled() as (charger, session, _):
        charger.process._log.remark("warning", f"a library says {FIRST_TOKEN}")
        await session.socket.send(FIRST_TOKEN)

    assert charger.lines
    assert not any(token in line for token in (FIRST_TOKEN, SESSION_TOKEN) for line in charger.lines)
    control = read_control_settings(charger.environ)
    assert control is not None
    assert FIRST_TOKEN not in repr(control)


@pytest.mark.parametrize("link_is", ["there", "away", "frozen"])
async def test_a_charger_ends_in_time_whatever_the_link_does(link_is: str) -> None:
    async with Csms() as csms, ScriptedLink() as link:
        if link_is == "away":
            link.refusal = 503
        async with ChargerProcess(csms.url, "OCPP1.6", **link.environment) as charger:
            await wait_until_async(lambda: link.attempts)
            if link_is != "away":
                session = await link.session()
                await csms.accepted()
            if link_is == "frozen":
                session.socket.transport.pause_reading()

            charger.terminate()

            assert await charger.exit_code(within_s=5) == 0
            if link_is == "frozen":
                session.socket.transport.abort()
        assert charger.errors == b""


@pytest.mark.parametrize(
    ("missing", "complaint"),
    [("CHARGER_ID", "CHARGER_ID is missing"), ("CHARGER_CONTROL_TOKEN", "CHARGER_CONTROL_TOKEN is missing")],
)
def test_the_way_to_the_link_is_complete_or_absent(missing: str, complaint: str) -> None:
    environ = {
        "CHARGER_ID": "dep-1",
        "CHARGER_CONTROL_URL": "ws://link:8100",
        "CHARGER_CONTROL_TOKEN": "t",
    }

    whole = read_control_settings(environ)

    assert whole is not None
    assert whole.url == "ws://link:8100/control"
    assert read_control_settings({}) is None
    del environ[missing]
    with pytest.raises(BadSettings, match=complaint):
        read_control_settings(environ)
