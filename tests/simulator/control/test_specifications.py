"""What a charger is to be comes over the control link, at its start and while it runs."""

import asyncio
import socket
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.fleet.specification import variables
from simulator.specification import SPECIFIED
from tests.simulator.charger import QUICK
from tests.simulator.control.controlled import ControlledCharger
from tests.simulator.control.scripted_link import CHARGER, ControlSession, ScriptedLink
from tests.simulator.talk import start_remotely, transaction_calls
from tests.simulator.tls import certify, server_tls
from tests.support.csms import Csms
from tests.support.waiting import wait_until_async

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])


def spec(revision: int, ws_url: str, **settings: object) -> dict[str, Any]:
    return {
        "revision": revision,
        "environment": {
            "CHARGER_IDENTITY": "CP-1",
            "CHARGER_WS_URL": ws_url,
            **{name: value for name, value in QUICK.items() if "RETRY" in name},
            **{
                f"CHARGER_{name.upper().removeprefix('CHARGER_')}": str(value)
                for name, value in settings.items()
            },
        },
    }


@asynccontextmanager
async def specified(
    csms: Csms, **settings: object
) -> AsyncIterator[tuple[ControlledCharger, ControlSession]]:
    """A charger that knows nothing but the link, and got this specification there; accepted by its CSMS."""
    async with ScriptedLink() as link:
        link.spec = spec(1, csms.url, **settings)
        async with ControlledCharger(link, "") as charger:
            session = await link.session()
            await csms.accepted()
            await wait_until_async(lambda: charger.model.is_accepted)
            yield charger, session


async def give(session: ControlSession, specification: dict[str, Any]) -> None:
    await session.send("specs", specs=[{"charger": CHARGER, "spec": specification}])


def password_at(csms: Csms) -> str | None:
    """That the last handshake showed."""
    return csms.requests[-1].headers.get("Authorization")


def basic(password: bytes) -> str:
    return f"Basic {b64encode(b'CP-1:' + password).decode()}"


def test_the_charger_knows_every_variable_that_a_specification_may_have() -> None:
    """One that it does not know as such would stay from the process's environment after it was removed."""
    named = {
        *variables.PLAIN.values(),
        *variables.DOCUMENTS.values(),
        *variables.SECRETS.values(),
        *(name for members in variables.MEMBERS.values() for name in members.values()),
    }

    assert named < SPECIFIED
    assert len(SPECIFIED) == len(named) + 11  # those of the charger's row, and CHARGER_CONNECTOR_TYPES


async def test_a_charger_calls_no_csms_before_it_has_its_specification() -> None:
    async with Csms() as csms, ScriptedLink() as link, ControlledCharger(link, "") as charger:
        session = await link.session()
        await wait_until_async(
            lambda: any("waits for that of the control link" in each for each in charger.remarks())
        )
        assert csms.requests == []

        await give(session, spec(3, csms.url))

        await csms.accepted()
        await session.reported(lambda state: state.get("spec") == {"revision": 3, "error": None})


async def test_a_charger_that_has_waited_long_for_its_specification_gets_its_memory_with_it() -> None:
    async with Csms() as csms, ScriptedLink() as link:
        link.spec = spec(1, csms.url)
        async with ControlledCharger(link, "") as charger:
            await csms.accepted()
            session = await link.session()
            await session.act(1, "plug_connector")
            await session.result(1)
        link.memory = session.all("memories")[-1]["memory"]
        link.refusal = 503

        async with ControlledCharger(link, "") as charger:
            await wait_until_async(
                lambda: any("waits for that of the control link" in each for each in charger.remarks())
            )
            link.refusal = None
            await csms.accepted(2)

            assert charger.model.station.connectors[0].plugged


async def test_a_charger_whose_link_is_away_runs_on_what_it_remembers(tmp_path: Path) -> None:
    state_file = str(tmp_path / "state")
    async with Csms() as csms, ScriptedLink() as link:
        link.spec = spec(7, csms.url, password="geheim-1")
        async with ControlledCharger(link, "", state_file=state_file):
            await csms.accepted()
        link.refusal = 503

        async with ControlledCharger(link, "", state_file=state_file):
            await csms.accepted(2)
            link.refusal = link.spec = None
            session = await link.session(2)

    assert password_at(csms) == basic(b"geheim-1")
    assert session.hello["chargers"][0]["spec"] == 7
    assert [path.stat().st_mode & 0o077 for path in tmp_path.iterdir()] == [0, 0]


