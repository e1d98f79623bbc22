"""The charger as the process that an ECS task runs, and its loop of connections."""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import pairwise

import pytest
from websockets.exceptions import ConnectionClosed

from simulator import lifecycle
from simulator.charge_point.charge_point import ChargePoint
from simulator.lifecycle import Terms, build_charge_point, live
from simulator.link.websocket import LinkError
from simulator.log import EventLog
from simulator.settings import Settings
from tests.simulator.charger import ChargerProcess, Event, LocalCharger, environment
from tests.simulator.virtual_time import VirtualTimeLoop
from tests.support.csms import NOW, Csms, boot_answers
from tests.support.waiting import wait_until_async

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])

#: Limit of the start, the connection and the boot of a process while other tests run beside it.
START_S = 10.0


@VERSIONS
async def test_a_charger_boots_reports_its_connectors_and_beats(version: str) -> None:
    async with Csms() as csms:
        csms.answers["BootNotification"] = {"current_time": NOW, "interval": 1, "status": "Accepted"}

        async with ChargerProcess(csms.url, version, connectors=2) as charger:
            link = await csms.link(within_s=START_S)
            await link.next("Heartbeat")

        assert link.identity == "CP-1"
        assert link.calls[0].action == "BootNotification"
        statuses = link.all("StatusNotification")
        if version == "OCPP1.6":
            assert [status["connector_id"] for status in statuses] == [0, 1, 2]
        else:
            assert [status["evse_id"] for status in statuses] == [1, 2]
        assert charger.states()[:3] == ["connecting", "connected", "accepted"]


@VERSIONS
async def test_each_line_of_output_is_an_event_in_the_agreed_form(version: str) -> None:
    async with Csms() as csms, ChargerProcess(csms.url, version) as charger:
        link = await csms.accepted()
        await charger.event(lambda event: event.get("action") == "StatusNotification", within_s=START_S)
        charger.terminate()
        await charger.exit_code()

    assert charger.errors == b""
    for event in charger.events:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.pop("timestamp"))
        keys = {
            "frame": {"type", "direction", "action", "message"},
            "connection": {"type", "state", "reason", "detail"},
        }[event["type"]]
        assert event.keys() == keys
    sent = [e["message"] for e in charger.events if e.get("direction") == "cp_to_csms"]
    assert sent == link.frames
    boot, answer = charger.frames("BootNotification")
    assert (boot["direction"], answer["direction"]) == ("cp_to_csms", "csms_to_cp")
    assert json.loads(boot["message"])[1] == json.loads(answer["message"])[1]


@VERSIONS
async def test_a_terminated_charger_closes_its_connection_and_ends_with_code_zero(version: str) -> None:
    async with Csms() as csms, ChargerProcess(csms.url, version) as charger:
        link = await csms.accepted()

        charger.terminate()

        assert await charger.exit_code(within_s=5.0) == 0
        await link.socket.wait_closed()
        assert link.socket.close_code == 1001
        assert (charger.events[-1]["state"], charger.events[-1]["reason"]) == ("disconnected", "stopped")


async def test_a_second_signal_does_not_change_how_a_charger_ends() -> None:
    """A terminal and a supervisor may both send one, and the second may come at any time."""
    async with Csms() as csms, ChargerProcess(csms.url) as charger:
        await csms.accepted()
        assert charger.process is not None
        with suppress(ProcessLookupError):  # once it has ended
            while charger.process.returncode is None:
                # Not by `send_signal`: it may take the exit code from asyncio.
                os.kill(charger.process.pid, signal.SIGTERM)
                os.kill(charger.process.pid, signal.SIGINT)
                await asyncio.sleep(0.001)
        assert await charger.exit_code() == 0


async def test_a_charger_that_cannot_connect_can_be_terminated() -> None:
    async with ChargerProcess("ws://127.0.0.1:9/") as charger:
        await charger.connection("disconnected", "connection_refused", within_s=START_S)

        charger.terminate()

        assert await charger.exit_code(within_s=5.0) == 0


async def test_a_charger_is_terminated_in_time_though_its_csms_does_not_close() -> None:
    async with Csms() as csms, ChargerProcess(csms.url) as charger:
        link = await csms.accepted()
        link.socket.transport.pause_reading()

        charger.terminate()

        assert await charger.exit_code(within_s=5.0) == 0


@VERSIONS
async def test_a_charger_reconnects_to_a_csms_that_was_killed(version: str) -> None:
    async with Csms() as csms, ChargerProcess(csms.url, version) as charger:
        await csms.accepted()
        csms.kill()
        await charger.connection("disconnected", "connection_lost")
        await charger.connection("disconnected", "connection_refused")

        async with Csms(port=csms.port) as again:
            link = await again.link()
            await charger.connection("accepted", "still_accepted")

        # No BootNotification without a boot (OCPP 1.6 part 2, 4.2; OCPP 2.0.1, B01).
        assert link.all("BootNotification") == []


async def test_a_charger_boots_on_every_connection_where_that_is_configured() -> None:
    async with Csms() as csms, ChargerProcess(csms.url, boot_on_reconnect="true"):
        first = await csms.accepted()
        await first.socket.close()

        second = await csms.accepted(2)

    assert second.calls[0].action == "BootNotification"


