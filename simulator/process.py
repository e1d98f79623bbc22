"""Runs the charger of a process from its start to its end, with the control link beside it where there is one."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from simulator.charge_point.charge_point import ChargePoint
from simulator.control.client import ControlClient
from simulator.control.hosted import Hosted
from simulator.control.settings import read_control_settings
from simulator.life import Life
from simulator.log import EventLog
from simulator.settings import BadSettings, read_settings
from simulator.specification import recall_specification, specified
from simulator.turn import TURN

#: A charger that is not complete without the link waits so long for it; then it begins with what it has, if it can.
WELCOME_WAIT_S = 10.0


class Process:
    def __init__(self, environ: Mapping[str, str], log: EventLog, *, haste: float = 1.0) -> None:
        """`haste` is the control client's, and shortens the wait for its welcome. Raises BadSettings."""
        self._environ = environ
        self._log = log
        self._welcome_wait_s = WELCOME_WAIT_S / haste
        self._hosted: Hosted | None = None
        self._control: ControlClient | None = None
        control = read_control_settings(environ)
        settings = None
        if control is None or environ.get("CHARGER_WS_URL"):
            settings = read_settings(environ)
        if control is not None:
            self._hosted = Hosted(control.process_id, log)
            self._hosted.has_memory = _has_state_file(environ)
            self._control = ControlClient(control, log, haste=haste)
            self._control.add(self._hosted)
        self._life = Life(environ, log, self._hosted)
        self._life.settings = settings
        self._recall_specification()
        self._running: asyncio.Task[None] | None = None

    @property
    def charge_point(self) -> ChargePoint | None:
        """As soon as it is built."""
        return self._life.charge_point

    async def run(self) -> None:
        """Until `stop`. Raises BadSettings for a configuration that the charger does not accept."""
        connecting = asyncio.create_task(self._control.run()) if self._control else None
        self._running = asyncio.create_task(self._begin())
        try:
            with suppress(asyncio.CancelledError), TURN.limiting():
                await self._running
            if self._control:
                await self._control.close()
        finally:
            if connecting:
                connecting.cancel()

    def stop(self) -> None:
        """Switches the charger off in order; a repeat is safe."""
        if self._running is None:
            return
        if self.charge_point is None:
            self._running.cancel()
        else:
            self._life.stop()

    async def _begin(self) -> None:
        """A charger never connects to a CSMS before it knows which one: from the link, or from an earlier start.

        With the link's welcome the charger also has its memory.
        """
        await self._wait_for_welcome()
        if self._life.settings is None:
            self._log.remark(
                "warning", "the charger has no specification yet: it waits for that of the control link"
            )
        await self._life.run()

    async def _wait_for_welcome(self) -> None:
        if self._hosted is None or self._control is None:
            return
        if self._hosted.has_memory and self._environ.get("CHARGER_WS_URL"):
            return  # it needs nothing of the link
        is_welcome = await self._control.welcome(self._hosted, self._welcome_wait_s)
        if not is_welcome and self._life.settings is not None:
            why = f"no welcome of the control link within {self._welcome_wait_s:g} s"
            begins = "with" if self._hosted.has_memory else "without"
            self._log.remark("warning", f"{why}: the charger begins {begins} what it remembers")

    def _recall_specification(self) -> None:
        """The specification of an earlier start, until the link has a newer one."""
        remembered = None if self._hosted is None else recall_specification(self._environ)
        if self._hosted is None or remembered is None:
            return
        revision, environment = remembered
        try:
            self._life.settings = specified(self._environ, environment)
        except BadSettings as error:
            self._log.remark("warning", f"the specification of the last start is not used: {error}")
        else:
            self._hosted.spec_revision = revision


def _has_state_file(environ: Mapping[str, str]) -> bool:
    path = environ.get("CHARGER_STATE_FILE", "").strip()
    return bool(path) and Path(path).exists()
