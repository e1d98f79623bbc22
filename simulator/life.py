"""The charger from power-on to power-off: connect, talk, and connect again."""

import asyncio
import random
from importlib import import_module

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from simulator.charge_point import ChargePoint
from simulator.link import LinkError, explain_close, open_link, retry_delays
from simulator.log import EventLog
from simulator.session import Session
from simulator.settings import OcppVersion, Settings


def build_charge_point(settings: Settings, log: EventLog) -> ChargePoint:
    """Imports only the version that is asked for."""
    module, name = CHARGE_POINTS[settings.ocpp_version]
    kind: type[ChargePoint] = getattr(import_module(module), name)
    return kind(settings, log)


CHARGE_POINTS: dict[OcppVersion, tuple[str, str]] = {
    "OCPP1.6": ("simulator.v16", "ChargePoint16"),
    "OCPP2.0.1": ("simulator.v201", "ChargePoint201"),
}


async def live(charge_point: ChargePoint) -> None:
    """Runs until cancelled; then the connection is closed properly before this returns."""
    settings, log = charge_point.settings, charge_point.log
    delays = retry_delays(settings)
    try:
        await asyncio.sleep(random.uniform(0, settings.connect_jitter_s))
        while True:
            log.connection("connecting", None, settings.url)
            try:
                socket = await open_link(settings, charge_point.subprotocol, settings.ping_interval_s)
                log.connection("connected", None, None)
                await _hold(charge_point, socket)
            except LinkError as error:
                log.connection("disconnected", error.reason, error.detail)
            if charge_point.registration == "Accepted":
                delays = retry_delays(settings)
            await asyncio.sleep(next(delays))
    except asyncio.CancelledError:
        log.connection("disconnected", "stopped", "the charger was switched off")


async def _hold(charge_point: ChargePoint, socket: ClientConnection) -> None:
    """Talks until the connection ends. Raises LinkError with the reason."""
    session = Session(
        socket,
        charge_point.schema_set,
        charge_point.log,
        charge_point.answer,
        charge_point.settings.call_timeout_s,
    )
    ends: list[ConnectionClosed] = []
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(session.receive())
            tasks.create_task(charge_point.talk(session))
    except* ConnectionClosed as closed:
        ends.append(_first(closed))
    finally:
        await socket.close(1001, "switched off")
    raise explain_close(ends[0])


def _first(group: BaseExceptionGroup[ConnectionClosed]) -> ConnectionClosed:
    for error in group.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    raise AssertionError("an exception group is never empty")
