"""What a charger remembers after its process was stopped or killed."""

import json
from pathlib import Path

import pytest

from tests.simulator.charger import ChargerProcess, LocalCharger
from tests.simulator.talk import TOKEN, start_remotely, transaction_calls
from tests.support.csms import Csms, Payload, call16, call201
from tests.support.waiting import wait_until_async

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])


@VERSIONS
@pytest.mark.parametrize("end", ["stopped", "killed"])
async def test_a_transaction_that_a_restart_ended_is_reported(version: str, end: str, tmp_path: Path) -> None:
    state_file = tmp_path / "state.json"
    settings: Payload = {"ev_plug_in_s": 0, "state_file": state_file}
    async with Csms() as csms:
        async with ChargerProcess(csms.url, version, **settings) as charger:
            first = await csms.accepted()
            await start_remotely(first, version)
            await wait_until_async(
                lambda: "transaction_ids" not in state_file.read_text() or "4711" in state_file.read_text()
            )
            assert charger.process is not None
            if end == "stopped":
                charger.terminate()
            else:
                charger.process.kill()
            await charger.exit_code()
        assert "StopTransaction" not in transaction_calls(first)

        async with ChargerProcess(csms.url, version, **settings):
            second = await csms.link(2)
            reason = "Reboot" if end == "stopped" else "PowerLoss"
            if version == "OCPP1.6":
                stopped = await second.next("StopTransaction")
                assert (stopped["transaction_id"], stopped["reason"]) == (4711, reason)
                status = await second.next("StatusNotification", lambda payload: payload["connector_id"] == 1)
                assert status["status"] == "Finishing"
            else:
                ended = await second.next(
                    "TransactionEvent", lambda payload: payload["event_type"] == "Ended"
                )
                assert ended["trigger_reason"] == "AbnormalCondition"
                assert ended["transaction_info"]["stopped_reason"] == reason
                started = first.all("TransactionEvent")
                assert ended["seq_no"] >= len(started)
                identity = started[0]["transaction_info"]["transaction_id"]
                assert ended["transaction_info"]["transaction_id"] == identity
    assert state_file.stat().st_mode & 0o777 == 0o600


@VERSIONS
async def test_without_a_state_file_a_stop_ends_transactions_before_the_exit(version: str) -> None:
    async with Csms() as csms, ChargerProcess(csms.url, version, ev_plug_in_s=0) as charger:
        link = await csms.accepted()
        await start_remotely(link, version)

        charger.terminate()
        assert await charger.exit_code(within_s=5) == 0

        assert transaction_calls(link)[-1] in ("StopTransaction", "Ended")
        if version == "OCPP1.6":
            assert link.all("StopTransaction")[0]["reason"] == "Reboot"
        else:
            assert link.all("TransactionEvent")[-1]["transaction_info"]["stopped_reason"] == "Reboot"


async def test_a_stop_is_in_time_though_the_csms_does_not_answer_about_the_transaction() -> None:
    async with Csms() as csms, ChargerProcess(csms.url, ev_plug_in_s=0) as charger:
        link = await csms.accepted()
        await start_remotely(link, "OCPP1.6")
        csms.raw_answers["StopTransaction"] = None

        charger.terminate()

        assert await charger.exit_code(within_s=5) == 0
        assert link.calls[-1].action != "StopTransaction"
        assert any('"StopTransaction"' in frame for frame in link.frames)


@VERSIONS
async def test_queued_messages_survive_a_restart(version: str, tmp_path: Path) -> None:
    settings: Payload = {"state_file": tmp_path / "state.json"}
    async with LocalCharger("ws://127.0.0.1:9/", version, **settings) as charger:
        await charger.connection("disconnected", "connection_refused")
        charger.model.options.set("accept_unknown_offline", "true")
        charger.model.actions.perform("PlugIn", None)
        charger.model.actions.perform("PresentToken", {"idToken": "TAG"})
        charger.model.actions.perform("PresentToken", {"idToken": "TAG"})
        assert charger.model.has_queued_messages(None)

    async with Csms() as csms, LocalCharger(csms.url, version, **settings):
        link = await csms.accepted()
        reported = transaction_calls(link)

    assert (reported[0], reported[-1]) == (
        ("StartTransaction", "StopTransaction") if version == "OCPP1.6" else ("Started", "Ended")
    )


