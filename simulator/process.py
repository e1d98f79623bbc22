"""Runs the charger of a process from its start to its end, with the control link beside it where there is one."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from simulator.charge_point.charge_point import ChargePoint
from simulator.charge_point.memory import State
from simulator.control.client import ControlClient
from simulator.control.hosted import Hosted, Spec
from simulator.control.settings import read_control_settings
from simulator.http_api.door import open_http_api
from simulator.lifecycle import build_charge_point, check_settings, live, switch_off
from simulator.log import EventLog
from simulator.settings import BadSettings, Settings, read_settings
from simulator.specification import follow, recall_specification, specified, store_specification

#: A charger that is not complete without the link waits so long for it; then it begins with what it has, if it can.
WELCOME_WAIT_S = 10.0


class Process:
    def __init__(self, environ: Mapping[str, str], log: EventLog, *, haste: float = 1.0) -> None:
        """`haste` is the control client's, and shortens the wait for its welcome. Raises BadSettings."""
        self._environ = environ
        self._log = log
        self._welcome_wait_s = WELCOME_WAIT_S / haste
        self._settings: Settings | None = None  #: to begin with
        self._has_settings = asyncio.Event()
        self._hosted: Hosted | None = None
        self._control: ControlClient | None = None
        control = read_control_settings(environ)
        if control is None or environ.get("CHARGER_WS_URL"):
            self._settings = read_settings(environ)
        if control is not None:
            self._hosted = Hosted(control.charger_id, log)
            self._hosted.has_memory = _has_state_file(environ)
            self._hosted.on_spec = partial(self._take_specification, self._hosted)
            self._recall_specification(self._hosted)
            self._control = ControlClient(control, [self._hosted], log, haste=haste)
        self.charge_point: ChargePoint | None = None  #: as soon as it is built
        self._life: asyncio.Task[None] | None = None  #: of the charge point
        self._successor: Settings | None = None  #: of a charge point that takes its place
        self._replacing: asyncio.Task[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until `stop`. Raises BadSettings for a configuration that the charger does not accept."""
        connecting = asyncio.create_task(self._control.run()) if self._control else None
        self._running = asyncio.create_task(self._live())
        try:
            with suppress(asyncio.CancelledError):
                await self._running
            if self._control:
                await self._control.close()
        finally:
            if connecting:
                connecting.cancel()

    def stop(self) -> None:
        """Switches the charger off in order; a repeat is safe."""
        if self._running is None or self._ending is not None:
            return
        self._successor = None
        if self.charge_point is None:
            self._running.cancel()
        else:
            self._ending = asyncio.create_task(switch_off(self.charge_point, self._running))

    async def _live(self) -> None:
        kept = await self._recall()
        settings: Settings | None = await self._first_settings()
        boot_reason = None
        while settings is not None:
            charge_point = self.charge_point = build_charge_point(settings, self._log, kept)
            charge_point.reboots.reason = boot_reason or charge_point.reboots.reason
            if self._hosted:
                self._hosted.attach(charge_point)
            async with open_http_api(charge_point):
                self._life = asyncio.create_task(live(charge_point))
                await self._life
            settings, self._successor = self._successor, None
            kept, boot_reason = charge_point.memory.snapshot(), "LocalReset"

    async def _recall(self) -> State | None:
        """What the control link keeps for this charger, after its welcome."""
        if self._hosted is None or self._control is None:
            return None
        if self._hosted.has_memory and self._environ.get("CHARGER_WS_URL"):
            return None  # it needs nothing of the link
        if not await self._control.welcome(self._hosted, self._welcome_wait_s):
            why = f"no welcome of the control link within {self._welcome_wait_s:g} s"
            begins = "with" if self._hosted.has_memory else "without"
            self._log.remark("warning", f"{why}: the charger begins {begins} what it remembers")
        return self._hosted.memory

    async def _first_settings(self) -> Settings:
        """A charger never connects to a CSMS before it knows which one: from the link, or from an earlier start."""
        if self._settings is None:
            self._log.remark(
                "warning", "the charger has no specification yet: it waits for that of the control link"
            )
        while (settings := self._settings) is None:
            await self._has_settings.wait()
        return settings

    def _take_specification(self, hosted: Hosted, spec: Spec) -> None:
        """Follows it, and reports so; one that the charger cannot follow changes nothing."""
        try:
            self._follow(specified(self._environ, spec.environment))
        except BadSettings as error:
            self._log.remark(
                "warning", f"revision {spec.revision} of the specification is not followed: {error}"
            )
            hosted.follow(spec.revision, str(error))
            return
        hosted.follow(spec.revision)
        try:
            store_specification(self._environ, spec.revision, spec.environment)
        except OSError as error:
            self._log.remark("error", f"the specification cannot be stored: {error}")

    def _follow(self, settings: Settings) -> None:
        """Raises BadSettings."""
        if self._life is None or self.charge_point is None:
            check_settings(settings, self._log)
            self._settings = settings
            self._has_settings.set()
        elif self._successor is not None:
            check_settings(settings, self._log)
            self._successor = settings
        elif not follow(self.charge_point, settings):
            check_settings(settings, self._log)
            self._log.remark("info", "the charger boots with its new settings")
            self._successor = settings
            self._replacing = asyncio.create_task(switch_off(self.charge_point, self._life))

    def _recall_specification(self, hosted: Hosted) -> None:
        """The specification of an earlier start, until the link has a newer one."""
        remembered = recall_specification(self._environ)
        if remembered is None:
            return
        revision, environment = remembered
        try:
            self._settings = specified(self._environ, environment)
        except BadSettings as error:
            self._log.remark("warning", f"the specification of the last start is not used: {error}")
        else:
            hosted.spec_revision = revision


def _has_state_file(environ: Mapping[str, str]) -> bool:
    path = environ.get("CHARGER_STATE_FILE", "").strip()
    return bool(path) and Path(path).exists()
