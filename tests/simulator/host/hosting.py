"""A host in the test's own event loop, the control link that says what it runs, and what it wrote."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from simulator.host.host import Host
from simulator.host.writer import Writer
from simulator.log import EventLog
from tests.simulator.charger import QUICK
from tests.simulator.control.controlled import HASTE
from tests.simulator.control.scripted_link import FIRST_TOKEN, ControlSession, Frame, ScriptedLink
from tests.support.csms import Csms
from tests.support.waiting import wait_until_async

HOST = "host-1"


class HostLink(ScriptedLink):
    """Welcomes a host, and keeps the newest entry of what each charger shall be."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, Frame] = {}

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOST_ID": HOST,
            "CHARGER_CONTROL_URL": self.url,
            "CHARGER_CONTROL_TOKEN": FIRST_TOKEN,
            "CHARGER_CONNECT_JITTER_S": "0",
        }

    async def give(self, *entries: Frame, session: int | None = None) -> None:
        """Sends what chargers shall be to the newest session, or to the one of this number."""
        self.rows |= {each["charger"]: each for each in entries}
        await self.sessions[-1 if session is None else session - 1].send("desired", desired=list(entries))

    def observed(self, charger: str) -> Frame:
        """The last that the host said of it over any session; empty if it said nothing."""
        said = [each for session in self.sessions for each in session.all("observed")]
        return next((each for each in reversed(said) if each["charger"] == charger), {})

    async def settled(self, charger: str, generation: int, *, within_s: float = 10) -> Frame:
        """What the host says of the charger when it has dealt with this generation."""
        await wait_until_async(
            lambda: self.observed(charger).get("generation", -1) >= generation, within_s=within_s
        )
        return self.observed(charger)

    def _welcomed(self, hello: Frame) -> list[Frame]:
        return []


def desired(
    charger: str,
    csms: str,
    generation: int = 1,
    *,
    is_on: bool = True,
    restart_generation: int = 0,
    leaving: bool = False,
    revision: int = 1,
    memory: Frame | None = None,
    **settings: object,
) -> Frame:
    """An entry as the link sends it; `settings` as in `environment`. The charger's identity is its id."""
    entry: Frame = {
        "charger": charger,
        "generation": generation,
        "desired_count": int(is_on),
        "restart_generation": restart_generation,
        "leaving": leaving,
    }
    if is_on:
        more = {f"CHARGER_{name.upper()}": str(value) for name, value in settings.items()}
        retry = {name: value for name, value in QUICK.items() if "RETRY" in name}
        environment = {"CHARGER_IDENTITY": charger, "CHARGER_WS_URL": csms, **retry, **more}
        entry |= {"spec": {"revision": revision, "environment": environment}, "memory": memory}
    return entry


class RunningHost:
    def __init__(self, link: HostLink, folder: Path, **environ: str) -> None:
        self._output = folder / "lines"
        self._file = self._output.open("wb")
        self.writer = Writer(self._file.fileno())
        self.host = Host(link.environment | environ, EventLog(self.writer.write), self.writer, haste=HASTE)
        self._running = asyncio.create_task(self.host.run())

    def lines(self, charger: str | None = None) -> list[dict[str, Any]]:
        """All that was written so far; of one charger if it is named, "" for the host itself."""
        lines = [json.loads(line) for line in self._output.read_text().splitlines()]
        return [line for line in lines if charger is None or line.get("charger", "") == charger]

    async def switch_off(self) -> None:
        """As SIGTERM does; a repeat is safe."""
        self.host.stop()
        await self._running
        self.writer.close(2)

    def close(self) -> None:
        self._file.close()


@asynccontextmanager
async def hosting(
    folder: Path, **environ: str
) -> AsyncIterator[tuple[RunningHost, HostLink, ControlSession, Csms]]:
    """A host that the link has welcomed, with its first session and a CSMS."""
    async with Csms() as csms, HostLink() as link:
        host = RunningHost(link, folder, **environ)
        try:
            yield host, link, await link.session(), csms
        finally:
            await host.switch_off()
            host.close()
