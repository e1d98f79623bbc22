"""OCPP 1.6: configuration, availability, reset and triggers."""

import pytest
from ocpp.exceptions import OccurenceConstraintViolationError  # type: ignore[import-untyped]

from tests.simulator.charger import LocalCharger
from tests.simulator.talk import Talk
from tests.support.csms import Csms, boot_answers, call16


async def test_configuration_is_read_changed_and_refused_key_by_key(talk: Talk) -> None:
    answer = await talk.call("GetConfiguration", key=["HeartbeatInterval", "NumberOfConnectors", "Nonsense"])

    assert answer.unknown_key == ["Nonsense"]
    keys = {entry["key"]: entry for entry in answer.configuration_key}
    assert keys["HeartbeatInterval"] == {"key": "HeartbeatInterval", "readonly": False, "value": "300"}
    assert keys["NumberOfConnectors"] == {"key": "NumberOfConnectors", "readonly": True, "value": "2"}
    everything = await talk.call("GetConfiguration")
    assert len(everything.configuration_key) > 30


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("HeartbeatInterval", "17", "Accepted"),
        ("MeterValuesSampledData", "Voltage,SoC", "Accepted"),
        ("AuthorizationCacheEnabled", "False", "Accepted"),
        ("StopTxnAlignedData", "Power.Active.Import", "Accepted"),
        ("UnlockConnectorOnEVSideDisconnect", "false", "Accepted"),
        ("HeartbeatInterval", "-1", "Rejected"),
        ("HeartbeatInterval", "often", "Rejected"),
        ("MeterValuesSampledData", "Voltage,Colour", "Rejected"),
        ("AuthorizationCacheEnabled", "maybe", "Rejected"),
        ("MeterValuesSampledData", "Voltage,Voltage", "Rejected"),
        ("ConnectorPhaseRotation", "0.RST,1.Unknown", "Accepted"),
        ("ConnectorPhaseRotation", "0.ABC", "Rejected"),
        ("NumberOfConnectors", "5", "Rejected"),
        ("Nonsense", "1", "NotSupported"),
    ],
)
async def test_a_configuration_change_is_checked(talk: Talk, key: str, value: str, status: str) -> None:
    assert (await talk.call("ChangeConfiguration", key=key, value=value)).status == status
    if status == "Accepted":
        (entry,) = (await talk.call("GetConfiguration", key=[key])).configuration_key
        assert entry["value"] == (value.lower() if key.endswith("Enabled") else value)
        assert not entry["readonly"]


async def test_a_key_is_found_in_any_letter_case_and_answered_as_it_is_defined(talk: Talk) -> None:
    """A key is a CiString50 (part 1, 7.1); an unknown one is answered as it was requested."""
    changed = await talk.call("ChangeConfiguration", key="heartBEATinterval", value="17")
    answer = await talk.call(
        "GetConfiguration", key=["HEARTBEATINTERVAL", "nonSense", "HeartbeatInterval", "numberofconnectors"]
    )

    assert changed.status == "Accepted"
    assert [(entry["key"], entry["value"]) for entry in answer.configuration_key] == [
        ("HeartbeatInterval", "17"),
        ("NumberOfConnectors", "2"),
    ]
    assert answer.unknown_key == ["nonSense"]


async def test_no_more_keys_are_answered_than_the_charger_says(talk: Talk) -> None:
    """Part 1, 9.1.8: GetConfigurationMaxKeys."""
    (entry,) = (await talk.call("GetConfiguration", key=["GetConfigurationMaxKeys"])).configuration_key
    keys = [f"Key{number}" for number in range(int(entry["value"]) + 1)]

    assert (await talk.call("GetConfiguration", key=keys[1:])).unknown_key == keys[1:]
    with pytest.raises(OccurenceConstraintViolationError):
        await talk.call("GetConfiguration", key=keys)