@VERSIONS
async def test_the_csms_s_settings_survive_a_restart(version: str, tmp_path: Path) -> None:
    settings: Payload = {"state_file": tmp_path / "state.json", "connectors": 2}
    async with Csms() as csms:
        async with LocalCharger(csms.url, version, **settings) as charger:
            link = await csms.accepted()
            model = charger.model
            period: Payload = {"start_period": 0, "limit": 4_000}
            if version == "OCPP1.6":
                await link.call(call16.ChangeConfiguration(key="MeterValueSampleInterval", value="17"))
                await link.call(call16.ChangeAvailability(connector_id=2, type="Inoperative"))
                tag: Payload = {"id_tag": "TAG", "id_tag_info": {"status": "Accepted"}}
                await link.call(
                    call16.SendLocalList(list_version=4, update_type="Full", local_authorization_list=[tag])
                )
                schedule: Payload = {"charging_rate_unit": "W", "charging_schedule_period": [period]}
                given: Payload = {
                    "charging_profile_id": 1,
                    "stack_level": 0,
                    "charging_profile_purpose": "TxDefaultProfile",
                    "charging_profile_kind": "Relative",
                    "charging_schedule": schedule,
                }
                await link.call(call16.SetChargingProfile(connector_id=1, cs_charging_profiles=given))
                await link.call(
                    call16.ReserveNow(
                        connector_id=1, expiry_date="2031-01-01T00:00:00Z", id_tag="TAG", reservation_id=9
                    )
                )
            else:
                place = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "TxUpdatedInterval"}}
                await link.call(call201.SetVariables(set_variable_data=[place | {"attribute_value": "17"}]))
                await link.call(call201.ChangeAvailability(operational_status="Inoperative", evse={"id": 2}))
                tag = {"id_token": TOKEN, "id_token_info": {"status": "Accepted"}}
                await link.call(
                    call201.SendLocalList(
                        version_number=4, update_type="Full", local_authorization_list=[tag]
                    )
                )
                schedule = {"id": 1, "charging_rate_unit": "W", "charging_schedule_period": [period]}
                given = {
                    "id": 1,
                    "stack_level": 0,
                    "charging_profile_purpose": "TxDefaultProfile",
                    "charging_profile_kind": "Relative",
                    "charging_schedule": [schedule],
                }
                await link.call(call201.SetChargingProfile(evse_id=1, charging_profile=given))
                await link.call(
                    call201.ReserveNow(
                        id=9, expiry_date_time="2031-01-01T00:00:00Z", id_token=TOKEN, evse_id=1
                    )
                )
            first_installed = [profile.payload for profile in model.station.profiles]

        async with LocalCharger(csms.url, version, **settings) as charger:
            await csms.link(2)
            await charger.connection("accepted")
            model = charger.model
            assert model.options.number("sample_s") == 17
            assert [connector.operative for connector in model.station.connectors] == [True, False]
            assert (model.authorizer.list_version, list(model.authorizer.local_list)) == (4, ["tag"])
            assert [profile.payload for profile in model.station.profiles] == first_installed
            assert list(model.station.reservations.by_id) == [9]
            assert model.station.reservations.by_id[9].token.value == "TAG"


async def test_a_state_file_with_fields_of_another_release_is_restored(tmp_path: Path) -> None:
    state_file = tmp_path / "state.json"
    async with Csms() as csms:
        async with LocalCharger(csms.url, state_file=state_file) as charger:
            await csms.accepted()
            charger.model.actions.perform("PlugIn", None)
        state = json.loads(state_file.read_text())
        state["connectors"][0]["ev"]["unknown"] = state["connectors"][0]["ev"].pop("requests_energy")
        state_file.write_text(json.dumps(state))

        async with LocalCharger(csms.url, state_file=state_file) as charger:
            await csms.accepted(2)
            assert charger.model.station.connectors[0].plugged
            assert charger.remarks() == []


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1, "identity": "CP-1"}', '{"format":1,"identity":"CP-2"}']
)
async def test_an_unusable_state_file_is_reported_and_replaced(text: str, tmp_path: Path) -> None:
    state_file = tmp_path / "state.json"
    state_file.write_text(text)

    async with Csms() as csms, LocalCharger(csms.url, state_file=state_file) as charger:
        await csms.accepted()

    assert "the state file is not used" in charger.remarks()[0]
    assert json.loads(state_file.read_text())["identity"] == "CP-1"


async def test_a_state_file_that_cannot_be_written_does_not_stop_the_charger(tmp_path: Path) -> None:
    async with (
        Csms() as csms,
        LocalCharger(csms.url, state_file=tmp_path / "missing" / "state.json") as charger,
    ):
        await csms.accepted()
        charger.model.actions.perform("PlugIn", None)

        await wait_until_async(lambda: any("cannot be written" in remark for remark in charger.remarks()))
        assert charger.model.online


async def test_a_new_firmware_is_still_installed_after_the_process_was_replaced(tmp_path: Path) -> None:
    settings: Payload = {"state_file": tmp_path / "state.json", "job_step_s": 0.01, "reboot_s": 600}
    async with Csms() as csms:
        async with LocalCharger(csms.url, "OCPP2.0.1", **settings) as charger:
            link = await csms.accepted()
            firmware = {
                "location": "https://files.example/fw-4.bin",
                "retrieve_date_time": "2030-01-01T00:00:00Z",
            }
            await link.call(call201.UpdateFirmware(request_id=2, firmware=firmware))
            await charger.connection("disconnected", "reset")

        async with LocalCharger(csms.url, "OCPP2.0.1", **settings):
            second = await csms.link(2)
            boot = await second.next("BootNotification")
            installed = await second.next(
                "FirmwareStatusNotification", lambda payload: payload["status"] == "Installed"
            )

    assert (boot["reason"], boot["charging_station"]["firmware_version"]) == ("FirmwareUpdate", "fw-4")
    assert installed["request_id"] == 2
