"""A charger with a control link, in the test's own event loop."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from simulator.charge_point.charge_point import ChargePoint
from simulator.log import EventLog
from simulator.process import Process
from tests.simulator.charger import Charger, environment
from tests.simulator.control.scripted_link import ControlSession, ScriptedLink
from tests.support.csms import Csms
from tests.support.waiting import wait_until_async

#: A charger under test does not wait for real seconds.
HASTE = 20.0


class ControlledCharger(Charger):
    def __init__(self, link: ScriptedLink, ws_url: str, version: str = "OCPP1.6", **more: object) -> None:
        super().__init__(environment(ws_url, version, **link.environment | more))
        self.lines: list[str] = []
        self.process = Process(self.environ, EventLog(self._write), haste=HASTE)
        self._running: asyncio.Task[None] | None = None

    def _write(self, line: str) -> None:
        self.lines.append(line)
        self.events.append(json.loads(line))

    @property
    def model(self) -> ChargePoint:
        assert self.process.charge_point is not None
        return self.process.charge_point

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.process.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.switch_off()

    async def switch_off(self) -> None:
        """As SIGTERM does; a repeat is safe."""
        assert self._running is not None
        self.process.stop()
        await self._running


@asynccontextmanager
async def controlled(
    version: str = "OCPP1.6", **more: object
) -> AsyncIterator[tuple[ControlledCharger, ControlSession, ScriptedLink]]:
    """A charger that its CSMS has accepted, with its session and the link."""
    settings: dict[str, object] = {"connectors": 2, "ev_plug_in_s": 0, "ev_unplug_s": "never"}
    async with (
        Csms() as csms,
        ScriptedLink() as link,
        ControlledCharger(link, csms.url, version, **settings | more) as charger,
    ):
        session = await link.session()
        await csms.accepted()
        await wait_until_async(lambda: charger.model.is_accepted)
        yield charger, session, link
