"""Runs a charger from power-on to power-off: connects it, lets it talk, and connects it again."""

import asyncio
import random
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from typing import Never

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from simulator.charge_point.charge_point import ChargePoint
from simulator.charge_point.memory import State
from simulator.charge_point.upkeep import PasswordChanged, SettingsChanged
from simulator.link.session import ENDS, Ending, Session
from simulator.link.websocket import LinkError, explain_close, open_link, retry_delays
from simulator.log import EventLog
from simulator.scenario.grammar import BadScenario
from simulator.settings import BadSettings, Settings
from simulator.together import run_together
from simulator.versions import VERSIONS, Version


def build_charge_point(settings: Settings, log: EventLog, kept: State | None = None) -> ChargePoint:
    """The charger with what its state file says, or else what was kept elsewhere, or a new one. Raises BadSettings."""
    charge_point = _new_charge_point(settings, log)
    if charge_point.restore(kept):
        return charge_point
    charge_point.timers.cancel_all()
    return _new_charge_point(settings, log)  # nothing of a state file that fails halfway


def check_settings(settings: Settings, log: EventLog) -> None:
    """Raises BadSettings if no charge point can have them."""
    _new_charge_point(settings, log).timers.cancel_all()


def _new_charge_point(settings: Settings, log: EventLog) -> ChargePoint:
    """Imports only the module of the configured version."""
    kind = load_kind(VERSIONS[settings.ocpp_version])
    try:
        charge_point = kind(settings, log)
    except ValueError as error:
        raise BadSettings(f"CHARGER_CONFIGURATION: {error}") from error
    try:
        charge_point.scenarios.configure(settings.scenario)
    except BadScenario as error:
        raise BadSettings(f"CHARGER_SCENARIO: {error}") from error
    return charge_point


def load_kind(version: Version) -> type[ChargePoint]:
    """The class that speaks this version."""
    module, _, name = version.class_path.partition(":")
    kind: type[ChargePoint] = getattr(import_module(module), name)
    return kind


#: Of the 5 s from SIGTERM to the end, the time to report the end of transactions to the CSMS; the closing handshake
#: takes up to 2 s more.
REPORT_ENDED_S = 2.5


#: Why a connection ended that the charger opens again without the wait before a reconnect.
AT_ONCE = ("new_password", "new_settings")


class Crashed(Exception):
    """The charger's own code failed; the message says where."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On which a process runs its chargers."""

    restarts: bool = True  #: a charger that has crashed; else `live` raises Crashed
    #: entered for each attempt to connect, until the handshake is over
    connecting: AbstractAsyncContextManager[object] = field(default_factory=nullcontext)


ALONE = Terms()


async def live(charge_point: ChargePoint, terms: Terms = ALONE) -> None:
    """Runs until cancelled; closes the connection before it returns.

    A fault of the charger's own code is logged, and restarts the charger after growing waits, or raises Crashed if the
    terms say so. It reaches no other charger of the process.
    """
    settings, log = charge_point.settings, charge_point.log
    delays = retry_delays(settings)
    charge_point.scenarios.begin()
    try:
        while True:
            started_s = time.monotonic()
            fault = await _run_until_fault(charge_point, terms)
            if not terms.restarts:
                raise Crashed(fault)
            if time.monotonic() - started_s > settings.retry_max_s:
                delays = retry_delays(settings)
            await asyncio.sleep(next(delays))
    except asyncio.CancelledError:
        log.connection("disconnected", "stopped", "the charger was switched off")
    finally:
        charge_point.scenarios.stop()


async def _run_until_fault(charge_point: ChargePoint, terms: Terms) -> str:
    """From power-on to power-off; returns the fault.

    After it, transactions end as at a restart by a watchdog (OCPP 2.0.1, ReasonEnum).
    """
    fault = ""
    try:
        charge_point.power_on()
        await run_together(_keep_connected(charge_point, terms), charge_point.timers.watch())
    except Exception as error:
        fault = _log_fault(charge_point, error)
        charge_point.log.connection("disconnected", "charger_fault", fault)
        charge_point.reboots.reason = "Watchdog"
        _attempt(
            charge_point, lambda: charge_point.station.transactions.end_all("Reboot", "AbnormalCondition")
        )
    finally:
        _attempt(charge_point, charge_point.power_off)
        charge_point.timers.cancel_all()
    return fault