async def test_a_new_url_and_password_reach_the_new_csms_at_once_and_the_transaction_goes_on() -> None:
    """Without the wait before a reconnect, and without a reboot of the process."""
    waits = {"retry_wait_s": 30, "retry_max_s": 60, "retry_random_s": 0, "ev_plug_in_s": 0}
    async with (
        Csms() as old,
        Csms() as new,
        specified(old, password="geheim-1", **waits) as (charger, session),
    ):
        await start_remotely(old.links[0], "OCPP1.6")
        await wait_until_async(lambda: "StartTransaction" in transaction_calls(old.links[0]))
        began_s = time.monotonic()

        await give(session, spec(2, new.url, password="geheim-2", **waits))

        await new.accepted()
        assert time.monotonic() - began_s < 2
        assert password_at(new) == basic(b"geheim-2")
        assert "StopTransaction" not in transaction_calls(old.links[0])
        assert charger.model.station.is_busy
        await charger.connection("disconnected", "new_settings")
        await session.reported(lambda state: state.get("spec") == {"revision": 2, "error": None})


async def test_a_new_password_is_used_at_once_also_while_the_charger_waits_to_reconnect() -> None:
    async with (
        Csms(
            admit=lambda request: (
                None if request.headers.get("Authorization") == basic(b"right") else (401, "")
            )
        ) as csms,
        ScriptedLink() as link,
    ):
        slow = {"retry_wait_s": 30, "retry_max_s": 60, "retry_random_s": 0}
        link.spec = spec(1, csms.url, password="wrong", **slow)
        async with ControlledCharger(link, "") as charger:
            session = await link.session()
            await charger.connection("disconnected", "http_401")

            await give(session, spec(2, csms.url, password="right", **slow))

            async with asyncio.timeout(5):
                await csms.accepted()


