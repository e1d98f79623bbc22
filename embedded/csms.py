"""Runs a small CSMS that accepts every OCPP 1.6J and 2.0.1 charger: python -m embedded.csms --port PORT.

A charger connects to ws://HOST:PORT/ocpp/IDENTITY. The last segment of the path is its identity.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import ocpp.messages  # type: ignore[import-untyped]
from ocpp.routing import on  # type: ignore[import-untyped]
from ocpp.v16 import ChargePoint as ChargePoint16  # type: ignore[import-untyped]
from ocpp.v16 import call_result as result16
from ocpp.v16.enums import Action as Action16  # type: ignore[import-untyped]
from ocpp.v201 import ChargePoint as ChargePoint201  # type: ignore[import-untyped]
from ocpp.v201 import call_result as result201
from ocpp.v201.enums import Action as Action201  # type: ignore[import-untyped]
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from embedded.ports import HOST

HEALTH_PATH = "/health"
ACCEPTED = "Accepted"
ACCEPTED_TOKEN = {"status": ACCEPTED}
REJECTED = "Rejected"
FAILED = "Failed"

transaction_ids = count(1)

logger = logging.getLogger("csms")


def now() -> str:
    """The time as OCPP writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# The answers that do not depend on the request.
ANSWERS_16: dict[str, Callable[[], object]] = {
    Action16.authorize: lambda: result16.Authorize(ACCEPTED_TOKEN),
    Action16.data_transfer: lambda: result16.DataTransfer(ACCEPTED),
    Action16.diagnostics_status_notification: result16.DiagnosticsStatusNotification,
    Action16.firmware_status_notification: result16.FirmwareStatusNotification,
    Action16.heartbeat: lambda: result16.Heartbeat(now()),
    Action16.log_status_notification: result16.LogStatusNotification,
    Action16.meter_values: result16.MeterValues,
    Action16.security_event_notification: result16.SecurityEventNotification,
    Action16.sign_certificate: lambda: result16.SignCertificate(REJECTED),
    Action16.signed_firmware_status_notification: result16.SignedFirmwareStatusNotification,
    Action16.start_transaction: lambda: result16.StartTransaction(next(transaction_ids), ACCEPTED_TOKEN),
    Action16.status_notification: result16.StatusNotification,
    Action16.stop_transaction: lambda: result16.StopTransaction(ACCEPTED_TOKEN),
}
ANSWERS_201: dict[str, Callable[[], object]] = {
    Action201.authorize: lambda: result201.Authorize(ACCEPTED_TOKEN),
    Action201.cleared_charging_limit: result201.ClearedChargingLimit,
    Action201.data_transfer: lambda: result201.DataTransfer(ACCEPTED),
    Action201.firmware_status_notification: result201.FirmwareStatusNotification,
    Action201.get_15118_ev_certificate: lambda: result201.Get15118EVCertificate(FAILED, ""),
    Action201.get_certificate_status: lambda: result201.GetCertificateStatus(FAILED),
    Action201.heartbeat: lambda: result201.Heartbeat(now()),
    Action201.log_status_notification: result201.LogStatusNotification,
    Action201.meter_values: result201.MeterValues,
    Action201.notify_charging_limit: result201.NotifyChargingLimit,
    Action201.notify_customer_information: result201.NotifyCustomerInformation,
    Action201.notify_display_messages: result201.NotifyDisplayMessages,
    Action201.notify_ev_charging_needs: lambda: result201.NotifyEVChargingNeeds(ACCEPTED),
    Action201.notify_ev_charging_schedule: lambda: result201.NotifyEVChargingSchedule(ACCEPTED),
    Action201.notify_event: result201.NotifyEvent,
    Action201.notify_monitoring_report: result201.NotifyMonitoringReport,
    Action201.notify_report: result201.NotifyReport,
    Action201.publish_firmware_status_notification: result201.PublishFirmwareStatusNotification,
    Action201.report_charging_profiles: result201.ReportChargingProfiles,
    Action201.reservation_status_update: result201.ReservationStatusUpdate,
    Action201.security_event_notification: result201.SecurityEventNotification,
    Action201.sign_certificate: lambda: result201.SignCertificate(REJECTED),
    Action201.status_notification: result201.StatusNotification,
}


