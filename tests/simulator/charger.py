"""A charger under test: as a process, or inside the test's own event loop."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from typing import Any, Self

from simulator.lifecycle import build_charge_point, live, switch_off
from simulator.log import EventLog
from simulator.settings import read_settings
from tests.support.waiting import wait_until_async

Event = dict[str, Any]

#: A charger under test does not wait for real seconds.
QUICK = {
    "CHARGER_CONNECT_JITTER_S": "0",
    "CHARGER_RETRY_WAIT_S": "0.05",
    "CHARGER_RETRY_RANDOM_S": "0.05",
    "CHARGER_RETRY_MAX_S": "0.3",
}


def environment(ws_url: str, version: str, **more: object) -> dict[str, str]:
    """`connectors=2` stands for CHARGER_CONNECTORS=2; a whole name may be used, too."""
    return {
        "CHARGER_IDENTITY": "CP-1",
        "CHARGER_WS_URL": ws_url,
        "CHARGER_OCPP_VERSION": version,
        **QUICK,
        **{f"CHARGER_{name.upper().removeprefix('CHARGER_')}": str(value) for name, value in more.items()},
    }


class Charger:
    """The events that the charger printed."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ
        self.events: list[Event] = []

    def states(self) -> list[str]:
        return [event["state"] for event in self.events if event["type"] == "connection"]

    def frames(self, action: str) -> list[Event]:
        return [event for event in self.events if event["type"] == "frame" and event["action"] == action]

    def remarks(self) -> list[str]:
        return [event["message"] for event in self.events if event["type"] == "log"]

    async def event(self, condition: Callable[[Event], bool], *, within_s: float = 10.0) -> Event:
        """The first event that fits, waiting for it if there is none yet."""
        await wait_until_async(lambda: any(map(condition, self.events)), within_s=within_s)
        return next(filter(condition, self.events))

    async def connection(self, state: str, reason: str | None = None, *, within_s: float = 10.0) -> Event:
        return await self.event(
            lambda event: event.get("state") == state and event["reason"] == reason, within_s=within_s
        )


class LocalCharger(Charger):
    """Runs in this event loop; `model` is its ChargePoint."""

    def __init__(self, ws_url: str, version: str = "OCPP1.6", **more: object) -> None:
        super().__init__(environment(ws_url, version, **more))
        settings = read_settings(self.environ)
        log = EventLog(lambda line: self.events.append(json.loads(line)), settings.password)
        self.model = build_charge_point(settings, log)
        #: for a test that puts a fault into the charger
        self.may_log_faults = False
        self._life: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._life = asyncio.create_task(live(self.model))
        return self

    async def switch_off(self) -> None:
        """As SIGTERM does."""
        assert self._life is not None
        await switch_off(self.model, self._life)
        await self._life

    async def __aexit__(self, *_: object) -> None:
        assert self._life is not None
        self._life.cancel()
        await self._life
        faults = [
            remark
            for remark in self.remarks()
            if "was not sent" in remark or "could not be answered" in remark
        ]
        assert faults == [] or self.may_log_faults, "the charger logged a fault of its own"


class ChargerProcess(Charger):
    """`python -m simulator`, its output read as it comes."""

    def __init__(self, ws_url: str, version: str = "OCPP1.6", **more: object) -> None:
        super().__init__(environment(ws_url, version, **more))
        self.process: Process | None = None
        self.lines: list[bytes] = []
        self.errors = b""
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "simulator", stdout=PIPE, stderr=PIPE, env={**os.environ, **self.environ}
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()
        await self.exit_code()

    async def exit_code(self, *, within_s: float = 10.0) -> int:
        assert self.process is not None
        assert self._reader is not None
        async with asyncio.timeout(within_s):
            await self._reader
            return await self.process.wait()

    def terminate(self) -> None:
        assert self.process is not None
        self.process.terminate()

    async def _read(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        async for line in self.process.stdout:
            self.lines.append(line)
            self.events.append(json.loads(line))
        self.errors = await self.process.stderr.read()
