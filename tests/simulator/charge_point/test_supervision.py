"""A fault of the charger's own code is logged, and ends neither the charger nor another one."""

import asyncio
from collections.abc import Callable

import pytest
from ocpp.exceptions import InternalError  # type: ignore[import-untyped]

from simulator.charge_point.charge_point import ChargePoint
from simulator.station.timers import Timers
from tests.simulator.charger import LocalCharger
from tests.simulator.talk import Talk, open_talk
from tests.support.csms import Csms
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.charger(reboot_s=0)


@pytest.fixture(params=["OCPP1.6", "OCPP2.0.1"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def fail(*_: object, **__: object) -> None:
    raise ValueError("cannot convert float NaN to integer")


async def test_a_request_on_which_the_charger_fails_gets_an_internal_error(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk.charger.may_log_faults = True
    monkeypatch.setattr(talk.model.authorizer, "clear_cache", fail)

    with pytest.raises(InternalError):
        await talk.call("ClearCache")

    assert "ClearCache could not be answered: ValueError" in talk.charger.remarks()[-1]
    monkeypatch.undo()
    assert (await talk.call("ClearCache")).status == "Accepted"


def fail_in_a_timer(model: ChargePoint) -> None:
    model.timers.start(None, "test", 0, fail)


def fail_in_a_callback(model: ChargePoint) -> None:
    model.send("Heartbeat", {}, fail)


def fail_in_each_part(model: ChargePoint) -> None:
    """Also what is done at the end of a run fails."""
    model.station.transactions.end_all = fail  # type: ignore[method-assign]
    model.station.energy.update_meters = fail  # type: ignore[method-assign]
    fail_in_a_timer(model)


@pytest.mark.parametrize("cause", [fail_in_a_timer, fail_in_a_callback])
async def test_a_fault_ends_the_connection_in_order_and_the_charger_starts_again(
    talk: Talk, cause: Callable[[ChargePoint], None]
) -> None:
    """Its transaction ends as at a restart by a watchdog, and what was not sent before is sent after the next boot."""
    await talk.start()
    kept = talk.connector.energy_wh

    cause(talk.model)

    event = await talk.charger.connection("disconnected", "charger_fault")
    assert "CP-1 failed: ValueError('cannot convert float NaN to integer')" in event["detail"]
    await talk.link.socket.wait_closed()
    assert talk.link.socket.close_code == 1001
    second = await talk.csms.link(2)
    boot = await second.next("BootNotification")
    assert boot.get("reason", "Watchdog") == "Watchdog"
    if talk.is_16:
        assert (await second.next("StopTransaction"))["reason"] == "Reboot"
    else:
        ended = await second.next("TransactionEvent", lambda payload: payload["event_type"] == "Ended")
        assert ended["transaction_info"]["stopped_reason"] == "Reboot"
    assert talk.connector.energy_wh >= kept


async def test_a_fault_while_a_connection_ends_is_reported_as_well(talk: Talk) -> None:
    """The message's callback fails because the connection was lost, which is no fault by itself."""
    talk.csms.raw_answers["DataTransfer"] = None
    talk.model.send("DataTransfer", {"vendorId": "x"}, fail)
    await wait_until_async(lambda: "DataTransfer" in str(talk.link.frames))

    talk.link.socket.transport.abort()

    event = await talk.charger.connection("disconnected", "charger_fault")
    assert "NaN" in event["detail"]


async def test_faults_at_the_same_time_restart_the_charger_once(talk: Talk) -> None:
    for name in ("first", "second"):
        talk.model.timers.start(None, name, 0, fail)

    await talk.csms.accepted(2)

    assert str(talk.charger.events).count("charger_fault") == 1


async def test_a_fault_after_a_reset_is_reported_as_well(talk: Talk) -> None:
    await talk.call("Reset", type="Soft" if talk.is_16 else "Immediate")
    await talk.csms.accepted(2)

    fail_in_a_timer(talk.model)

    await talk.charger.connection("disconnected", "charger_fault")


async def test_no_timer_runs_after_the_end_of_its_charger() -> None:
    """Also when the end itself fails: else a dead charger would drive cars beside its successor."""
    async with open_talk("OCPP1.6", CHARGER_VISITOR_EVERY_S=1) as talk:
        await talk.start()
        fail_in_each_part(talk.model)
        await talk.charger.connection("disconnected", "charger_fault")

        assert talk.model.timers._handles == {}
        assert sum("failed" in remark for remark in talk.charger.remarks()) == 3

    assert talk.model.timers._handles == {}
    assert talk.charger.states()[-1] == "disconnected"


async def test_a_charger_that_always_fails_waits_longer_each_time() -> None:
    async with (
        Csms() as csms,
        LocalCharger(csms.url, retry_wait_s=0.05, retry_random_s=0, retry_max_s=5) as charger,
    ):
        for number in range(1, 5):
            await csms.link(number)
            fail_in_a_timer(charger.model)
        await csms.link(5)

    failed = [event for event in charger.events if event.get("reason") == "charger_fault"]
    began = [event for event in charger.events if event.get("state") == "connecting"][1:]
    waits = [_seconds_between(*pair) for pair in zip(failed, began, strict=True)]
    assert all(wait > least for wait, least in zip(waits, [0.04, 0.09, 0.19, 0.39], strict=True))


async def test_a_fault_of_one_charger_reaches_no_other_in_the_same_process() -> None:
    async with Csms() as csms:
        chargers = [
            LocalCharger(csms.url, identity=f"CP-{number}", retry_wait_s=60, retry_max_s=90)
            for number in range(5)
        ]
        async with asyncio.TaskGroup() as started:
            for charger in chargers:
                started.create_task(charger.__aenter__())
        for charger in chargers:
            await charger.connection("accepted")

        fail_in_each_part(chargers[0].model)

        await chargers[0].connection("disconnected", "charger_fault")
        for charger in chargers[1:]:
            charger.model.registration.send_heartbeat()
        for link in csms.links:
            if link.identity != "CP-0":
                await link.next("Heartbeat")
        for charger in chargers:
            await charger.__aexit__()
    assert all("failed" not in str(charger.remarks()) for charger in chargers[1:])


async def test_a_timer_that_raises_is_reported_and_the_others_go_on() -> None:
    timers = Timers()
    done = asyncio.Event()
    timers.start(None, "first", 0, fail)
    timers.start(None, "second", 0, done.set)

    with pytest.raises(ValueError, match="NaN"):
        await timers.watch()

    await done.wait()


def _seconds_between(earlier: dict[str, str], later: dict[str, str]) -> float:
    first, second = (float(event["timestamp"][17:23]) for event in (earlier, later))
    return (second - first) % 60