async def test_a_new_url_ends_an_attempt_that_nobody_answers() -> None:
    """A silent host would hold the charger for the ten seconds of its time-out."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with Csms() as csms, ScriptedLink() as link:
            link.spec = spec(1, f"ws://127.0.0.1:{silent.getsockname()[1]}/ocpp")
            async with ControlledCharger(link, "") as charger:
                session = await link.session()
                await wait_until_async(lambda: "connecting" in charger.states())

                await give(session, spec(2, csms.url))

                async with asyncio.timeout(5):
                    await csms.accepted()


async def test_the_certificates_of_a_specification_are_the_ones_that_count(tmp_path: Path) -> None:
    pair = certify()
    async with Csms(tls=server_tls(pair, tmp_path)) as csms, ScriptedLink() as link:
        link.spec = spec(1, csms.url)
        async with ControlledCharger(link, "") as charger:
            session = await link.session()
            await charger.connection("disconnected", "tls_failure")

            await give(session, spec(2, csms.url, ca_certificates=pair[0].decode()))

            async with asyncio.timeout(5):
                await csms.accepted()


async def test_an_authorization_key_is_sent_as_its_bytes() -> None:
    async with Csms() as csms, specified(csms, authorization_key="AB" * 16):
        pass

    assert password_at(csms) == basic(b"\xab" * 16)


async def test_what_the_csms_set_gives_way_to_a_newer_specification() -> None:
    async with (
        Csms() as csms,
        specified(csms, configuration='{"MeterValueSampleInterval": 60}') as (charger, session),
    ):
        options = charger.model.options
        options.set("sample_s", 10)
        options.set("ping_s", 20)

        await give(session, spec(2, csms.url, configuration='{"MeterValueSampleInterval": 30}'))

        await session.reported(lambda state: state.get("spec") == {"revision": 2, "error": None})
        assert options.number("sample_s") == 30
        assert options.number("ping_s") == 20  # nobody changed that
        assert len(csms.links) == 1


@pytest.mark.parametrize(
    ("number", "password", "used"), [(1, "older", b"of-the-csms-0123456789"), (2, "newer", b"newer")]
)
async def test_a_password_that_a_csms_set_lasts_until_a_newer_one_is_given(
    tmp_path: Path, number: int, password: str, used: bytes
) -> None:
    """Also one that was given while the charger was off."""
    state_file = str(tmp_path / "state")
    async with Csms() as csms, ScriptedLink() as link:
        link.spec = spec(1, csms.url, password="older", password_number=1)
        async with ControlledCharger(link, "", state_file=state_file) as charger:
            await csms.accepted()
            charger.model.options.set("password", "of-the-csms-0123456789")
            charger.model.keep_state()
        link.spec = spec(2, csms.url, password=password, password_number=number)

        async with ControlledCharger(link, "", state_file=state_file):
            await csms.link(2)

    assert password_at(csms) == basic(used)


async def test_a_specification_that_cannot_be_followed_changes_nothing_and_is_reported() -> None:
    async with Csms() as csms, specified(csms) as (charger, session):
        await give(session, spec(2, "ws://elsewhere.test", configuration='{"NoSuchKey": 1}'))

        state = await session.reported(lambda state: (state.get("spec") or {}).get("error"))
        assert "NoSuchKey" in state["spec"]["error"]
        assert charger.model.settings.ws_url == csms.url
        assert len(csms.links) == 1


@VERSIONS
async def test_other_hardware_boots_the_charger_and_not_its_process(version: str) -> None:
    begin = {"ocpp_version": version, "ev_plug_in_s": 0}
    async with Csms() as csms, specified(csms, **begin) as (charger, session):
        await start_remotely(csms.links[0], version)
        await wait_until_async(lambda: charger.model.station.is_busy)

        await give(
            session, spec(2, csms.url, connectors=3, serial_number="SN-7", iccid="8931", imsi="2040", **begin)
        )

        second = await csms.accepted(2)
        boot = await second.next("BootNotification")
        assert len(charger.model.station.connectors) == 3
        assert transaction_calls(csms.links[0])[-1] in ("StopTransaction", "Ended")
        await session.reported(lambda state: len(state.get("connectors") or []) == 3)
    station = boot if version == "OCPP1.6" else boot["charging_station"] | boot["charging_station"]["modem"]
    assert "SN-7" in station.values()
    assert (station["iccid"], station["imsi"]) == ("8931", "2040")


async def test_the_last_of_many_specifications_counts() -> None:
    async with Csms() as csms, specified(csms) as (charger, session):
        for number in range(2, 12):
            await give(session, spec(number, csms.url, connectors=number))

        await session.reported(lambda state: len(state.get("connectors") or []) == 11)
        await wait_until_async(lambda: charger.model.is_accepted)


async def test_cars_and_automatic_sessions_change_with_the_next_car() -> None:
    async with Csms() as csms, specified(csms) as (charger, session):
        await give(
            session,
            spec(
                2,
                csms.url,
                ev_battery_wh=1_000,
                ev_energy_wh=500,
                **{"CHARGER_VISITOR_EVERY_S": 0.1, "CHARGER_VISITOR_ID_TAG": "EVERYBODY"},
            ),
        )

        await csms.links[0].next("StartTransaction", lambda call: call["id_tag"] == "EVERYBODY")
        ev = charger.model.station.connectors[0].ev
        assert ev is not None
        assert ev.battery_wh == 1_000
        assert len(csms.links) == 1


async def test_no_secret_of_a_specification_is_logged() -> None:
    async with Csms() as csms, specified(csms, password="geheim-1") as (charger, session):
        await give(session, spec(2, csms.url, password="geheim-2"))
        await csms.link(2)
        await give(session, spec(3, csms.url, authorization_key="ABCDEF" * 6))
        await csms.link(3)

    text = "".join(charger.lines)
    assert "geheim" not in text
    assert "ABCDEF" * 6 not in text.upper()


async def test_a_new_scenario_takes_the_place_of_the_one_that_runs() -> None:
    async with Csms() as csms, specified(csms, scenario='[{"wait_s": 1000}]') as (_, session):
        await give(session, spec(2, csms.url, scenario='[{"do": "plug_connector"}]'))
        await session.reported(lambda state: any(each["plugged"] for each in state.get("connectors") or []))

        await give(session, spec(3, csms.url, scenario='[{"do": "no_such_action"}]'))

        state = await session.reported(lambda state: (state.get("spec") or {}).get("error"))
        assert "no_such_action" in state["spec"]["error"]
