"""Real chargers on a real link: what is stored for them happens, is seen at their CSMS, and comes back into rows."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any, TypeVar
from urllib.parse import urlsplit

import orjson
import pytest
from sqlalchemy import select

from link.process import Link
from shared.auth.control_tokens import ControlTokens
from shared.database.engine import Sessions
from shared.models import ChargerMemory
from tests.simulator.charger import ChargerProcess
from tests.simulator.talk import start_remotely, transaction_calls
from tests.support.control_link import ControlRows, control_url
from tests.support.csms import Csms, call16
from tests.support.proxy import TcpProxy
from tests.support.waiting import wait_until

T = TypeVar("T")
Start = Callable[..., Any]

#: A charger under test does not wait for real seconds.
QUICK = {
    "vehicle": {"plug_in_after_s": 0, "leave_after_s": "never"},
    "reconnect": {"wait_s": 0.05, "random_s": 0.05, "max_s": 0.3},
}

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])


async def until(read: Callable[[], T]) -> T:
    """As `wait_until`, beside this event loop, in which the CSMS runs."""
    return await asyncio.to_thread(wait_until, read, 15)


@pytest.fixture
async def csms() -> AsyncIterator[Csms]:
    async with Csms() as csms:
        yield csms


@pytest.fixture
async def start(rows: ControlRows, csms: Csms, link: Link, tokens: ControlTokens) -> AsyncIterator[Start]:
    """Starts the process of a charger, whose specification names the CSMS."""
    async with AsyncExitStack() as processes:

        async def start(charger_id: str, version: str = "OCPP1.6", **more: object) -> ChargerProcess:
            security = (
                {"security": {"password": password}} if (password := more.pop("password", None)) else {}
            )
            await asyncio.to_thread(
                rows.specify, charger_id, ws_url=csms.url, ocpp_version=version, settings=QUICK | security
            )
            way = {
                "charger_id": charger_id,
                "control_url": link.url,
                "control_token": tokens.first_token(charger_id),
            }
            return await processes.enter_async_context(ChargerProcess("", version, **way | more))

        yield start


@VERSIONS
async def test_an_action_is_applied_and_its_effect_is_seen_at_the_csms(
    rows: ControlRows, csms: Csms, start: Start, version: str
) -> None:
    charger_id = rows.charger()
    await start(charger_id, version)
    at_csms = await csms.accepted()
    await until(lambda: rows.is_connected(charger_id))

    action_id = rows.action(charger_id, "plug_connector")
    row = await asyncio.to_thread(rows.wait_for, action_id, "applied")

    name, word = WHEN_PLUGGED[version]
    await at_csms.next("StatusNotification", lambda payload: payload[name] == word)
    assert row.result is not None
    assert row.result["plugged"] is True
    await until(lambda: [each["plugged"] for each in rows.report(charger_id).connectors] == [True])
    reported = rows.report(charger_id).csms
    assert reported is not None
    assert reported["state"] == "accepted"


#: The member of a StatusNotification that says that a car is there.
WHEN_PLUGGED = {"OCPP1.6": ("status", "Preparing"), "OCPP2.0.1": ("connector_status", "Occupied")}


async def test_a_connection_that_breaks_loses_no_action_and_repeats_none(
    rows: ControlRows, csms: Csms, start: Start, link: Link, proxy: TcpProxy
) -> None:
    charger_id = rows.charger()
    await start(charger_id, control_url=control_url(proxy.port))
    at_csms = await csms.accepted()

    ids = []
    for _ in range(3):
        await until(lambda: rows.is_connected(charger_id))
        plug, unplug = (rows.action(charger_id, name) for name in ("plug_connector", "unplug_connector"))
        ids += [plug, unplug]
        await asyncio.to_thread(rows.wait_for, plug, "applied")
        proxy.cut()
        proxy.heal()
    for action_id in ids:
        await asyncio.to_thread(rows.wait_for, action_id, "applied", 15)

    statuses = [each["status"] for each in at_csms.all("StatusNotification") if each["connector_id"] == 1]
    assert statuses == ["Available", *["Preparing", "Available"] * 3]
    assert len(csms.links) == 1


@pytest.fixture
def proxy(link: Link) -> Iterator[TcpProxy]:
    """Stands before the link."""
    proxy = TcpProxy(urlsplit(link.url).port or 0)
    yield proxy
    proxy.close()


@VERSIONS
async def test_a_charger_without_a_disk_remembers_its_transaction_over_a_kill(
    rows: ControlRows, csms: Csms, start: Start, sessions: Sessions, version: str
) -> None:
    charger_id = rows.charger()
    first = await start(charger_id, version)
    await start_remotely(await csms.accepted(), version)
    await until(lambda: '"transaction":{' in remembered(sessions))

    first.process.kill()
    await start(charger_id, version)
    again = await csms.accepted(2)

    await until(lambda: transaction_calls(again))
    assert transaction_calls(again)[-1] in ("StopTransaction", "Ended")


async def test_a_password_that_the_csms_has_set_is_remembered_and_stored_encrypted(
    rows: ControlRows, csms: Csms, start: Start, sessions: Sessions
) -> None:
    key = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
    charger_id = rows.charger()
    first = await start(charger_id, password="hunter22")
    at_csms = await csms.accepted()
    await at_csms.call(call16.ChangeConfiguration(key="AuthorizationKey", value=key))
    await csms.link(2)
    await until(lambda: "sealed_secrets" in remembered(sessions))

    first.process.kill()
    await start(charger_id, password="hunter22")
    await csms.link(3)

    shown = [request.headers["Authorization"] for request in csms.requests]
    assert shown[0] != shown[1]
    assert shown[2] == shown[1]
    assert key not in remembered(sessions)
    assert "hunter22" not in remembered(sessions)


def remembered(sessions: Sessions) -> str:
    """All memories as text."""
    with sessions() as session:
        return orjson.dumps(session.scalars(select(ChargerMemory.memory)).all()).decode()
