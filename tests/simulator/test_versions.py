"""A version is one row of a table and one module."""

import pytest

from simulator.charge_point.translation import handles
from simulator.link.frames import Payload
from simulator.v201.charge_point import ChargePoint201
from simulator.versions import VERSIONS, Version
from tests.simulator.charger import LocalCharger
from tests.support.csms import ANSWERS, Csms
from tests.support.waiting import wait_until_async

ROW = Version(
    name="OCPP2.1",
    subprotocol="ocpp2.1",
    schema_set="v21",
    class_path=f"{__name__}:ChargePoint21",
)


class ChargePoint21(ChargePoint201):
    """The module of such a version: what it changes, and what it adds."""

    def boot_payload(self) -> Payload:
        payload = super().boot_payload()
        payload["chargingStation"]["model"] = "Two point one"
        return payload

    @handles("UpdateDynamicSchedule")
    def _update_dynamic_schedule(self, _: Payload) -> Payload:
        return {"status": "Rejected"}


async def test_a_version_that_is_added_by_a_row_and_a_class_boots_and_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(VERSIONS, ROW.name, ROW)
    monkeypatch.setitem(ANSWERS, ROW.subprotocol, ANSWERS["ocpp2.0.1"])

    async with (
        Csms(subprotocols=(ROW.subprotocol,)) as csms,
        LocalCharger(csms.url, ROW.name, connectors=2) as charger,
    ):
        link = await csms.accepted()
        boot = await link.next("BootNotification")
        update = '{"chargingProfileId":1,"scheduleUpdate":{"limit":16}}'
        await link.socket.send(f'[2,"7","UpdateDynamicSchedule",{update}]')
        await wait_until_async(lambda: '[3,"7",{"status":"Rejected"}]' in link.frames)

    assert boot["charging_station"]["model"] == "Two point one"
    assert charger.states()[:3] == ["connecting", "connected", "accepted"]
