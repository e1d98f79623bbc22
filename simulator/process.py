"""Runs the charger of a process from its start to its end, with the control link beside it where there is one."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from simulator.charge_point.charge_point import ChargePoint
from simulator.charge_point.memory import State
from simulator.control.client import ControlClient
from simulator.control.hosted import Hosted
from simulator.control.settings import read_control_settings
from simulator.http_api.door import open_http_api
from simulator.lifecycle import build_charge_point, live, switch_off
from simulator.log import EventLog
from simulator.settings import Settings, read_settings

#: A charger with nothing to remember waits so long for the link, which may have it; then it begins without.
MEMORY_WAIT_S = 10.0


class Process:
    def __init__(self, environ: Mapping[str, str], log: EventLog, *, haste: float = 1.0) -> None:
        """`haste` is the control client's, and shortens the wait for its memory. Raises BadSettings."""
        self._settings = read_settings(environ)
        self._log = log
        self._memory_wait_s = MEMORY_WAIT_S / haste
        if self._settings.password:
            log.hide(self._settings.password)
        control = read_control_settings(environ)
        self._hosted: Hosted | None = None
        self._control: ControlClient | None = None
        if control is not None:
            self._hosted = Hosted(control.charger_id, log)
            self._hosted.has_memory = has_state_file(self._settings)
            self._control = ControlClient(control, [self._hosted], log, haste=haste)
        self.charge_point: ChargePoint | None = None  #: as soon as it is built
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
        if self.charge_point is None:
            self._running.cancel()
        else:
            self._ending = asyncio.create_task(switch_off(self.charge_point, self._running))

    async def _live(self) -> None:
        kept = await self._recall()
        self.charge_point = build_charge_point(self._settings, self._log, kept)
        if self._hosted:
            self._hosted.attach(self.charge_point)
        async with open_http_api(self.charge_point):
            await live(self.charge_point)

    async def _recall(self) -> State | None:
        """What the control link keeps for this charger."""
        if self._hosted is None or self._hosted.has_memory:
            return None
        try:
            async with asyncio.timeout(self._memory_wait_s):
                await self._hosted.welcomed.wait()
        except TimeoutError:
            why = f"no welcome of the control link within {self._memory_wait_s:g} s"
            self._log.remark("warning", f"{why}: the charger begins without what it remembers")
        return self._hosted.memory


def has_state_file(settings: Settings) -> bool:
    return settings.state_file is not None and Path(settings.state_file).exists()
