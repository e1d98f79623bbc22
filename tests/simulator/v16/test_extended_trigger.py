"""OCPP 1.6's security extensions: ExtendedTriggerMessage."""

from typing import Any

import pytest

from tests.simulator.talk import Talk

SENT = {
    "BootNotification": "BootNotification",
    "FirmwareStatusNotification": "SignedFirmwareStatusNotification",
    "Heartbeat": "Heartbeat",
    "LogStatusNotification": "LogStatusNotification",
    "MeterValues": "MeterValues",
    "StatusNotification": "StatusNotification",
}


@pytest.mark.parametrize(("message", "sent"), SENT.items(), ids=SENT)
async def test_it_sends_the_message(talk: Talk, message: str, sent: str) -> None:
    answer = await talk.call("ExtendedTriggerMessage", requested_message=message)

    assert answer.status == "Accepted"
    await talk.link.next(sent)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"requested_message": "SignChargePointCertificate"}, "NotImplemented"),
        ({"requested_message": "StatusNotification", "connector_id": 9}, "Rejected"),
    ],
)
async def test_it_sends_nothing_that_it_cannot(talk: Talk, fields: dict[str, Any], status: str) -> None:
    assert (await talk.call("ExtendedTriggerMessage", **fields)).status == status
