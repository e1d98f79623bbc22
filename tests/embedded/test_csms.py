import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from urllib.request import urlopen

import ocpp.v16  # type: ignore[import-untyped]
import ocpp.v201  # type: ignore[import-untyped]
import pytest
from ocpp.v16 import call as call16
from ocpp.v201 import call as call201
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from embedded.csms import start_csms
from embedded.ports import HOST

NOW = "2030-01-01T12:00:00Z"
CHARGE_POINTS = {"ocpp1.6": ocpp.v16.ChargePoint, "ocpp2.0.1": ocpp.v201.ChargePoint}
CERTIFICATE = {
    "hash_algorithm": "SHA256",
    "issuer_name_hash": "a",
    "issuer_key_hash": "b",
    "serial_number": "c",
    "responder_url": "https://example.com",
}
LIMIT = {"charging_limit_source": "EMS"}
EVERY_MESSAGE_16 = [
    call16.Authorize("TAG"),
    call16.BootNotification("Model", "Vendor"),
    call16.DataTransfer("com.example"),
    call16.DiagnosticsStatusNotification("Idle"),
    call16.FirmwareStatusNotification("Idle"),
    call16.Heartbeat(),
    call16.LogStatusNotification("Idle", 1),
    call16.MeterValues(1, [{"timestamp": NOW, "sampledValue": [{"value": "1"}]}]),
    call16.SecurityEventNotification("StartupOfTheDevice", NOW, "info"),
    call16.SignCertificate("csr"),
    call16.SignedFirmwareStatusNotification("Idle", 1),
    call16.StartTransaction(1, "TAG", 0, NOW),
    call16.StatusNotification(1, "NoError", "Available"),
    call16.StopTransaction(5, NOW, 1),
]
EVERY_MESSAGE_201 = [
    call201.Authorize({"id_token": "TAG", "type": "ISO14443"}),
    call201.BootNotification({"vendor_name": "Vendor", "model": "Model"}, "PowerUp"),
    call201.ClearedChargingLimit("EMS"),
    call201.DataTransfer("com.example"),
    call201.FirmwareStatusNotification("Idle"),
    call201.Get15118EVCertificate("urn:iso:15118:2:2013:MsgDef", "Install", "exi"),
    call201.GetCertificateStatus(CERTIFICATE),
    call201.Heartbeat(),
    call201.LogStatusNotification("Idle"),
    call201.MeterValues(1, [{"timestamp": NOW, "sampled_value": [{"value": 1.0}]}]),
    call201.NotifyChargingLimit(LIMIT),
    call201.NotifyCustomerInformation("data", 0, NOW, 1),
    call201.NotifyDisplayMessages(1),
    call201.NotifyEVChargingNeeds({"requested_energy_transfer": "DC"}, 1),
    call201.NotifyEVChargingSchedule(
        NOW,
        {
            "id": 1,
            "charging_rate_unit": "W",
            "charging_schedule_period": [{"start_period": 0, "limit": 1.0}],
        },
        1,
    ),
    call201.NotifyEvent(
        NOW,
        0,
        [
            {
                "event_id": 1,
                "timestamp": NOW,
                "trigger": "Alerting",
                "actual_value": "x",
                "event_notification_type": "HardWiredNotification",
                "component": {"name": "C"},
                "variable": {"name": "V"},
            }
        ],
    ),
    call201.NotifyMonitoringReport(1, 0, NOW),
    call201.NotifyReport(1, NOW, 0),
    call201.PublishFirmwareStatusNotification("Idle"),
    call201.ReportChargingProfiles(
        1,
        "CSO",
        [
            {
                "id": 1,
                "stack_level": 0,
                "charging_profile_purpose": "TxProfile",
                "charging_profile_kind": "Relative",
                "charging_schedule": [
                    {
                        "id": 1,
                        "charging_rate_unit": "W",
                        "charging_schedule_period": [{"start_period": 0, "limit": 1.0}],
                    }
                ],
            }
        ],
        1,
    ),
    call201.ReservationStatusUpdate(1, "Expired"),
    call201.SecurityEventNotification("StartupOfTheDevice", NOW),
    call201.SignCertificate("csr"),
    call201.StatusNotification(NOW, "Available", 1, 1),
    call201.TransactionEvent(
        "Started",
        NOW,
        "Authorized",
        0,
        {"transaction_id": "t"},
        id_token={"id_token": "TAG", "type": "ISO14443"},
    ),
]


