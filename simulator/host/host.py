"""A host from its start to its end: the control link, the chargers, the log and the watch over the process."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from simulator.control.client import ControlClient
from simulator.control.frames import Frame
from simulator.control.hosted import Spec
from simulator.host.garbage import keep_clean
from simulator.host.keeper import Keeper
from simulator.host.settings import read_host_settings, room_for
from simulator.host.usage import Usage, memory_bytes, memory_limit_bytes
from simulator.host.watchdog import Watchdog, kill_process
from simulator.host.writer import Writer
from simulator.log import EventLog
from simulator.turn import TURN

#: Between two reports of how the process does: a third of the time after which nobody knows whether it still runs.
REPORT_S = 5.0

#: At the end: what the CSMSs have to take the chargers' last words, and the link to take what they remember. With the closing
#: handshakes (2 s) the process ends within 25 s of SIGTERM; ECS kills it after 30.
LAST_WORDS_S, MEMORIES_S = 12.0, 5.0

#: A host that has stood still connects no charger until the link has answered its next hello, or was away for so long.
HELD_S = 30.0


class Host:
    def __init__(
        self, environ: Mapping[str, str], log: EventLog, writer: Writer, *, haste: float = 1.0
    ) -> None:
        """`log` is of the process itself. `haste` is the control client's. Raises BadSettings."""
        settings = read_host_settings(environ)
        self._log = log
        self._writer = writer
        self._client = ControlClient(settings.control, log, host=self, haste=haste)
        room = room_for(settings.capacity)
        self._keeper = Keeper(settings.environ, room, self._new_log, self._client)
        self._watchdog = Watchdog(partial(log.remark, "error"), kill_process, self._hold)
        self._usage = Usage()
        self._memory_limit_bytes = memory_limit_bytes(settings.memory_bytes)
        self._is_report_due = False
        self._holding: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        if room < settings.capacity:
            log.remark(
                "warning",
                f"the system's limit of open files leaves room for {room} chargers, not {settings.capacity}",
            )

    async def run(self) -> None:
        """Until `stop`, or until a part of it fails: then it raises what that raised, after the same orderly end."""
        with TURN.limiting():
            await self._run()

    async def _run(self) -> None:
        jobs: list[asyncio.Task[object]] = [
            asyncio.create_task(self._stopping.wait()),
            asyncio.create_task(self._client.run()),
            asyncio.create_task(self._watchdog.run()),
            asyncio.create_task(keep_clean(lambda: self._keeper.changes)),
            asyncio.create_task(self._report()),
        ]
        try:
            await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            await self._keeper.close(LAST_WORDS_S)
            await self._client.close(MEMORIES_S)
        finally:
            if self._holding is not None:
                self._holding.cancel()
            for job in jobs:
                job.cancel()
            for job in jobs:
                with suppress(asyncio.CancelledError):
                    await job

    def stop(self) -> None:
        """Switches all chargers off in order; a repeat is safe."""
        self._stopping.set()

    @property
    def capacity(self) -> int:
        return self._keeper.capacity

    def begin_session(self) -> None:
        self._keeper.allow()
        self._is_report_due = True
        self._client.prompt()

    def give_way(self) -> None:
        self._keeper.give_way()
        self._keeper.allow()

    def take_desired(self, entry: Frame) -> None:
        self._keeper.take(entry)

    def take_specification(self, charger_id: str, spec: Spec) -> None:
        self._keeper.take_specification(charger_id, spec)

    def take_observed(self) -> list[Frame]:
        return self._keeper.take_observed()

    def take_report(self) -> Frame | None:
        if not self._is_report_due:
            return None
        self._is_report_due = False
        running = list(self._keeper.running())
        return {
            "type": "host",
            "max_chargers": self.capacity,
            "running": len(running),
            "connected": sum(each.charge_point is not None and each.charge_point.online for each in running),
            "lag_ms": self._watchdog.lag_ms,
            "memory_bytes": memory_bytes(),
            "memory_limit_bytes": self._memory_limit_bytes,
            "cpu_percent": self._usage.take_cpu_percent(),
            "lines_dropped": self._writer.dropped,
        }

    def _hold(self) -> None:
        """The process has stood still: the link may have let another one run the chargers."""
        self._log.remark(
            "warning", "the process has stood still: its chargers connect when the link has heard it"
        )
        self._keeper.hold()
        self._holding = asyncio.create_task(self._allow_when_heard())

    async def _allow_when_heard(self) -> None:
        """`begin_session` and `give_way` may do so before."""
        if not await self._client.is_heard(HELD_S):
            await asyncio.sleep(HELD_S)
        self._keeper.allow()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            self.say_dropped()
            self._is_report_due = True
            self._client.prompt()

    def say_dropped(self) -> None:
        """Each charger whose frames were dropped says so; of one that does not run any more the host does."""
        for charger_id, dropped in self._writer.take_dropped().items():
            (self._keeper.log_of(charger_id) or self._log).remark(
                "warning", f"{dropped} frames of {charger_id} are not in the log: it was not read as fast"
            )

    def _new_log(self, charger_id: str, boot: str) -> EventLog:
        return EventLog(
            self._writer.write,
            write_frame=partial(self._writer.write_frame, charger_id),
            about={"charger": charger_id, "boot": boot},
        )
