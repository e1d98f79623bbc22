"""What a charger remembers after its process was stopped or killed."""

import asyncio
import json
from pathlib import Path

import pytest

from simulator import lifecycle
from tests.simulator.charge_point.test_kept import lasting_requests
from tests.simulator.charger import ChargerProcess, LocalCharger
from tests.simulator.talk import start_remotely, transaction_calls
from tests.support.csms import Csms, Link, Payload, call201
from tests.support.waiting import wait_until_async

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])


def end_calls(link: Link, version: str) -> list[Payload]:
    if version == "OCPP1.6":
        return link.all("StopTransaction")
    return [call for call in link.all("TransactionEvent") if call["event_type"] == "Ended"]


def reason_of(end: Payload) -> str:
    return str(end.get("reason") or end["transaction_info"]["stopped_reason"])


@VERSIONS
@pytest.mark.parametrize("state_file", ["with a state file", "without"])
async def test_a_stop_ends_the_transaction_at_the_csms_once(
    version: str, state_file: str, tmp_path: Path
) -> None:
    settings: Payload = {"ev_plug_in_s": 0}
    if state_file == "with a state file":
        settings["state_file"] = tmp_path / "state.json"
    async with Csms() as csms:
        async with ChargerProcess(csms.url, version, **settings) as charger:
            first = await csms.accepted()
            await start_remotely(first, version)

            charger.terminate()
            assert await charger.exit_code(within_s=5) == 0

            (end,) = end_calls(first, version)
            assert reason_of(end) == "Reboot"
            assert end.get("transaction_id", 4711) == 4711
            assert end.get("trigger_reason", "AbnormalCondition") == "AbnormalCondition"

        async with LocalCharger(csms.url, version, **settings):
            second = await csms.accepted(2)
            assert transaction_calls(second) == []


@VERSIONS
async def test_a_transaction_that_a_kill_ended_is_reported(version: str, tmp_path: Path) -> None:
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
            charger.process.kill()
            await charger.exit_code()

        async with LocalCharger(csms.url, version, **settings):
            await check_end_after_restart(first, await csms.link(2), version, "PowerLoss")
    assert state_file.stat().st_mode & 0o777 == 0o600


@VERSIONS
async def test_a_stop_that_a_silent_csms_has_not_answered_is_reported_after_the_restart(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "REPORT_ENDED_S", 0.1)
    settings: Payload = {"ev_plug_in_s": 0, "state_file": tmp_path / "state.json"}
    async with Csms() as csms:
        async with LocalCharger(csms.url, version, **settings) as charger:
            first = await csms.accepted()
            await start_remotely(first, version)
            await wait_until_async(lambda: not charger.model.has_queued_messages(None))
            csms.raw_answers |= {"StopTransaction": None, "TransactionEvent": None}
            await charger.switch_off()
            csms.raw_answers.clear()

        async with LocalCharger(csms.url, version, **settings):
            await check_end_after_restart(first, await csms.link(2), version, "Reboot")


async def check_end_after_restart(first: Link, second: Link, version: str, reason: str) -> None:
    await wait_until_async(lambda: end_calls(second, version))
    (ended,) = end_calls(second, version)
    assert reason_of(ended) == reason
    if version == "OCPP1.6":
        assert ended["transaction_id"] == 4711
        status = await second.next("StatusNotification", lambda payload: payload["connector_id"] == 1)
        assert status["status"] == "Finishing"
    else:
        assert ended["trigger_reason"] == "AbnormalCondition"
        started = first.all("TransactionEvent")
        assert ended["seq_no"] >= len(started)
        identity = started[0]["transaction_info"]["transaction_id"]
        assert ended["transaction_info"]["transaction_id"] == identity


@VERSIONS
async def test_a_stop_while_the_link_is_down_makes_one_more_attempt(version: str) -> None:
    """Without a state file nobody else could end the transaction at the CSMS."""
    slow = {"retry_wait_s": 60, "retry_random_s": 0, "retry_max_s": 60}
    async with Csms() as csms, ChargerProcess(csms.url, version, ev_plug_in_s=0, **slow) as charger:
        first = await csms.accepted()
        await start_remotely(first, version)
        first.socket.transport.abort()
        await charger.connection("disconnected", "connection_lost")

        charger.terminate()

        assert await charger.exit_code(within_s=5) == 0
        (end,) = end_calls(await csms.link(2), version)
        assert reason_of(end) == "Reboot"


@VERSIONS
async def test_a_stop_does_not_wait_behind_a_reading_that_the_csms_refuses(version: str) -> None:
    """Another attempt would come after 10 s."""
    action = "MeterValues" if version == "OCPP1.6" else "TransactionEvent"
    async with Csms() as csms, LocalCharger(csms.url, version, ev_plug_in_s=0) as charger:
        link = await csms.accepted()
        await start_remotely(link, version)
        await wait_until_async(lambda: not charger.model.has_queued_messages(None))
        connector = charger.model.station.connectors[0]
        assert connector.transaction is not None
        csms.raw_answers[action] = '"refused"'
        charger.model.report_updated(connector, connector.transaction, "MeterValuePeriodic")
        await wait_until_async(lambda: any(f"{action} failed" in remark for remark in charger.remarks()))

        await charger.switch_off()

        assert end_calls(link, version) or "Ended" in link.frames[-1]


