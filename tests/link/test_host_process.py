"""A real host on a real link: its chargers start, act, start again and remember over the death of the host."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from link.process import Link
from shared.auth.control_tokens import ControlTokens
from tests.simulator.talk import start_remotely, transaction_calls
from tests.support.control_hosts import HostRows
from tests.support.control_link import ControlRows
from tests.support.csms import Csms
from tests.support.waiting import wait_until

T = TypeVar("T")

QUICK = {
    "vehicle": {"plug_in_after_s": 0, "leave_after_s": "never"},
    "reconnect": {"wait_s": 0.05, "random_s": 0.05, "max_s": 0.3},
}


async def until(read: Callable[[], T]) -> T:
    """As `wait_until`, beside this event loop, in which the CSMS runs."""
    return await asyncio.to_thread(wait_until, read, 30)


@asynccontextmanager
async def running_host(host_id: str, link: Link, tokens: ControlTokens) -> AsyncIterator[Process]:
    environ = {
        "HOST_ID": host_id,
        "CHARGER_CONTROL_URL": link.url,
        "CHARGER_CONTROL_TOKEN": tokens.first_token(host_id),
    }
    host = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator.host"), stdout=DEVNULL, env=os.environ | environ
    )
    try:
        yield host
    finally:
        if host.returncode is None:
            host.terminate()
        await host.wait()


async def test_chargers_of_a_host_start_act_and_stop_by_rows(
    rows: ControlRows, link: Link, tokens: ControlTokens
) -> None:
    hosts = HostRows(rows.sessions)
    host_id = hosts.host()
    async with Csms() as csms, running_host(host_id, link, tokens):
        chargers = [rows.charger(f"CP-{number}") for number in range(20)]
        for each in chargers:
            rows.specify(each, ws_url=csms.url, settings=QUICK)
        hosts.place(host_id, *chargers)
        await until(lambda: hosts.running(host_id) == 20)
        first = hosts.placed(chargers[0]).boot_id
        await until(lambda: rows.is_connected(chargers[0]))
        action_id = rows.action(chargers[0], "plug_connector")
        await asyncio.to_thread(rows.wait_for, action_id, "applied")

        hosts.decide(chargers[0], 2, restart_generation=2)
        hosts.decide(chargers[1], 2, desired_count=0)
        await asyncio.to_thread(lambda: hosts.wait_for(chargers[0], 2, running=True))
        await asyncio.to_thread(lambda: hosts.wait_for(chargers[1], 2, running=False))
        await until(lambda: hosts.read(host_id).max_chargers)
        await csms.link(21)

    assert hosts.placed(chargers[0]).boot_id != first
    assert {each.identity for each in csms.links} == {f"CP-{number}" for number in range(20)}


async def test_a_transaction_that_the_death_of_a_host_ended_is_reported_by_the_next_one(
    rows: ControlRows, link: Link, tokens: ControlTokens
) -> None:
    hosts = HostRows(rows.sessions)
    host_id, charger_id = hosts.host(), rows.charger("CP-1")
    async with Csms() as csms:
        rows.specify(charger_id, ws_url=csms.url, settings=QUICK)
        hosts.place(host_id, charger_id)
        async with running_host(host_id, link, tokens) as host:
            await start_remotely(await csms.accepted(), "OCPP1.6")
            await until(lambda: has_transaction(rows.memory(charger_id)))
            host.kill()
        async with running_host(host_id, link, tokens):
            again = await csms.accepted(2)
            await until(lambda: transaction_calls(again))

    assert transaction_calls(again)[-1] == "StopTransaction"


def has_transaction(memory: dict[str, Any] | None) -> bool:
    return memory is not None and any(each["transaction"] for each in memory["connectors"])
