"""What the charger has accepted is on disk before its answer leaves."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp.exceptions import OCPPError  # type: ignore[import-untyped]

from simulator.versions import VERSIONS, Version
from tests.simulator.charger import ChargerProcess, LocalCharger
from tests.simulator.talk import TOKEN
from tests.simulator.test_any_input import Step, requests_of
from tests.support.csms import Csms, Payload, call16, call201


def lasting_requests(version: str) -> list[Any]:
    """Requests whose effect a charger with two connectors keeps."""
    return lasting_requests_16() if version == "OCPP1.6" else lasting_requests_201()


def lasting_requests_16() -> list[Any]:
    return [
        call16.ChangeConfiguration(key="MeterValueSampleInterval", value="17"),
        call16.ChangeAvailability(connector_id=2, type="Inoperative"),
        call16.SendLocalList(
            list_version=4,
            update_type="Full",
            local_authorization_list=[{"id_tag": "TAG", "id_tag_info": {"status": "Accepted"}}],
        ),
        call16.SetChargingProfile(
            connector_id=1,
            cs_charging_profiles={
                "charging_profile_id": 1,
                "stack_level": 0,
                "charging_profile_purpose": "TxDefaultProfile",
                "charging_profile_kind": "Relative",
                "charging_schedule": {"charging_rate_unit": "W", "charging_schedule_period": [PERIOD]},
            },
        ),
        call16.ReserveNow(connector_id=1, expiry_date=EXPIRY, id_tag="TAG", reservation_id=9),
    ]


def lasting_requests_201() -> list[Any]:
    place = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "TxUpdatedInterval"}}
    return [
        call201.SetVariables(set_variable_data=[place | {"attribute_value": "17"}]),
        call201.ChangeAvailability(operational_status="Inoperative", evse={"id": 2}),
        call201.SendLocalList(
            version_number=4,
            update_type="Full",
            local_authorization_list=[{"id_token": TOKEN, "id_token_info": {"status": "Accepted"}}],
        ),
        call201.SetChargingProfile(
            evse_id=1,
            charging_profile={
                "id": 1,
                "stack_level": 0,
                "charging_profile_purpose": "TxDefaultProfile",
                "charging_profile_kind": "Relative",
                "charging_schedule": [
                    {"id": 1, "charging_rate_unit": "W", "charging_schedule_period": [PERIOD]}
                ],
            },
        ),
        call201.ReserveNow(id=9, expiry_date_time=EXPIRY, id_token=TOKEN, evse_id=1),
    ]


PERIOD: Payload = {"start_period": 0, "limit": 4_000}
EXPIRY = "2031-01-01T00:00:00Z"


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_was_accepted_is_there_after_a_kill(version: str, tmp_path: Path) -> None:
    environment: Payload = {"state_file": tmp_path / "state.json", "connectors": 2}
    async with Csms() as csms:
        async with ChargerProcess(csms.url, version, **environment) as charger:
            link = await csms.accepted()
            for request in lasting_requests(version):
                assert "Rejected" not in str(await link.call(request))
            assert charger.process is not None
            charger.process.kill()
            await charger.exit_code()

        model = LocalCharger(csms.url, version, **environment).model
        assert model.options.number("sample_s") == 17
        assert [connector.operative for connector in model.station.connectors] == [True, False]
        assert (model.authorizer.list_version, list(model.authorizer.local_list)) == (4, ["tag"])
        assert [profile.payload["stackLevel"] for profile in model.station.profiles] == [0]
        assert list(model.station.reservations.by_id) == [9]


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
def test_whatever_a_request_changes_is_saved_before_its_answer_leaves(
    version: Version, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of any order of any requests."""
    path = tmp_path_factory.mktemp("state") / "state.json"

    @settings(max_examples=20, deadline=None)
    @given(st.lists(requests_of(version), max_size=8))
    def check(requests: list[Step]) -> None:
        asyncio.run(_compare_file_after_each(version, path, requests))

    check()


async def _compare_file_after_each(version: Version, path: Path, requests: list[Step]) -> None:
    path.unlink(missing_ok=True)
    model = LocalCharger("ws://csms", version.name, state_file=path, connectors=2).model
    model.power_on()
    model.registration.status, model.online = "Accepted", True
    for action, payload in requests:
        with suppress(OCPPError):
            model.answer(action, payload)
            saved = json.loads(path.read_text()) if path.exists() else {}
            described = json.loads(json.dumps(model.describe()))
            if saved or not action.startswith(("Get", "Trigger")):
                assert saved | {"saved_at": 0} == saved | described | {"saved_at": 0}, action
        await asyncio.sleep(0)
    model.power_off()
