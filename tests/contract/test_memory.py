"""What a charger still knows after a restart is the same under the embedded ECS and on Fargate: nothing."""

import asyncio
import os
import signal
from collections.abc import Iterator

import psutil
import pytest

from embedded.ecs.process import EcsProcess, running_ecs
from shared.fleet.specification.variables import variables_of
from shared.models import Charger
from tests.simulator.charger import QUICK as QUICK_CHARGER
from tests.support.csms import Csms, Link, Payload, call16
from tests.support.ecs_services import QUICK, Fleet

CHARGING = {"CHARGER_EV_PLUG_IN_S": "0"}
KEY, CHANGED = "MeterValueSampleInterval", "77"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EcsProcess]:
    with running_ecs(tmp_path_factory.mktemp("ecs"), arguments=QUICK) as process:
        yield process


@pytest.fixture
def fleet(process: EcsProcess) -> Iterator[Fleet]:
    """Its tasks are real chargers."""
    fleet = Fleet(process)
    yield fleet
    fleet.delete_all()


def variables(csms: Csms) -> dict[str, str]:
    """What the worker puts into the task definition of a charger without the control link."""
    charger = Charger(
        identity="CP-1",
        ws_url=csms.url,
        ocpp_version="OCPP1.6",
        vendor_name="Wallbox",
        model="Pulsar",
        number_of_connectors=1,
        connector_type="Type2",
        max_charging_power=22_000,
        name="Bay 1",
        location_name="Home",
    )
    return variables_of(charger, None)


def test_no_charger_is_given_a_place_to_remember_things(fleet: Fleet) -> None:
    """Neither by the worker, and so not on Fargate, nor by the embedded ECS."""
    given = variables(Csms(port=9))
    name = fleet.given(**given)

    seen = psutil.Process(fleet.pid(name)).environ()

    assert "CHARGER_STATE_FILE" not in given
    assert {name: value for name, value in seen.items() if name.startswith("CHARGER_")} == given


@pytest.mark.parametrize("end", ["restarted", "killed"])
def test_a_new_task_starts_without_memory_and_a_reset_keeps_it(fleet: Fleet, end: str) -> None:
    async def scenario() -> None:
        async with Csms() as csms:
            settings = {**QUICK_CHARGER, **CHARGING, "CHARGER_REBOOT_S": "0.1", "CHARGER_METER_START_WH": "0"}
            name = fleet.given(**variables(csms), **settings)
            first = await csms.accepted()
            default = await configured(first)
            await first.call(call16.ChangeConfiguration(key=KEY, value=CHANGED))

            await first.call(call16.Reset(type="Soft"))
            rebooted = await csms.accepted(2)
            assert await configured(rebooted) == CHANGED

            await rebooted.call(call16.RemoteStartTransaction(id_tag="TAG", connector_id=1))
            await rebooted.next("StartTransaction")
            if end == "restarted":
                await asyncio.to_thread(fleet.stop, fleet.task(name))
            else:
                os.kill(fleet.pid(name), signal.SIGKILL)

            successor = await csms.accepted(3)
            assert await configured(successor) == default != CHANGED
            await successor.call(call16.RemoteStartTransaction(id_tag="TAG", connector_id=1))
            assert (await successor.next("StartTransaction"))["meter_start"] == 0
            assert successor.all("StopTransaction") == []
            ended = [payload["reason"] for payload in rebooted.all("StopTransaction")]
            assert ended == (["Reboot"] if end == "restarted" else [])

    asyncio.run(asyncio.wait_for(scenario(), timeout=60))


@pytest.mark.parametrize("end", ["stopped", "deleted"])
def test_a_charger_that_ecs_stops_or_deletes_ends_its_transaction_at_the_csms(fleet: Fleet, end: str) -> None:
    """The CSMS takes a second for each answer, also for the one with the transaction's id."""

    async def slowly(_: Payload) -> Payload:
        await asyncio.sleep(1)
        return {"transaction_id": 77, "id_tag_info": {"status": "Accepted"}}

    async def scenario() -> None:
        async with Csms() as csms:
            csms.answers["StartTransaction"] = slowly
            name = fleet.given(**variables(csms), **QUICK_CHARGER, **CHARGING)
            link = await csms.accepted()
            await link.call(call16.RemoteStartTransaction(id_tag="TAG", connector_id=1))
            await link.next("StartTransaction")

            if end == "stopped":
                await asyncio.to_thread(fleet.update, name, desiredCount=0)
            else:
                await asyncio.to_thread(fleet.delete, name)

            stopped = await link.next("StopTransaction")
            assert (stopped["transaction_id"], stopped["reason"]) == (77, "Reboot")

    asyncio.run(asyncio.wait_for(scenario(), timeout=60))


async def configured(link: Link) -> str:
    answer = await link.call(call16.GetConfiguration(key=[KEY]))
    return str(answer.configuration_key[0]["value"])