async def test_a_charger_exits_when_its_output_is_closed() -> None:
    async with Csms() as csms:
        environ = {**os.environ, **environment(csms.url, "OCPP1.6")}
        reader, writer = os.pipe()
        charger = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "simulator", stdout=writer, stderr=subprocess.PIPE, env=environ
        )
        os.close(writer)
        link = await csms.accepted()

        os.close(reader)
        with suppress(ConnectionClosed):
            await link.socket.send('[2,"1","ClearCache",{}]')

        async with asyncio.timeout(5):
            _, errors = await charger.communicate()
        assert charger.returncode == 0
        assert errors == b""


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"CHARGER_IDENTITY": ""}, "CHARGER_IDENTITY is missing"),
        ({"CHARGER_WS_URL": "http://localhost"}, "CHARGER_WS_URL must be ws://HOST"),
        ({"CHARGER_OCPP_VERSION": "OCPP2.1"}, "CHARGER_OCPP_VERSION must be OCPP1.6 or OCPP2.0.1"),
        ({"CHARGER_CONNECTORS": "many"}, "CHARGER_CONNECTORS must be a whole number from 1 to 100"),
    ],
)
def test_invalid_settings_print_one_line_and_exit_with_code_2(change: dict[str, str], complaint: str) -> None:
    environ = {**os.environ, **environment("ws://localhost:9", "OCPP1.6"), **change}

    done = subprocess.run(
        [sys.executable, "-m", "simulator"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )

    assert done.returncode == 2
    (line,) = done.stdout.splitlines()
    assert complaint in json.loads(line)["message"]
    assert done.stderr == ""


async def test_a_rejected_charger_waits_the_interval_and_boots_again() -> None:
    async with Csms() as csms:
        csms.answers["BootNotification"] = boot_answers("Rejected", "Pending", "Accepted", interval_s=1)
        async with ChargerProcess(csms.url) as charger:
            link = await csms.link(within_s=START_S)
            await charger.connection("rejected", "boot_rejected")
            await charger.connection("connected", "boot_pending")
            assert link.all("StatusNotification") == []

            await charger.connection("accepted")
            await wait_until_async(lambda: len(link.all("StatusNotification")) == 2)

    assert len(link.all("BootNotification")) == 3
    boots = [e["timestamp"] for e in charger.frames("BootNotification") if e["direction"] == "cp_to_csms"]
    seconds = [float(stamp[17:23]) for stamp in boots]
    assert all(1.0 <= (later - earlier) % 60 < 2.5 for earlier, later in pairwise(seconds))


@pytest.mark.parametrize(("version", "then"), [("OCPP1.6", "refuses"), ("OCPP2.0.1", "closes")])
async def test_the_waits_grow_until_a_connection_is_accepted(version: str, then: str) -> None:
    """A CSMS that accepts once, and then answers each handshake with 503, or closes each link without a word.

    OCPP 2.0.1 part 4, 5.3: the waits start anew after a successful connection, not after an earlier acceptance.
    """
    accepts = [True]

    def admit(_: object) -> tuple[int, str] | None:
        return None if accepts[0] or then == "closes" else (503, "")

    environ = {"retry_wait_s": 0.05, "retry_random_s": 0, "retry_max_s": 60, "connectors": 1}
    async with Csms(admit=admit) as csms, LocalCharger(csms.url, version, **environ) as charger:
        link = await csms.accepted()
        await wait_until_async(lambda: not charger.model.delivery.outbox.has_action("StatusNotification"))
        accepts[0] = False
        await link.socket.close()
        for number in range(2, 6):
            await wait_until_async(lambda: len(csms.requests) >= number)  # noqa: B023
            if then == "closes":
                await (await csms.link(number)).socket.close()
        accepts[0] = True
        again = await csms.link(6 if then == "closes" else 2)
        await wait_until_async(lambda: charger.model.reachable)
        charger.model.registration.send_heartbeat()
        await again.next("Heartbeat")
        await again.socket.close()
        await wait_until_async(lambda: len(csms.requests) >= 7)

    ended = [event for event in charger.events if event.get("state") == "disconnected"][:-1]
    began = [event for event in charger.events if event.get("state") == "connecting"][1:]
    waits = [_seconds(later) - _seconds(earlier) for earlier, later in zip(ended, began, strict=True)]
    waits = [wait % 60 for wait in waits]
    assert all(wait > least for wait, least in zip(waits, [0.04, 0.09, 0.19, 0.39, 0.79], strict=False))
    assert waits[5] < waits[4]


def _seconds(event: Event) -> float:
    return float(event["timestamp"][17:23])


@pytest.mark.parametrize("was_accepted", [True, False])
@pytest.mark.parametrize("downtime_s", [0, 5, 40, 600])
def test_200_chargers_reconnect_within_a_minute_and_never_a_tenth_of_them_in_one_second(
    downtime_s: float, was_accepted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    random.seed(200)
    reconnects_s: list[float] = []

    async def connect_and_hold(charge_point: ChargePoint, _: Terms) -> None:
        """A CSMS that is down from second 1 on."""
        now_s = asyncio.get_running_loop().time()
        if now_s < 1:
            charge_point.registration.status = "Accepted" if was_accepted else "Pending"
            await asyncio.sleep(1 - now_s)
        elif now_s >= 1 + downtime_s:
            reconnects_s.append(now_s - 1 - downtime_s)
            await asyncio.Event().wait()
        raise LinkError("connection_refused", "nothing listens there")

    async def run_fleet() -> None:
        settings = Settings(identity="CP-1", ws_url="ws://csms")
        fleet = [build_charge_point(settings, EventLog(lambda _: None)) for _ in range(200)]
        running = [asyncio.create_task(live(charge_point)) for charge_point in fleet]
        await asyncio.sleep(1 + downtime_s + 61)
        for task in running:
            task.cancel()
        await asyncio.gather(*running)

    monkeypatch.setattr(lifecycle, "_connect_and_hold", connect_and_hold)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run_fleet())

    assert len(reconnects_s) == 200
    assert max(reconnects_s) <= 60
    assert max(sum(start <= other < start + 1 for other in reconnects_s) for start in reconnects_s) <= 20
