"""Reports over the control link: the link to the CSMS, the connectors and the last remark."""

import asyncio
from typing import Any

import pytest

from simulator.control.hosted import Hosted
from simulator.control.reports import CHARGING_AT_ONCE, Reports
from simulator.log import EventLog
from tests.simulator.control.controlled import controlled
from tests.simulator.unconnected import unconnected
from tests.simulator.virtual_time import VirtualTimeLoop
from tests.support.waiting import wait_until_async

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])


@VERSIONS
async def test_a_charger_reports_its_link_and_its_connectors(version: str) -> None:
    async with controlled(version) as (_, session, _):
        state = await session.reported(lambda state: state["csms"]["state"] == "accepted")

    assert state["csms"].keys() == {"state", "reason", "detail", "since"}
    places = [(each["evse_id"], each["connector_id"]) for each in state["connectors"]]
    assert places == ([(None, 1), (None, 2)] if version == "OCPP1.6" else [(1, 1), (2, 1)])
    assert [each["status"] for each in state["connectors"]] == ["Available", "Available"]
    assert [each["plugged"] for each in state["connectors"]] == [False, False]


@VERSIONS
async def test_a_change_is_reported_soon_and_alone(version: str) -> None:
    async with controlled(version) as (_, session, _):
        await session.reported(lambda state: state["csms"]["state"] == "accepted")
        session.frames.clear()

        await session.act(1, "plug_connector", connector_id=1)

        state = await session.reported(lambda state: state["connectors"][0]["plugged"])
        assert "csms" not in state


async def test_the_energy_of_a_charging_charger_is_reported_while_it_grows() -> None:
    async with controlled() as (charger, session, _):
        await session.act(1, "plug_connector")
        await session.act(2, "present_token", id_tag="TAG")
        first = await session.reported(lambda state: state["connectors"][0]["power_w"] > 0)

        later = await session.reported(
            lambda state: state["connectors"][0]["energy_wh"] > first["connectors"][0]["energy_wh"]
        )

        assert later["connectors"][0]["status"] == "Charging"
        assert later["connectors"][0]["transaction_id"] == "4711"
        assert later["connectors"][0]["id_tag"] == "TAG"
        drawn_wh = [each["connectors"][0]["transaction_energy_wh"] for each in (first, later)]
        assert 0 <= drawn_wh[0] < drawn_wh[1] < 100
        await session.act(3, "unplug_connector")
        ended = await session.reported(lambda state: not state["connectors"][0]["power_w"])
        assert (ended["connectors"][0]["id_tag"], ended["connectors"][0]["transaction_energy_wh"]) == (
            None,
            None,
        )
        await wait_until_async(lambda: charger.process._control._reports._tick is None)  # type: ignore[union-attr]


async def test_a_new_attempt_is_reported_with_the_reason_of_the_failed_one() -> None:
    lines: list[dict[str, Any] | None] = []
    log = EventLog(lambda _: None)
    hosted = Hosted("dep-1", log)
    hosted.on_changed = lambda _: lines.append(hosted.csms)
    log.connection("connecting", None, "ws://csms")
    log.connection("disconnected", "connection_refused", "nothing listens there")
    log.connection("connecting", None, "ws://csms")
    log.connection("connected")

    assert [(each["state"], each["reason"], each["detail"]) for each in lines if each] == [
        ("connecting", None, "ws://csms"),
        ("disconnected", "connection_refused", "nothing listens there"),
        ("connecting", "connection_refused", "nothing listens there"),
        ("connected", None, None),
    ]


async def test_attempts_that_fail_do_not_begin_a_new_outage() -> None:
    log = EventLog(lambda _: None)
    hosted = Hosted("dep-1", log)
    since: list[str] = []
    states = ("connecting", "disconnected", "connecting", "disconnected", "connected", "disconnected")
    for second, state in enumerate(states):
        at = f"2026-04-02T10:00:0{second}Z"
        log.on_event({"type": "connection", "timestamp": at, "state": state, "reason": None, "detail": None})
        since.append((hosted.csms or {})["since"][-3:-1])

    assert since == ["00", "01", "02", "01", "04", "05"]


async def test_a_warning_is_reported_and_its_secrets_are_masked() -> None:
    async with controlled(password="hunter22") as (charger, session, _):
        charger.model.log.remark("info", "nothing to see")
        charger.model.log.remark("warning", "the password is hunter22")

        state = await session.reported(lambda state: state.get("remark"))

    assert state["remark"].keys() == {"level", "message", "at"}
    assert state["remark"]["message"] == "the password is ***"


async def test_a_new_session_gets_all_that_happened_meanwhile() -> None:
    async with controlled() as (charger, session, link):
        link.refusal = 503
        session.socket.transport.abort()
        await wait_until_async(lambda: len(link.attempts) > 1)
        charger.model.actions.begin("plug_connector", {})
        link.refusal = None

        again = await link.session(2)

        state = await again.reported(lambda state: state["connectors"][0]["plugged"])
        assert state["csms"]["state"] == "accepted"


async def test_the_last_report_says_that_the_charger_is_off() -> None:
    async with controlled() as (charger, session, _):
        await charger.switch_off()

        state = await session.reported(lambda state: state["csms"]["state"] == "disconnected")

    assert state["csms"]["reason"] == "stopped"
    assert session.socket.close_code == 1001


def test_many_changes_make_few_reports() -> None:
    """A thousand changes within 10 s make at most one report in 0.2 s, and the last of them is in it."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        frames = runner.run(changes_of_ten_seconds())

    assert 40 <= len(frames) <= 51
    assert frames[-1]["remark"]["message"] == "999"


async def changes_of_ten_seconds() -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = []
    log = EventLog(lambda _: None)
    hosted = Hosted("dep-1", log)
    reports = Reports(lambda: frames.extend(reports.take()))
    hosted.on_changed = reports.note
    reports.start([hosted])
    for number in range(1000):
        log.remark("warning", str(number))
        await asyncio.sleep(0.01)
    await asyncio.sleep(1)
    return frames


def test_an_idle_charger_needs_no_timer_and_many_that_charge_report_less_often() -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        few, many = (runner.run(reports_of_a_minute(charging)) for charging in (1, 4 * CHARGING_AT_ONCE))

    assert 55 <= few["dep-0"] <= 65
    assert 14 <= many["dep-0"] <= 17
    assert few["idle"] == many["idle"] == 1


async def reports_of_a_minute(charging: int) -> dict[str, int]:
    """How many reports with connectors each charger has made."""
    counts: dict[str, int] = {}

    def take() -> None:
        for state in reports.take():
            if "connectors" in state:
                counts[state["charger"]] = counts.get(state["charger"], 0) + 1

    reports = Reports(take)
    with unconnected("OCPP1.6") as charger, unconnected("OCPP1.6") as idle:
        charger.model.actions.begin("plug_connector", {})
        charger.start(1, plug=False)
        chargers = [Hosted(f"dep-{number}", charger.model.log) for number in range(charging)]
        for hosted in chargers:
            hosted.attach(charger.model)
        chargers.append(Hosted("idle", idle.model.log))
        chargers[-1].attach(idle.model)
        reports.start(chargers)
        await asyncio.sleep(60)
        reports.stop()
    return counts
