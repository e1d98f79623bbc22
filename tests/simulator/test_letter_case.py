"""Both versions: names and identifiers that count in any letter case (CiString in 1.6, identifierString in 2.0.1)."""

import pytest

from tests.simulator.talk import open_talk


@pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])
async def test_the_names_in_a_data_transfer_count_in_any_letter_case(version: str) -> None:
    """vendorId is CiString255, messageId CiString50 (OCPP 1.6 part 1, 6.17)."""
    async with open_talk(version) as talk:
        answer = await talk.call("DataTransfer", vendor_id="ChargeHand", message_id="PLUGIN", data="{}")

        assert answer.status == "Accepted"
        assert talk.connector.plugged


async def test_the_id_of_a_transaction_counts_in_any_letter_case() -> None:
    """transactionId is CiString<36> in libocpp."""
    async with open_talk("OCPP2.0.1") as talk:
        started = await talk.start()
        transaction_id = started["transaction_info"]["transaction_id"].upper()

        status = await talk.call("GetTransactionStatus", transaction_id=transaction_id)
        profile = await talk.call(
            "SetChargingProfile",
            evse_id=1,
            charging_profile={
                "id": 1,
                "stack_level": 0,
                "charging_profile_purpose": "TxProfile",
                "charging_profile_kind": "Relative",
                "transaction_id": transaction_id,
                "charging_schedule": [
                    {
                        "id": 1,
                        "charging_rate_unit": "W",
                        "charging_schedule_period": [{"start_period": 0, "limit": 7000}],
                    }
                ],
            },
        )
        power_w = talk.connector.power_w
        stop = await talk.call("RequestStopTransaction", transaction_id=transaction_id)

        assert (status.ongoing_indicator, profile.status, stop.status) == (True, "Accepted", "Accepted")
        assert power_w == 7000
        await talk.event("Ended")