def _attempt(charge_point: ChargePoint, act: Callable[[], object]) -> None:
    """For the steps of an orderly end: one that fails is logged, and the next is taken."""
    try:
        act()
    except Exception as error:
        _log_fault(charge_point, error)


def _log_fault(charge_point: ChargePoint, error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    fault = (
        f"{charge_point.settings.identity} failed: {error!r} in {place.name}, {place.filename}:{place.lineno}"
    )
    charge_point.log.remark("error", fault)
    return fault


async def _keep_connected(charge_point: ChargePoint, terms: Terms) -> Never:
    settings, log = charge_point.settings, charge_point.log
    delays = retry_delays(charge_point.network.settings())
    await asyncio.sleep(random.uniform(0, settings.connect_jitter_s))
    while True:
        await charge_point.misbehaviour.interruptions.wait_until_allowed()
        reason = ""
        try:
            await _connect_and_hold(charge_point, terms)
        except LinkError as error:
            reason = error.reason
            log.connection("disconnected", reason, error.detail)
            charge_point.end_attempt()
            if error.was_accepted or reason == "new_settings":
                delays = retry_delays(charge_point.network.settings())
        if reason in AT_ONCE:
            await asyncio.sleep(random.uniform(0, settings.connect_jitter_s))
        elif not charge_point.wants_reboot:
            await charge_point.upkeep.wait_to_connect(next(delays))
        if charge_point.wants_reboot:
            charge_point.power_off()
            await asyncio.sleep(settings.reboot_s)
            charge_point.power_on()


async def switch_off(
    charge_point: ChargePoint, running: "asyncio.Task[None]", within_s: float = REPORT_ENDED_S
) -> None:
    """Ends the transactions, gives the CSMS so long to take their ends, and then ends the task of `live`.

    Nobody knows whether the charger comes back. A state file keeps what the CSMS has not answered.
    """
    _attempt(charge_point, charge_point.end_for_good)
    try:
        await charge_point.delivery.wait_until_done(within_s, reconnect=True)
    finally:
        running.cancel()


async def _connect_and_hold(charge_point: ChargePoint, terms: Terms) -> None:
    async with terms.connecting:
        socket = await _connect(charge_point)
    charge_point.log.connection("connected", None, None)
    await _hold(charge_point, socket)


async def _connect(charge_point: ChargePoint) -> ClientConnection:
    """Raises LinkError."""
    charge_point.upkeep.begin_attempt()
    settings = charge_point.network.settings()
    charge_point.log.connection("connecting", None, settings.url)
    opening = open_link(settings, charge_point.version.subprotocol, charge_point.password)
    try:
        return await charge_point.upkeep.unless_changed(opening)
    except Ending as end:
        raise _explain_end(charge_point, end) from end


async def _hold(charge_point: ChargePoint, socket: ClientConnection) -> None:
    """Lets the charger talk until the connection ends. Raises LinkError with the reason."""
    session = Session(
        socket,
        charge_point.version,
        charge_point.log,
        charge_point.answer,
        charge_point.network.profile.call_timeout_s,
        interference=charge_point.misbehaviour,
        strict=charge_point.settings.strict,
        is_silent=lambda: charge_point.is_silent,
    )
    try:
        await run_together(session.receive(), charge_point.talk(session), ends=ENDS)
    except ENDS as end:
        error = _explain_end(charge_point, end)
        # A CSMS that closes each new link without a word has not accepted it, though the last boot still counts.
        error.was_accepted = charge_point.is_accepted and session.heard > 0
        raise error from end
    finally:
        await socket.close(1001, "switched off")


def _explain_end(charge_point: ChargePoint, end: ConnectionClosed | Ending) -> LinkError:
    on_purpose = charge_point.misbehaviour.interruptions.explain()
    if on_purpose:
        return LinkError(*on_purpose)
    match end:
        case ConnectionClosed():
            return explain_close(end)
        case PasswordChanged():
            return LinkError("new_password", "the CSMS has set a new password")
        case SettingsChanged():
            return LinkError("new_settings", "the charger was given other settings")
        case _:
            return LinkError("reset", "the charger reboots")