async def test_a_stop_waits_for_the_transaction_id() -> None:
    """OCPP 1.6: StopTransaction repeats what the answer to StartTransaction says."""

    async def answer_late(_: Payload) -> Payload:
        await asyncio.sleep(0.5)
        return {"transaction_id": 77, "id_tag_info": {"status": "Accepted"}}

    async with Csms() as csms, ChargerProcess(csms.url, ev_plug_in_s=0) as charger:
        link = await csms.accepted()
        csms.answers["StartTransaction"] = answer_late
        await start_remotely(link, "OCPP1.6")

        charger.terminate()

        assert await charger.exit_code(within_s=5) == 0
        assert [stop["transaction_id"] for stop in link.all("StopTransaction")] == [77]


@VERSIONS
async def test_the_end_of_a_transaction_goes_before_what_else_waits_when_the_process_ends(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "REPORT_ENDED_S", 1.0)

    async def answer_slowly(_: Payload) -> Payload:
        await asyncio.sleep(0.2)
        return {}

    async with Csms() as csms, LocalCharger(csms.url, version, ev_plug_in_s=0) as charger:
        link = await csms.accepted()
        await start_remotely(link, version)
        await wait_until_async(lambda: not charger.model.has_queued_messages(None))
        csms.answers["StatusNotification"] = answer_slowly
        for _ in range(10):
            charger.model.send_status(1)

        await charger.switch_off()

        assert len(end_calls(link, version)) == 1


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
        charger.model.data_transfer.perform("PlugIn", None)
        charger.model.data_transfer.perform("PresentToken", {"idToken": "TAG"})
        charger.model.data_transfer.perform("PresentToken", {"idToken": "TAG"})
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
            for request in lasting_requests(version):
                await link.call(request)
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
            charger.model.data_transfer.perform("PlugIn", None)
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

    assert "what the charger remembers is not used" in charger.remarks()[0]
    assert json.loads(state_file.read_text())["identity"] == "CP-1"


@pytest.mark.parametrize("wrong", [{"update": {"status": "Downloading"}}, {"saved_at": None}])
async def test_nothing_of_a_state_file_that_fails_halfway_is_restored(wrong: Payload, tmp_path: Path) -> None:
    """Else its transaction would go on, and nobody would end it."""
    state_file = tmp_path / "state.json"
    async with Csms() as csms:
        async with LocalCharger(csms.url, state_file=state_file, ev_plug_in_s=0) as charger:
            await start_remotely(await csms.accepted(), "OCPP1.6")
            charger.model.memory.save()
            state = json.loads(state_file.read_text())
        state_file.write_text(json.dumps(state | wrong))

        async with LocalCharger(csms.url, state_file=state_file) as charger:
            await csms.accepted(2)
            (connector,) = charger.model.station.connectors
            assert (connector.plugged, connector.transaction) == (False, None)
            assert "what the charger remembers is not used" in charger.remarks()[0]


@pytest.mark.parametrize("versions", [("OCPP1.6", "OCPP2.0.1"), ("OCPP2.0.1", "OCPP1.6")])
@pytest.mark.parametrize(
    ("unknown", "remark"), [((), "what belongs to OCPP"), (("version",), "was not sent")], ids=["", "older"]
)
async def test_a_charger_that_speaks_another_version_now_keeps_what_both_have(
    versions: tuple[str, str], unknown: tuple[str, ...], remark: str, tmp_path: Path
) -> None:
    """Messages, transactions and charging profiles of the old version are dropped with a remark."""
    settings: Payload = {"state_file": tmp_path / "state.json", "ev_plug_in_s": 0}
    old, new = versions
    async with Csms() as csms:
        async with LocalCharger(csms.url, old, **settings) as charger:
            link = await csms.accepted()
            await start_remotely(link, old)
            energy_wh = charger.model.station.connectors[0].energy_wh
            charger.model.options.set("sample_s", 17)
            csms.raw_answers["Heartbeat"] = None
            charger.model.send("Heartbeat", {})
            charger.model.station.transactions.end_all("Remote")  # waits behind the heartbeat
        state = json.loads(settings["state_file"].read_text())
        for name in unknown:
            del state[name]
        settings["state_file"].write_text(json.dumps(state))

        async with LocalCharger(csms.url, new, **settings) as charger:
            charger.may_log_faults = True
            second = await csms.accepted(2)
            assert charger.model.station.connectors[0].energy_wh >= energy_wh
            assert charger.model.options.number("sample_s") == 17
            await wait_until_async(lambda: not charger.model.has_queued_messages(None))
            assert transaction_calls(second) == []
            assert remark in charger.remarks()[0]
            assert "charger_fault" not in str(charger.events)


async def test_a_state_file_that_cannot_be_written_does_not_stop_the_charger(tmp_path: Path) -> None:
    async with (
        Csms() as csms,
        LocalCharger(csms.url, state_file=tmp_path / "missing" / "state.json") as charger,
    ):
        await csms.accepted()
        charger.model.data_transfer.perform("PlugIn", None)

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