def routes(answers: Mapping[str, Callable[[], object]]) -> dict[str, dict[str, object]]:
    """The answers as a route map of the library, which validates requests and answers."""

    def route(answer: Callable[[], object]) -> dict[str, object]:
        return {"_on_action": lambda **_payload: answer()}

    return {action: route(answer) for action, answer in answers.items()}


class Charger16(ChargePoint16):  # type: ignore[misc]
    """One connected OCPP 1.6J charger."""

    def __init__(self, identity: str, connection: ServerConnection, interval_s: int) -> None:
        super().__init__(identity, connection)
        self.route_map |= routes(ANSWERS_16)
        self._interval_s = interval_s

    @on(Action16.boot_notification)  # type: ignore[untyped-decorator]
    def on_boot(self, charge_point_vendor: str, charge_point_model: str, **_more: object) -> object:
        logger.info("%s booted: %s %s", self.id, charge_point_vendor, charge_point_model)
        return result16.BootNotification(now(), self._interval_s, ACCEPTED)


class Charger201(ChargePoint201):  # type: ignore[misc]
    """One connected OCPP 2.0.1 charger."""

    def __init__(self, identity: str, connection: ServerConnection, interval_s: int) -> None:
        super().__init__(identity, connection)
        self.route_map |= routes(ANSWERS_201)
        self._interval_s = interval_s

    @on(Action201.boot_notification)  # type: ignore[untyped-decorator]
    def on_boot(self, charging_station: dict[str, Any], **_more: object) -> object:
        logger.info("%s booted: %s %s", self.id, charging_station["vendor_name"], charging_station["model"])
        return result201.BootNotification(now(), self._interval_s, ACCEPTED)

    @on(Action201.transaction_event)  # type: ignore[untyped-decorator]
    def on_transaction_event(self, id_token: dict[str, Any] | None = None, **_more: object) -> object:
        return result201.TransactionEvent(id_token_info=ACCEPTED_TOKEN if id_token else None)


# The library refuses a charger that offers none of these.
CHARGERS: dict[Subprotocol | None, type[Charger16 | Charger201]] = {
    Subprotocol("ocpp1.6"): Charger16,
    Subprotocol("ocpp2.0.1"): Charger201,
}


async def start_csms(host: str, port: int, interval_s: int = 30) -> Server:
    """Listen on the address, and serve chargers until the server is closed. Raises OSError."""
    ocpp.messages.ASYNC_VALIDATION = False  # no thread for each message
    logging.getLogger("ocpp").setLevel(logging.ERROR)

    async def handle(connection: ServerConnection) -> None:
        path = urlsplit(connection.request.path).path if connection.request else ""
        identity = unquote(path.rsplit("/", 1)[-1])
        logger.info("%s connected with %s", identity, connection.subprotocol)
        charger = CHARGERS[connection.subprotocol](identity, connection, interval_s)
        try:
            await charger.start()
        except ConnectionClosed as closed:
            logger.info("%s disconnected: %s", identity, closed)

    return await serve(
        handle,
        host,
        port,
        subprotocols=[name for name in CHARGERS if name],
        process_request=answer_health,
        close_timeout=2,
        compression=None,
    )


def answer_health(connection: ServerConnection, request: Request) -> Response | None:
    """Answer a health check, which opens no WebSocket."""
    return connection.respond(200, "OK\n") if request.path == HEALTH_PATH else None


async def run(host: str, port: int, interval_s: int) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError."""
    server = await start_csms(host, port, interval_s)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    address = server.sockets[0].getsockname()
    logger.info("CSMS on ws://%s:%s/ocpp/IDENTITY", *address[:2])
    async with server:
        await stop.wait()


@click.command()
@click.option("--host", default=HOST, show_default=True)
@click.option("--port", type=click.IntRange(0, 65_535), default=9000, show_default=True)
@click.option(
    "--interval",
    "interval_s",
    type=click.IntRange(1, 86_400),
    default=30,
    show_default=True,
    help="Seconds between heartbeats.",
)
def main(host: str, port: int, interval_s: int) -> None:
    """A CSMS that accepts every charger."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # chargers log refused handshakes themselves
    try:
        asyncio.run(run(host, port, interval_s))
    except OSError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