#: Part 1, 9.1 to 9.4, and the security whitepaper: required, or required with a feature that this charger has.
REQUIRED_KEYS = """
    AuthorizeRemoteTxRequests ClockAlignedDataInterval ConnectionTimeOut ConnectorPhaseRotation GetConfigurationMaxKeys
    HeartbeatInterval LocalAuthorizeOffline LocalPreAuthorize MeterValuesAlignedData MeterValuesSampledData
    MeterValueSampleInterval NumberOfConnectors ResetRetries StopTransactionOnEVSideDisconnect StopTransactionOnInvalidId
    StopTxnAlignedData StopTxnSampledData SupportedFeatureProfiles TransactionMessageAttempts
    TransactionMessageRetryInterval UnlockConnectorOnEVSideDisconnect
    LocalAuthListEnabled LocalAuthListMaxLength SendLocalListMaxLength
    ChargeProfileMaxStackLevel ChargingScheduleAllowedChargingRateUnit ChargingScheduleMaxPeriods
    MaxChargingProfilesInstalled
    AuthorizationKey SecurityProfile SupportedFileTransferProtocols
"""


async def test_every_required_key_is_there(talk: Talk) -> None:
    everything = (await talk.call("GetConfiguration")).configuration_key

    assert set(REQUIRED_KEYS.split()) <= {entry["key"] for entry in everything}
    values = {entry["key"]: entry.get("value") for entry in everything}
    assert len(values["SupportedFeatureProfiles"].split(",")) == int(
        values["SupportedFeatureProfilesMaxLength"]
    )
    assert values["ConnectorPhaseRotationMaxLength"] == "3"


async def test_a_changed_heartbeat_interval_takes_effect_at_once(talk: Talk) -> None:
    await talk.call("ChangeConfiguration", key="HeartbeatInterval", value="1")

    await talk.link.next("Heartbeat")


async def test_an_inoperative_connector_is_unavailable_and_starts_nothing(talk: Talk) -> None:
    assert (await talk.call("ChangeAvailability", connector_id=1, type="Inoperative")).status == "Accepted"
    await talk.status("Unavailable")

    assert (await talk.call("RemoteStartTransaction", id_tag="TAG", connector_id=1)).status == "Rejected"
    assert (await talk.call("ChangeAvailability", connector_id=1, type="Operative")).status == "Accepted"
    await talk.status("Available")
    assert (await talk.call("ChangeAvailability", connector_id=9, type="Operative")).status == "Rejected"


async def test_availability_of_the_whole_charger_waits_for_its_transactions(talk: Talk) -> None:
    await talk.start()

    assert (await talk.call("ChangeAvailability", connector_id=0, type="Inoperative")).status == "Scheduled"
    await talk.status("Unavailable", connector_id=2)
    await talk.call("RemoteStopTransaction", transaction_id=4711)

    await talk.status("Unavailable", connector_id=1)
    await talk.status("Unavailable", connector_id=0)


async def test_data_of_another_vendor_is_not_known(talk: Talk) -> None:
    assert (await talk.call("DataTransfer", vendor_id="somebody")).status == "UnknownVendorId"
    assert await talk.perform("Dance") == "UnknownMessageId"
    assert await talk.perform("PlugIn", "[") == "Rejected"
    assert await talk.perform("PlugIn", '{"connector": 7}') == "Rejected"
    assert await talk.perform("SetPower", "{}") == "Rejected"


async def test_the_model_can_be_read_by_data_transfer(talk: Talk) -> None:
    await talk.start()

    answer = await talk.call("DataTransfer", vendor_id="chargehand", message_id="State")

    assert '"plugged": true, "authorized": "TAG"' in answer.data
    assert '"powerW": 22000' in answer.data