@asynccontextmanager
async def charger(subprotocol: str, interval_s: int = 30) -> AsyncIterator[Any]:
    """A charger of the `ocpp` library, connected to a CSMS; both validate every frame."""
    async with await start_csms(HOST, 0, interval_s) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"ws://{HOST}:{port}/ocpp/CP%201"
        async with connect(url, subprotocols=[Subprotocol(subprotocol)]) as connection:
            charge_point = CHARGE_POINTS[subprotocol]("CP 1", connection)
            listening = asyncio.create_task(charge_point.start())
            yield charge_point
            listening.cancel()
            with suppress(asyncio.CancelledError, ConnectionClosed):
                await listening


def answers_to(subprotocol: str, *messages: object, **options: int) -> list[Any]:
    """The CSMS's answers to messages over one connection. Raises the error of an error answer."""

    async def conversation() -> list[Any]:
        async with charger(subprotocol, **options) as charge_point:
            return [await charge_point.call(message, suppress=False) for message in messages]

    return asyncio.run(conversation())


def answer_to(subprotocol: str, message: object, **options: int) -> Any:
    [answer] = answers_to(subprotocol, message, **options)
    return answer


@pytest.mark.parametrize(
    ("subprotocol", "messages"), [("ocpp1.6", EVERY_MESSAGE_16), ("ocpp2.0.1", EVERY_MESSAGE_201)]
)
def test_every_message_of_a_charger_is_answered(subprotocol: str, messages: list[object]) -> None:
    assert None not in answers_to(subprotocol, *messages)


def test_a_1_6_charger_is_accepted_with_the_heartbeat_interval() -> None:
    answer = answer_to("ocpp1.6", call16.BootNotification("Model", "Vendor"), interval_s=7)

    assert (answer.status, answer.interval) == ("Accepted", 7)


def test_a_2_0_1_charger_is_accepted_with_the_heartbeat_interval() -> None:
    boot = call201.BootNotification({"vendor_name": "Vendor", "model": "Model"}, "PowerUp")

    answer = answer_to("ocpp2.0.1", boot, interval_s=7)

    assert (answer.status, answer.interval) == ("Accepted", 7)


def test_each_transaction_gets_its_own_id() -> None:
    start = call16.StartTransaction(1, "TAG", 0, NOW)

    assert answer_to("ocpp1.6", start).transaction_id != answer_to("ocpp1.6", start).transaction_id


def test_a_charger_of_another_version_is_refused() -> None:
    with pytest.raises(InvalidStatus, match="400"):
        connect_with("ocpp9")


def connect_with(subprotocol: str) -> None:
    async def conversation() -> None:
        async with await start_csms(HOST, 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://{HOST}:{port}/CP1", subprotocols=[Subprotocol(subprotocol)]):
                pass

    asyncio.run(conversation())


@contextmanager
def csms_process() -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "embedded.csms", "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stderr is not None
        found = re.search(r"ws://127\.0\.0\.1:(\d+)/", process.stderr.readline())
        assert found is not None
        try:
            yield int(found[1]), process
        finally:
            process.kill()


def test_the_command_logs_a_line_for_each_connection_and_boot_and_stops_on_sigterm() -> None:
    with csms_process() as (port, process):
        asyncio.run(boot(f"ws://{HOST}:{port}/ocpp/CP-7"))
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        lines = [line.split(" ", 2)[2] for line in process.stderr]
        assert process.wait() == 0

    assert lines[0] == "CP-7 connected with ocpp1.6\n"
    assert lines[1] == "CP-7 booted: Vendor Model\n"
    assert lines[2].startswith("CP-7 disconnected: ")
    assert len(lines) == 3


async def boot(url: str) -> None:
    async with connect(url, subprotocols=[Subprotocol("ocpp1.6")]) as connection:
        charge_point = ocpp.v16.ChargePoint("CP-7", connection)
        listening = asyncio.create_task(charge_point.start())
        await charge_point.call(call16.BootNotification("Model", "Vendor"))
        listening.cancel()


def test_a_health_check_is_answered_without_a_websocket() -> None:
    with csms_process() as (port, _), urlopen(f"http://{HOST}:{port}/health") as answer:
        assert answer.status == 200