async def test_unlocking_ends_the_transaction_of_the_connector(talk: Talk) -> None:
    await talk.start()

    assert (await talk.call("UnlockConnector", connector_id=1)).status == "Unlocked"

    assert (await talk.link.next("StopTransaction"))["reason"] == "UnlockCommand"
    assert (await talk.call("UnlockConnector", connector_id=3)).status == "NotSupported"
    await talk.perform("Fault", '{"fault": "ConnectorLockFailure"}')
    assert (await talk.call("UnlockConnector", connector_id=1)).status == "UnlockFailed"


async def test_a_fault_ends_the_transaction_and_is_reported_until_it_is_cleared(talk: Talk) -> None:
    await talk.start()

    await talk.perform("Fault", '{"fault": "OverCurrentFailure"}')

    assert (await talk.status("Faulted"))["error_code"] == "OverCurrentFailure"
    assert (await talk.link.next("StopTransaction"))["reason"] == "Other"
    assert (await talk.call("RemoteStartTransaction", id_tag="TAG", connector_id=1)).status == "Rejected"
    await talk.perform("ClearFault")
    await talk.status("Finishing")


@pytest.mark.charger(reboot_s=0.05)
@pytest.mark.parametrize(("kind", "reason"), [("Soft", "SoftReset"), ("Hard", "HardReset")])
async def test_a_reset_ends_transactions_and_boots_again(talk: Talk, kind: str, reason: str) -> None:
    await talk.start()

    assert (await talk.call("Reset", type=kind)).status == "Accepted"

    again = await talk.csms.link(2)
    await again.next("BootNotification")
    stopped = await (talk.link if kind == "Soft" else again).next("StopTransaction")
    assert stopped["reason"] == reason
    await talk.charger.connection("disconnected", "reset")


@pytest.mark.parametrize(
    ("message", "action"),
    [
        ("BootNotification", "BootNotification"),
        ("DiagnosticsStatusNotification", "DiagnosticsStatusNotification"),
        ("FirmwareStatusNotification", "FirmwareStatusNotification"),
        ("Heartbeat", "Heartbeat"),
        ("MeterValues", "MeterValues"),
        ("StatusNotification", "StatusNotification"),
    ],
)
async def test_each_message_can_be_triggered(talk: Talk, message: str, action: str) -> None:
    answer = await talk.call("TriggerMessage", requested_message=message, connector_id=1)

    assert answer.status == "Accepted"
    await talk.link.next(action)
    # The answer leaves first (OCPP 1.6 part 1, 5.17).
    assert '"Accepted"' in talk.link.frames[-2]


@pytest.mark.parametrize(
    ("message", "connector_id", "status"),
    [
        ("StatusNotification", 3, "Rejected"),
        ("MeterValues", 3, "Rejected"),
        ("MeterValues", 0, "Rejected"),
        ("StatusNotification", 0, "Accepted"),
        ("Heartbeat", 3, "Accepted"),
        ("DiagnosticsStatusNotification", 3, "Accepted"),
    ],
)
async def test_the_connector_of_a_trigger_counts_where_the_message_is_about_one(
    talk: Talk, message: str, connector_id: int, status: str
) -> None:
    """Part 1, 5.17: the requested message is leading, and a connector that is not relevant is ignored."""
    answer = await talk.call("TriggerMessage", requested_message=message, connector_id=connector_id)

    assert answer.status == status


async def test_a_pending_charger_sends_what_is_triggered_and_nothing_else() -> None:
    async with Csms() as csms:
        csms.answers["BootNotification"] = boot_answers("Pending", "Accepted", interval_s=600)
        async with LocalCharger(csms.url) as charger:
            link = await csms.link()
            await charger.connection("connected", "boot_pending")

            await link.call(call16.TriggerMessage(requested_message="StatusNotification", connector_id=1))
            await link.next("StatusNotification")
            start = await link.call(call16.RemoteStartTransaction(id_tag="TAG", connector_id=1))
            assert start.status == "Rejected"
            assert len(link.calls) == 2
            await link.call(call16.TriggerMessage(requested_message="BootNotification"))

            await charger.connection("accepted")
